"""HDF5Data and HDF5Output by upstream's rules."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import p3d.caffe as caffe
from p3d.error import Error, NoMemory

h5py = pytest.importorskip("h5py")
pytestmark = pytest.mark.embedded


def store(path: Path, **datasets: np.ndarray) -> str:
    with h5py.File(path, "w") as file:
        for name, values in datasets.items():
            file[name] = values
    return str(path)


def files(folder: Path, *counts: int) -> Path:
    """A list of files whose rows are numbered over all of them: data (n, 2, 1, 3, 2), label (n)."""
    names, first = [], 0
    for number, count in enumerate(counts):
        rows = np.arange(first, first + count)
        data = np.repeat(rows, 12).reshape(-1, 2, 1, 3, 2).astype(np.float64)
        names.append(store(folder / f"{number}.h5", data=data, label=rows.astype(np.int32)))
        first += count
    return write_list(folder, *names)


def write_list(folder: Path, *names: str) -> Path:
    source = folder / "list.txt"
    source.write_text("\n".join(names) + "\n")
    return source


def net(source: Path | str, param: str, tops: str = 'top: "data" top: "label"') -> caffe.Net:
    return caffe.Net(
        f'layer {{ name: "h" type: "HDF5Data" {tops} '
        f'hdf5_data_param {{ source: "{source}" {param} }} }}',
        caffe.TRAIN,
    )


def rows(made: caffe.Net, batches: int) -> list[int]:
    """The numbers of the rows of the next batches; data and label must agree."""
    found: list[int] = []
    for _ in range(batches):
        made.forward()
        data, label = made.blobs["data"].data, made.blobs["label"].data
        assert (data == label.reshape(-1, 1, 1, 1, 1)).all()
        found += label.astype(int).tolist()
    return found


@pytest.mark.parametrize(
    ("counts", "batch", "batches"), [((5,), 2, 6), ((3, 1, 4), 3, 7), ((2, 2), 5, 3)]
)
def test_rows_in_order_over_files_and_ends(
    tmp_path: Path, counts: tuple[int, ...], batch: int, batches: int
) -> None:
    made = net(files(tmp_path, *counts), f"batch_size: {batch}")
    assert tuple(made.blobs["data"].shape) == (batch, 2, 1, 3, 2)
    assert tuple(made.blobs["label"].shape) == (batch,)
    expected = [row % sum(counts) for row in range(batch * batches)]
    assert rows(made, batches) == expected


@pytest.mark.parametrize("counts", [(8,), (3, 4, 5)])
def test_shuffled_rows_stay_in_their_file_and_all_come(tmp_path: Path, counts) -> None:
    caffe.set_random_seed(1)
    made = net(files(tmp_path, *counts), "batch_size: 1 shuffle: true")
    bounds = np.cumsum(counts)
    epochs = [rows(made, sum(counts)) for _ in range(4)]
    for epoch in epochs:
        assert sorted(epoch) == list(range(sum(counts)))
        file_of = np.searchsorted(bounds, epoch, side="right")
        assert np.count_nonzero(np.diff(file_of)) == len(counts) - 1
    assert len({tuple(epoch) for epoch in epochs}) > 1
    caffe.set_random_seed(1)
    assert rows(net(tmp_path / "list.txt", "batch_size: 1 shuffle: true"), sum(counts)) == epochs[0]


@pytest.mark.parametrize("before", [0, 1, 5, 12, 17])
def test_a_state_goes_on_with_the_next_batch(tmp_path: Path, before: int) -> None:
    source = files(tmp_path, 3, 4, 5)
    one, other = (net(source, "batch_size: 2 shuffle: true") for _ in range(2))
    rows(one, before)
    other.layers[0].python_object.load_state(one.layers[0].python_object.save_state())
    assert rows(one, 20) == rows(other, 20)


def test_a_state_of_something_else(tmp_path: Path) -> None:
    layer = net(files(tmp_path, 3, 4), "batch_size: 2").layers[0].python_object
    place = b'{"files": 2, "seed": 1, "position": 0, "row": %s}'
    layer.load_state(place % b"1")
    bad = (b"", b"[]", b"{}", b'{"files": 1}', b'{"files": 2}', place % b"-1", place % b'"1"')
    for state in bad:
        with pytest.raises(RuntimeError, match=r"state|snapshot"):
            layer.load_state(state)


def output_net(tmp_path: Path, out: Path) -> caffe.Net:
    text = f"""
    layer {{ name: "h" type: "HDF5Data" top: "data" top: "label"
      hdf5_data_param {{ source: "{files(tmp_path, 5)}" batch_size: 3 }} }}
    layer {{ name: "o" type: "HDF5Output" bottom: "data" bottom: "label"
      hdf5_output_param {{ file_name: "{out}" }} }}
    layer {{ name: "p" type: "Power" bottom: "data" top: "p" }}
    layer {{ name: "q" type: "Power" bottom: "p" top: "q" }}"""
    return caffe.Net(text, caffe.TEST)


def test_output_holds_the_rows_of_every_forward(tmp_path: Path) -> None:
    out = tmp_path / "out.h5"
    made = output_net(tmp_path, out)
    for forwards in (1, 2):
        made.forward()
        if forwards == 2:
            assert made.blobs["p"].data.any()  # which nothing is written again for
        with h5py.File(out) as file:
            assert file["data"].shape == (3 * forwards, 2, 1, 3, 2)
            assert file["label"].shape == (3 * forwards, 1, 1, 1)
            assert file["label"][()].ravel().tolist() == [0, 1, 2, 3, 4, 0][: 3 * forwards]


def test_output_on_a_full_disk_keeps_the_rows_before(tmp_path: Path, monkeypatch: Any) -> None:
    """HDF5 itself may crash there."""

    def full(handle: int, start: int, size: int) -> None:
        os.ftruncate(handle, start + size // 2)
        raise OSError(errno.ENOSPC, "No space left on device")

    out = tmp_path / "out.h5"
    made = output_net(tmp_path, out)
    made.forward()
    before = out.read_bytes()
    with monkeypatch.context() as disk:
        disk.setattr(os, "posix_fallocate", full, raising=False)
        with pytest.raises(RuntimeError, match=r"HDF5Output 'o'.*cannot write .*out.h5: No space"):
            made.forward()
    assert out.read_bytes() == before
    made.forward()
    with h5py.File(out) as file:
        assert file["label"][()].ravel().tolist() == [0, 1, 2, 1, 2, 3]  # the reader went on


ROWS = np.zeros((2, 3), np.float32)


@pytest.mark.parametrize(
    ("datasets", "param", "message"),
    [
        ([{"data": ROWS}], "", "batch_size has to be 1"),
        ([{"data": ROWS}], "batch_size: 1", "no dataset 'label', the name of a top; it has data"),
        ([{"data": ROWS, "label": ROWS[:1]}], "batch_size: 1", "'data' 2, 'label' 1"),
        ([{"data": ROWS[:0], "label": ROWS[:0]}], "batch_size: 1", "one or more"),
        ([{"data": ROWS, "label": np.array([b"a", b"b"])}], "batch_size: 1", "not numbers"),
        ([{"data": ROWS, "label": np.float32(1)}], "batch_size: 1", r"shape \(\)"),
        ([], "batch_size: 1", "list.txt is empty"),
        ([None], "batch_size: 1", "0.h5: there is no such file"),
        (["text"], "batch_size: 1", "0.h5: not an HDF5 file"),
    ],
)
def test_what_cannot_be(tmp_path: Path, datasets, param: str, message: str) -> None:
    names = [str(tmp_path / f"{i}.h5") for i in range(len(datasets))]
    for name, found in zip(names, datasets, strict=True):
        if found == "text":
            Path(name).write_text("data")
        elif found:
            store(Path(name), **found)
    with pytest.raises(RuntimeError, match=f"HDF5Data 'h'.*{message}"):
        net(write_list(tmp_path, *names), param)


def test_a_damaged_file_is_an_error_of_the_layer(tmp_path: Path) -> None:
    """Whatever h5py raises for it."""
    path = Path(store(tmp_path / "a.h5", data=ROWS, label=ROWS))
    source, whole = write_list(tmp_path, str(path)), path.read_bytes()
    told = []
    for place in range(0, len(whole), 16):
        path.write_bytes(whole[:place] + b"\xff" * 16 + whole[place + 16 :])
        try:
            net(source, "batch_size: 1")
        except Error as error:
            told.append(str(error))
    assert len(told) > 9
    assert all(f"HDF5Data 'h': {path}: " in text for text in told)


def test_more_rows_than_there_is_memory(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        for name in ("data", "label"):
            file.create_dataset(name, (10**14,), "f4", chunks=(1024,))
    with pytest.raises(NoMemory, match=r"HDF5Data 'h': .*a.h5: Unable to allocate"):
        net(write_list(tmp_path, str(tmp_path / "a.h5")), "batch_size: 1")


def test_a_later_file_of_another_shape(tmp_path: Path) -> None:
    one = store(tmp_path / "a.h5", data=ROWS, label=ROWS)
    other = store(tmp_path / "b.h5", data=ROWS[:, :2], label=ROWS)
    made = net(write_list(tmp_path, one, other), "batch_size: 2")
    made.forward()
    with pytest.raises(RuntimeError, match=r"HDF5Data 'h'.*b.h5: a row of 'data'.*\(2,\)"):
        made.forward()


def test_no_list(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match=r"HDF5Data 'h'.*none.txt cannot be read: No such file"):
        net(tmp_path / "none.txt", "batch_size: 1")
