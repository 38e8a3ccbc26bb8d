"""Whose features a place has."""

from __future__ import annotations

import json

import pytest

from p3d import Error
from p3d.jobs.done import check_free


def test_own_features_may_be_replaced_and_others_may_not(tmp_path):
    base = str(tmp_path / "a")
    check_free(base, "/v/a.mp4")
    (tmp_path / "a.npy").write_bytes(b"")
    (tmp_path / "a.json").write_text(json.dumps({"video": "/v/a.mp4"}))
    check_free(base, "/v/a.mp4")
    with pytest.raises(Error, match=r"/w/a\.mp4: its features would overwrite those of /v/a\.mp4"):
        check_free(base, "/w/a.mp4")


@pytest.mark.parametrize("beside", [None, "", "[1]", '{"x": 1}', "\xff"])
def test_files_of_unknown_origin_are_not_replaced(tmp_path, beside):
    (tmp_path / "a.npz").write_bytes(b"")
    if beside is not None:
        (tmp_path / "a.json").write_text(beside, encoding="latin-1")
    with pytest.raises(Error, match="of unknown origin"):
        check_free(str(tmp_path / "a"), "/v/a.mp4")
