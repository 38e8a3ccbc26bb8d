"""Ranks that train one net (see caffe.NCCL) share out the items of their data."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import test_hdf5_data
import test_image_data
import video_layers

import p3d.caffe as caffe
from p3d import _core
from p3d.caffe import place
from p3d.caffe.proto import caffe_pb2

pytestmark = pytest.mark.embedded


@contextmanager
def being(rank: int, ranks: int) -> Iterator[None]:
    caffe.set_solver_count(ranks)
    caffe.set_solver_rank(rank)
    try:
        yield
    finally:
        caffe.set_solver_count(1)
        caffe.set_solver_rank(0)


def hdf5(folder: Path, batch: int, phase: int) -> caffe.Net:
    source = test_hdf5_data.files(folder, 3, 1, 7)
    return caffe.Net(
        'layer { name: "h" type: "HDF5Data" top: "data" top: "label" '
        f'hdf5_data_param {{ source: "{source}" batch_size: {batch} shuffle: true }} }}',
        phase,
    )


def images(folder: Path, batch: int, phase: int) -> caffe.Net:
    source = test_image_data.images(folder, *[(7, 9)] * 5)
    transform = "mirror: true crop_size: 4"
    return test_image_data.net(source, f"batch_size: {batch} shuffle: true", transform, phase)


def videos(folder: Path, batch: int, phase: int, workers: int = 0) -> caffe.Net:
    for number in range(5):
        video_layers.frame_folder(folder / str(number), number, 6)
    lines = [f"{folder / str(number)} {number}" for number in range(5)]
    param = f"new_length: 2 crop_size: 16 mirror: true shuffle: true batch_size: {batch}"
    source = video_layers.write_list(folder, lines)
    return video_layers.net(source, f"{param} workers: {workers}", phase)


def videos_read_ahead(folder: Path, batch: int, phase: int) -> caffe.Net:
    return videos(folder, batch, phase, workers=1)


Make = Callable[[Path, int, int], caffe.Net]
KINDS = [hdf5, images, videos, videos_read_ahead]


def made(make: Make, folder: Path, batch: int, phase: int = caffe.TRAIN) -> caffe.Net:
    caffe.set_random_seed(5)
    return make(folder, batch, phase)


def taken(net: caffe.Net, batches: int) -> list[np.ndarray]:
    """Data and labels, by batch."""
    found = []
    for _ in range(batches):
        net.forward()
        found.append([net.blobs[name].data.copy() for name in ("data", "label")])
    if hasattr(data := net.layers[0].python_object, "close"):
        data.close()
    return [np.stack(parts) for parts in zip(*found, strict=True)]


@pytest.mark.parametrize("make", KINDS)
@pytest.mark.parametrize("ranks", [2, 3])
def test_batches_of_all_ranks_are_one_large_batch(make: Make, ranks: int, tmp_path: Path) -> None:
    want = taken(made(make, tmp_path, 2 * ranks), 7)
    parts = []
    for rank in range(ranks):
        with being(rank, ranks):
            parts.append(taken(made(make, tmp_path, 2), 7))
    for name, whole, *shares in zip(("data", "label"), want, *parts, strict=True):
        got = np.stack(shares, 2).reshape(whole.shape)  # place i of rank r: i * ranks + r
        np.testing.assert_array_equal(got, whole, f"{make.__name__}, {ranks} ranks: {name}")


@pytest.mark.parametrize("make", KINDS)
def test_a_test_net_takes_all(make: Make, tmp_path: Path) -> None:
    want = taken(made(make, tmp_path, 3, caffe.TEST), 2)
    with being(1, 2):
        got = taken(made(make, tmp_path, 3, caffe.TEST), 2)
    np.testing.assert_array_equal(got[1], want[1])


@pytest.mark.parametrize("make", KINDS)
def test_the_state_of_rank_0_is_that_of_all(make: Make, tmp_path: Path) -> None:
    """Those that go on may be more or fewer."""
    with being(0, 2):
        first = made(make, tmp_path, 3)
        taken(first, 3)
        message = place.to_message(place.save([first]))
    whole = made(make, tmp_path, 6)
    taken(whole, 3)
    want = taken(whole, 2)
    for rank, ranks in ((0, 1), (1, 3), (2, 3)):
        with being(rank, ranks):
            caffe.set_random_seed(1)
            other = make(tmp_path, 6 // ranks, caffe.TRAIN)
            place.restore(message, [other])
            got = taken(other, 2)
        for ours, theirs in zip(got, want, strict=True):
            np.testing.assert_array_equal(ours, theirs[:, rank::ranks])


def test_ranks_have_random_numbers_of_their_own() -> None:
    message = caffe_pb2.SolverPlace(random_state=(1 << 64) - 1)
    place.restore(message, [])
    assert _core.random_state() == (1 << 64) - 1
    with being(3, 4):
        place.restore(message, [])
        assert _core.random_state() == 2
