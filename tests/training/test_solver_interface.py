"""What scripts for pycaffe's solvers rely on besides the arithmetic."""

from __future__ import annotations

import gc
import weakref
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from training_nets import same, solver_file, weights

import p3d.caffe as caffe
from p3d.caffe.proto import caffe_pb2
from p3d.error import Error


def test_callbacks_come_before_the_forward_and_before_the_update(tmp_path: Path) -> None:
    solver = caffe.get_solver(str(solver_file(tmp_path)))
    seen: list[tuple[str, int, bool]] = []

    def note(what: str) -> None:
        gradients = any(np.any(b.diff) for v in solver.net.params.values() for b in v)
        seen.append((what, solver.iter, gradients))

    solver.add_callback(lambda: note("start"), lambda: note("ready"))
    solver.step(2)
    assert seen == [
        ("start", 0, False),
        ("ready", 0, True),
        ("start", 1, False),
        ("ready", 1, True),
    ]


def test_share_weights_with_a_net_of_ones_own(tmp_path: Path) -> None:
    solver = caffe.get_solver(str(solver_file(tmp_path)))
    other = caffe.Net(str(solver.net.param), caffe.TEST)
    solver.share_weights(other)
    solver.step(1)
    for name, blobs in solver.net.params.items():
        for mine, theirs in zip(blobs, other.params[name], strict=True):
            np.testing.assert_array_equal(theirs.data, mine.data)
            mine.data[...] += 1
            np.testing.assert_array_equal(theirs.data, mine.data)


def test_what_tests_draw_does_not_change_the_training(tmp_path: Path) -> None:
    noise = """layer { name: "noise" type: "DummyData" top: "noise" include { phase: TEST }
      dummy_data_param { shape { dim: 6 } data_filler { type: "gaussian" } } }"""
    trained = []
    for interval in (1, 100):
        path = solver_file(tmp_path / str(interval), more=f"test_iter: 1 test_interval: {interval}")
        with path.with_name("net.prototxt").open("a") as net:
            net.write(noise)
        solver = caffe.get_solver(str(path))
        solver.step(3)
        trained.append(weights(solver))
    same(*trained)


def test_shown_rates_are_those_of_the_update(tmp_path: Path) -> None:
    more = 'display: 1 lr_policy: "step" gamma: 0.5 stepsize: 2'
    solver = caffe.get_solver(str(solver_file(tmp_path, more=more)))
    shown: list[float] = []
    solver.observers.append(
        lambda event: shown.append(event["lr"]) if event["event"] == "train" else None
    )
    solver.step(4)
    base = solver.param.base_lr
    assert shown == [base, base, base / 2, base / 2]
    assert solver.lr == base / 4


@pytest.mark.parametrize("first", [True, False])
def test_a_test_before_the_first_iteration(first: bool, tmp_path: Path) -> None:
    more = f"test_iter: 1 test_interval: 2 test_initialization: {str(first).lower()}"
    solver = caffe.get_solver(str(solver_file(tmp_path, more=more)))
    tested: list[int] = []
    solver.observers.append(
        lambda event: tested.append(event["iter"]) if event["event"] == "test" else None
    )
    solver.step(3)
    assert tested == ([0, 2] if first else [2])


def test_a_test_net_that_cannot_be_says_how_to_train_without(tmp_path: Path) -> None:
    data = 'type: "HDF5Data" hdf5_data_param { source: "gone" batch_size: 1 }'
    layer = f'layer {{ name: "x" top: "x" {data} }}'
    more = f"test_iter: 1 test_interval: 2 test_net_param {{ {layer} }}"
    path = solver_file(tmp_path, more=more)
    with pytest.raises(Error, match=rf"gone.*for tests: {path} without test_iter trains"):
        caffe.get_solver(str(path))


@pytest.mark.parametrize("more", ["", "debug_info: true display: 1"])
def test_a_solver_that_nobody_holds_is_freed(more: str, tmp_path: Path) -> None:
    solver = caffe.get_solver(str(solver_file(tmp_path, more=more)))
    solver.step(1)
    watch = weakref.ref(solver), weakref.ref(solver.net)
    del solver
    gc.collect()
    assert [w() for w in watch] == [None, None]


@pytest.mark.parametrize("form", ["BINARYPROTO", "HDF5"])
def test_snapshot_diff(form: str, tmp_path: Path) -> None:
    more = f"snapshot_diff: true snapshot_format: {form}"
    solver = caffe.get_solver(str(solver_file(tmp_path, more=more)))
    solver.step(2)
    solver.snapshot()
    for name, blobs in solver.net.params.items():
        for index, blob in enumerate(blobs):
            stored = _stored(solver, name, index, form)
            np.testing.assert_array_equal(stored["data"], blob.data)
            np.testing.assert_array_equal(stored["diff"], blob.diff)
    assert np.any(solver.net.params["fc1"][0].diff)
    again = caffe.Net(str(solver.net.param), caffe.TEST)
    again.copy_from(_path(solver, form))
    for name, blobs in solver.net.params.items():
        for mine, theirs in zip(blobs, again.params[name], strict=True):
            np.testing.assert_array_equal(theirs.data, mine.data)


def _path(solver: Any, form: str) -> str:
    ending = ".h5" if form == "HDF5" else ""
    return f"{solver.param.snapshot_prefix}_iter_{solver.iter}.caffemodel{ending}"


def _stored(solver: Any, layer: str, index: int, form: str) -> dict[str, np.ndarray]:
    """What upstream's own schema finds in the snapshot."""
    path = _path(solver, form)
    if form == "HDF5":
        with h5py.File(path) as file:
            return {part: file[f"{part}/{layer}/{index}"][...] for part in ("data", "diff")}
    net = caffe_pb2.NetParameter.FromString(Path(path).read_bytes())
    (blob,) = [made.blobs[index] for made in net.layer if made.name == layer]
    shape = tuple(blob.shape.dim)
    return {part: np.float32(getattr(blob, part)).reshape(shape) for part in ("data", "diff")}


def test_weights_that_a_solver_names_may_lie_beside_it(tmp_path: Path) -> None:
    first = caffe.get_solver(str(solver_file(tmp_path / "first")))
    first.net.save(str(tmp_path / "first/start.caffemodel"))
    path = solver_file(tmp_path / "first", more='weights: "start.caffemodel" random_seed: 8')
    second = caffe.get_solver(str(path))
    assert (second.net.params["fc1"][0].data == first.net.params["fc1"][0].data).all()
