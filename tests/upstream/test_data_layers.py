"""Data layers: ours against real Caffe's, and VideoData in it as a Python layer."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

import p3d.caffe as caffe

HERE = Path(__file__).parent
FORWARDS = 9


def hdf5(folder: Path) -> str:
    import h5py

    names, first = [], 0
    for number, count in enumerate((3, 1, 5)):
        rows = np.arange(first, first + count)
        path = folder / f"{number}.h5"
        with h5py.File(path, "w") as file:
            file["data"] = np.random.default_rng(number).normal(size=(count, 2, 1, 3, 2))
            file["label"] = rows.astype(np.int32)
        names.append(str(path))
        first += count
    (folder / "list.txt").write_text("\n".join(names))
    return (
        'layer { name: "h" type: "HDF5Data" top: "data" top: "label" '
        f'hdf5_data_param {{ source: "{folder / "list.txt"}" batch_size: 4 }} }}'
    )


def dummy(folder: Path) -> str:
    return """layer { name: "d" type: "DummyData" top: "x" top: "y" dummy_data_param {
      data_filler { value: 3 } data_filler { type: "constant" value: 4 }
      num: 2 channels: 3 height: 4 height: 5 width: 6 } }"""


def video(folder: Path, workers: int) -> str:
    for number in range(4):
        (folder / str(number)).mkdir()
        for frame in range(5 + number):
            image = np.random.default_rng([number, frame]).integers(0, 256, (24, 32, 3))
            cv2.imwrite(str(folder / f"{number}/{frame:03d}.png"), image.astype(np.uint8))
    lines = [f"{folder / str(number)} {number}\n" for number in range(4)]
    (folder / "list.txt").write_text("".join(lines))
    param = (
        f"source: '{folder / 'list.txt'}' batch_size: 3 new_length: 4 crop_size: 16 shuffle: true "
        f"mirror: true mean_value: 100 scale: 0.5 num_clips: 2 seed: 7 workers: {workers}"
    )
    return (
        'layer { name: "v" type: "Python" top: "data" top: "label" python_param { '
        f'module: "p3d.video_data" layer: "VideoData" param_str: "{param}" }} }}'
    )


CASES = {
    "HDF5Data": ("TRAIN", hdf5),
    "DummyData": ("TRAIN", dummy),
    "VideoData, TRAIN": ("TRAIN", lambda folder: video(folder, 0)),
    "VideoData, TRAIN, 2 workers": ("TRAIN", lambda folder: video(folder, 2)),
    "VideoData, TEST": ("TEST", lambda folder: video(folder, 1)),
}


@pytest.mark.parametrize("plugged", ["debian"], indirect=True)
@pytest.mark.parametrize("case", CASES)
def test_same_batches(tmp_path: Path, plugged, case: str) -> None:
    prototxt = tmp_path / "net.prototxt"
    phase, text = CASES[case]
    prototxt.write_text(text(tmp_path))
    out = tmp_path / "real.npz"
    plugged.run(HERE / "run_net.py", prototxt, phase, str(FORWARDS), out)
    ours = caffe.Net(str(prototxt), getattr(caffe, phase))
    with np.load(out) as real:
        for number in range(FORWARDS):
            ours.forward()
            for name, blob in ours.blobs.items():
                np.testing.assert_array_equal(blob.data, real[f"{number}/{name}"], name)
