"""Features on disk: whole files, with their origin, never over somebody else's."""

from __future__ import annotations

import json

import numpy as np
import pytest

from p3d import Error, saving

POOL5 = np.arange(12, dtype=np.float32).reshape(4, 3)
PROB = np.ones((4, 2), np.float32)


def test_one_blob_is_an_npy_with_its_meta_beside_it(tmp_path):
    path = saving.save(str(tmp_path / "new" / "a"), {"pool5": POOL5}, {"video": "/v/a.mp4"})
    assert path == str(tmp_path / "new" / "a.npy")
    np.testing.assert_array_equal(np.load(path), POOL5)
    assert json.loads((tmp_path / "new" / "a.json").read_text()) == {"video": "/v/a.mp4"}
    assert sorted(p.name for p in (tmp_path / "new").iterdir()) == ["a.json", "a.npy"]


@pytest.mark.parametrize(("features", "kind"), [({"pool5": POOL5, "file": PROB}, None),
                                                ({"pool5": POOL5}, "npz")])  # fmt: skip
def test_several_blobs_or_on_request_an_npz(tmp_path, features, kind):
    with np.load(saving.save(str(tmp_path / "a"), features, {}, kind)) as stored:
        assert set(stored) == set(features)
        for name, array in features.items():
            np.testing.assert_array_equal(stored[name], array)


def test_an_npy_cannot_hold_two(tmp_path):
    with pytest.raises(Error, match="one blob, not 2"):
        saving.save(str(tmp_path / "a"), {"pool5": POOL5, "prob": PROB}, {}, "npy")


def test_a_place_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises((Error, OSError)):
        saving.save(str(tmp_path / "file" / "a"), {"pool5": POOL5}, {})
