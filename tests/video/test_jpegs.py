"""HDF5 files of JPEG images."""

from __future__ import annotations

import cv2
import drawn
import numpy as np
import pytest

from p3d import Error
from p3d.video.clips import open_video

h5py = pytest.importorskip("h5py")


def jpeg(image) -> np.ndarray:
    return cv2.imencode(".jpg", image)[1].ravel()


def store(path, **datasets):
    with h5py.File(path, "w") as file:
        for name, images in datasets.items():
            kind = h5py.special_dtype(vlen=np.uint8)
            data = file.create_dataset(name, (len(images),), dtype=kind)
            for index, image in enumerate(images):
                data[index] = image
    return path


def test_frames(tmp_path):
    images = [jpeg(drawn.picture(index)) for index in range(7)]
    source = open_video(store(tmp_path / "a.hdf5", video=images))
    assert source.estimate() == 7
    frames = list(source.frames(lambda index: index != 3))
    assert frames[3] is None
    for index in (0, 6):
        assert np.array_equal(frames[index], cv2.imdecode(images[index], cv2.IMREAD_COLOR))


def test_flow(tmp_path):
    x, y = (jpeg(np.full((8, 6), level, np.uint8)) for level in (100, 200))
    source = open_video(store(tmp_path / "a.h5", video_u=[x, x], video_v=[y, y]), "flow")
    (first, _) = source.frames(lambda _: True)
    assert first.shape == (8, 6, 2)
    assert abs(int(first[0, 0, 0]) - 100) < 3 > abs(int(first[0, 0, 1]) - 200)


@pytest.mark.parametrize(
    ("datasets", "modality", "message"),
    [
        ({"video_u": [b"1"]}, "frame", "no dataset 'video' of JPEG images; it has video_u"),
        ({"video": []}, "frame", "no images in it"),
        ({"video": [b"12345"]}, "frame", "image 0 of 'video' is damaged"),
        ({"video": [b""]}, "frame", "image 0 of 'video' is damaged"),
        ({"video_u": [b"1"], "video_v": []}, "flow", "1 images in x and 0 in y"),
    ],
)
def test_files_that_are_not_as_they_should_be(tmp_path, datasets, modality, message):
    images = {k: [np.frombuffer(i, np.uint8) for i in v] for k, v in datasets.items()}
    path = store(tmp_path / "a.h5", **images)
    with pytest.raises(Error, match=message):
        list(open_video(path, modality).frames(lambda _: True))


def test_no_hdf5_at_all(tmp_path, monkeypatch):
    (tmp_path / "a.h5").write_bytes(b"nothing")
    with pytest.raises(Error, match="not an HDF5 file"):
        open_video(tmp_path / "a.h5")
    monkeypatch.setitem(__import__("sys").modules, "h5py", None)
    with pytest.raises(Error, match=r"pip install 'caffe-p3d\[hdf5\]'"):
        open_video(tmp_path / "a.h5")
