"""Snapshots: a training that is restored goes on as if it had never stopped."""

from __future__ import annotations

import errno
import os
import shutil
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from training_nets import KINDS, Rows, same, solver_file, weights

import p3d.caffe as caffe
from p3d import Error
from p3d.caffe import snapshot
from p3d.caffe.proto import caffe_pb2
from p3d.error import DiskFull, NoMemory

POLICIES = {
    "plateau": 'lr_policy: "plateau" gamma: 0.5 plateau_winsize: 1 plateau_winsize: 2',
    "multistep": 'lr_policy: "multistep" gamma: 0.5 stepvalue: 2 stepvalue: 6',
    "cosine": 'lr_policy: "cosine" min_lr: 0.001 warmup_iter: 3 warmup_start_lr: 0.01',
}


def trained(path: Path) -> Any:
    """The solver after a whole training."""
    solver = caffe.get_solver(str(path))
    solver.solve()
    return solver


@pytest.mark.parametrize("form", ["BINARYPROTO", "HDF5"])
@pytest.mark.parametrize("kind", KINDS)
def test_continue(kind: str, form: str, tmp_path: Path) -> None:
    path = solver_file(tmp_path, kind, f"snapshot: 5 snapshot_format: {form} iter_size: 2")
    whole = trained(path)
    ending = ".h5" if form == "HDF5" else ""
    again = caffe.get_solver(str(path))
    again.step(1)  # whatever was before does not count
    again.solve(tmp_path / f"s_iter_5.solverstate{ending}")
    assert again.iter == 10
    same(weights(again), weights(whole))


@pytest.mark.parametrize("policy", POLICIES)
def test_rates_continue(policy: str, tmp_path: Path) -> None:
    path = solver_file(tmp_path, more=f"snapshot: 5 {POLICIES[policy]}")
    whole = trained(path)
    again = caffe.get_solver(str(path))
    again.solve(tmp_path / "s_iter_5.solverstate")
    assert again.lr == whole.lr
    same(weights(again), weights(whole))


RECURRENT = """
layer { name: "rows" type: "Python" top: "x" top: "label"
  python_param { module: "training_rows" layer: "Rows" } }
layer { name: "goes_on" type: "DummyData" top: "goes_on"
  dummy_data_param { shape { dim: 3 dim: 2 } data_filler { value: 1 } } }
layer { name: "steps" type: "Reshape" bottom: "x" top: "steps"
  reshape_param { shape { dim: 3 dim: 2 dim: 5 } } }
layer { name: "lstm" type: "LSTM" bottom: "steps" bottom: "goes_on" top: "lstm"
  recurrent_param { num_output: 4 weight_filler { type: "xavier" } } }
layer { name: "h" type: "Reshape" bottom: "lstm" top: "h"
  reshape_param { shape { dim: 6 dim: 4 } } }
layer { name: "fc" type: "InnerProduct" bottom: "h" top: "fc"
  inner_product_param { num_output: 3 weight_filler { type: "xavier" } } }
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "fc" bottom: "label" top: "loss" }
"""


@pytest.mark.parametrize("form", ["BINARYPROTO", "HDF5"])
def test_what_a_recurrent_layer_hands_on_is_kept(form: str, tmp_path: Path) -> None:
    path = solver_file(tmp_path, more=f"snapshot: 5 snapshot_format: {form}")
    (tmp_path / "net.prototxt").write_text(RECURRENT)
    whole = trained(path)
    (state,) = tmp_path.glob("s_iter_5.solverstate*")
    again = caffe.get_solver(str(path))
    again.solve(state)
    same(weights(again), weights(whole))
    fewer = RECURRENT.replace("dim: 3 dim: 2", "dim: 6 dim: 1")
    (tmp_path / "net.prototxt").write_text(fewer)
    with pytest.raises(Error, match=r"'lstm' cannot go on .* hands on 8 values, 16 in the snapsh"):
        caffe.get_solver(str(path)).restore(state)


# Layers that a plan does in one step.
IN_ONE_STEP = """
layer { name: "rows" type: "Python" top: "x" top: "label"
  python_param { module: "training_rows" layer: "Rows" } }
layer { name: "image" type: "Reshape" bottom: "x" top: "image"
  reshape_param { shape { dim: 6 dim: 1 dim: 5 dim: 1 } } }
layer { name: "conv" type: "Convolution" bottom: "image" top: "conv"
  convolution_param { num_output: 4 kernel_h: 3 kernel_w: 1 weight_filler { type: "xavier" } } }
layer { name: "bn" type: "BN" bottom: "conv" top: "conv" bn_param { frozen: true
  slope_filler { type: "uniform" min: 0.5 max: 2 } bias_filler { type: "gaussian" } } }
layer { name: "own" type: "Python" bottom: "conv" top: "own"
  python_param { module: "training_rows" layer: "Same" } }
layer { name: "fc" type: "InnerProduct" bottom: "own" top: "fc"
  inner_product_param { num_output: 3 weight_filler { type: "xavier" } } }
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "fc" bottom: "label" top: "loss" }
"""


# Behind a layer that gives its top another shape, too, they are done one by one.
OF_ANOTHER_SHAPE = """
layer { name: "some" type: "Python" bottom: "conv" top: "some" propagate_down: false
  python_param { module: "training_rows" layer: "Some" } }
layer { name: "score" type: "InnerProduct" bottom: "some" top: "score"
  inner_product_param { num_output: 2 weight_filler { type: "xavier" } } }
layer { name: "size" type: "Reduction" bottom: "score" top: "size" loss_weight: 0.1
  reduction_param { operation: SUMSQ } }
"""


class Some(caffe.Layer):
    """The first rows of its bottom, now more, now less."""

    def setup(self, bottom: Any, top: Any) -> None: ...

    def reshape(self, bottom: Any, top: Any) -> None:
        top[0].reshape(1, *bottom[0].shape[1:])

    def forward(self, bottom: Any, top: Any) -> None:
        rows = bottom[0].data[: 1 + int(bottom[0].data.sum()) % 3]
        top[0].reshape(*rows.shape)
        top[0].data[...] = rows


class Same(caffe.Layer):
    """Its top is its bottom."""

    def setup(self, bottom: Any, top: Any) -> None: ...

    def reshape(self, bottom: Any, top: Any) -> None:
        top[0].reshape(*bottom[0].shape)

    def forward(self, bottom: Any, top: Any) -> None:
        top[0].data[...] = bottom[0].data

    def backward(self, top: Any, propagate_down: Any, bottom: Any) -> None:
        bottom[0].diff[...] = top[0].diff


@pytest.mark.parametrize("layer", ["Same", "Some"])
def test_continue_behind_layers_in_python(layer: str, tmp_path: Path, monkeypatch: Any) -> None:
    for made in (Same, Some):
        monkeypatch.setattr(sys.modules["training_rows"], made.__name__, made, raising=False)
    path = solver_file(tmp_path, more="snapshot: 1")
    own = IN_ONE_STEP.index('layer { name: "own"')
    without = IN_ONE_STEP.replace('bottom: "own"', 'bottom: "conv"')
    fc = without.index('layer { name: "fc"')
    some = without[:own] + OF_ANOTHER_SHAPE + without[fc:]
    (tmp_path / "net.prototxt").write_text(IN_ONE_STEP if layer == "Same" else some)
    whole = trained(path)
    for iteration in (1, 5, 9):
        again = caffe.get_solver(str(path))
        again.restore(tmp_path / f"s_iter_{iteration}.solverstate")
        again.step(10 - iteration)
        same(weights(again), weights(whole))


def test_a_snapshot_in_the_last_test_is_that_of_the_end(tmp_path: Path) -> None:
    more = "display: 1 max_iter: 6"  # and so a forward more behind the last iteration
    trained(solver_file(tmp_path / "whole", more=more))
    solver = caffe.get_solver(str(solver_file(tmp_path / "asked", more=more)))
    solver.requested_action = lambda: "snapshot"
    solver.solve()
    whole, asked = (tmp_path / name / "s_iter_6.caffemodel" for name in ("whole", "asked"))
    assert asked.read_bytes() == whole.read_bytes()


def test_what_a_killed_training_had_begun_to_write_goes(tmp_path: Path) -> None:
    path = solver_file(tmp_path, more="max_iter: 1")
    begun = tmp_path / ".s_iter_5.caffemodel.0123abcd.tmp"
    begun.write_bytes(b"half of it")
    trained(path)
    assert not begun.exists()


def test_an_error_saves_the_iteration_before(tmp_path: Path, monkeypatch: Any) -> None:
    path = solver_file(tmp_path / "whole")
    whole = trained(path)
    path = solver_file(tmp_path / "broken")
    monkeypatch.setattr(Rows, "fail_at", 6)
    with pytest.raises(OSError, match="the disk with the rows"):
        trained(path)
    monkeypatch.setattr(Rows, "fail_at", None)
    again = caffe.get_solver(str(path))
    again.solve(tmp_path / "broken/s_iter_6.solverstate")
    same(weights(again), weights(whole))


def test_an_error_after_an_update_saves_that(tmp_path: Path, monkeypatch: Any) -> None:
    solver = caffe.get_solver(str(solver_file(tmp_path, more="snapshot: 2")))

    def fail() -> None:
        raise Error("no snapshot this time")

    monkeypatch.setattr(solver, "snapshot", fail)
    with pytest.raises(Error, match="this time"):
        solver.solve()
    whole = caffe.get_solver(str(solver_file(tmp_path / "whole")))
    whole.step(2)
    again = caffe.get_solver(str(solver_file(tmp_path / "again")))
    again.restore(tmp_path / "s_iter_2.solverstate")
    same(weights(again), weights(whole))


def test_nan_stops_and_is_never_saved(tmp_path: Path, monkeypatch: Any) -> None:
    whole = trained(solver_file(tmp_path / "whole"))
    path = solver_file(tmp_path / "broken")
    monkeypatch.setattr(Rows, "bad_at", 6)
    with pytest.raises(Error, match=r"iteration 6: .* first in layer 'rows' \(Python\), top 'x'"):
        trained(path)
    monkeypatch.setattr(Rows, "bad_at", None)
    assert {p.name for p in path.parent.glob("s_*")} == {
        "s_iter_6.caffemodel",
        "s_iter_6.solverstate",
    }
    again = caffe.get_solver(str(path))
    again.solve(tmp_path / "broken/s_iter_6.solverstate")
    same(weights(again), weights(whole))


@pytest.mark.parametrize(
    ("spoil", "where"),
    [
        (lambda net: net.params["fc2"][0].data.fill(np.nan), "weights of layer 'fc2', blob 0"),
        (
            lambda net: (net.params["bn"][0].data.fill(1e30), net.params["fc2"][0].data.fill(1e30)),
            r"layer 'fc2' \(InnerProduct\), top 'fc2'",
        ),
    ],
)
def test_where_a_nan_came_from(spoil: Any, where: str, tmp_path: Path) -> None:
    solver = caffe.get_solver(str(solver_file(tmp_path)))
    spoil(solver.net)
    with pytest.raises(Error, match=where):
        solver.step(1)


def test_an_update_that_finds_no_memory_names_the_solver(tmp_path: Path, monkeypatch: Any) -> None:
    solver = caffe.get_solver(str(solver_file(tmp_path)))

    def fail(**numbers: float) -> int:
        raise NoMemory("out of memory")

    full = SimpleNamespace(gradient_squares=lambda: [1.0], apply=fail)
    monkeypatch.setattr(solver, "_updater", full)
    with pytest.raises(NoMemory, match=r"solver.prototxt: the update of the weights: out of mem"):
        solver.apply_update()


def test_a_gradient_that_is_not_finite_changes_nothing(tmp_path: Path) -> None:
    solver = caffe.get_solver(str(solver_file(tmp_path)))
    solver.step(2)
    before = weights(solver)

    def spoil() -> None:
        solver.net.params["fc1"][1].diff[3] = np.inf

    solver.add_callback(lambda: None, spoil)
    with pytest.raises(Error, match=r"iteration 2: .* gradient of layer 'fc1', blob 1"):
        solver.step(1)
    after = weights(solver)
    learned = [key for key in before if not key.startswith("bn/")]
    same({key: after[key] for key in learned}, {key: before[key] for key in learned})


def test_an_update_that_overflows_is_not_saved(tmp_path: Path) -> None:
    path = solver_file(tmp_path, more="base_lr: 1e38 test_interval: 0 test_iter: 0")
    path.write_text(path.read_text().replace("test_interval: 0 test_iter: 0", ""))
    with pytest.raises(Error, match=r"not finite"):
        trained(path)
    for file in tmp_path.glob("*.caffemodel"):
        net = caffe.Net(str(tmp_path / "net.prototxt"), str(file), caffe.TRAIN)
        assert all(np.isfinite(b.data).all() for blobs in net.params.values() for b in blobs)


def test_a_training_that_cannot_be_saved_says_why_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    solver = caffe.get_solver(str(solver_file(tmp_path, more="snapshot: 4")))

    def spoil() -> None:
        solver.net.params["bn"][3].data[...] = np.inf

    solver.add_callback(lambda: None, spoil)
    with pytest.raises(Error, match=r"layer 'bn', blob 3"):
        solver.solve()
    (told,) = [r.getMessage() for r in caplog.records if r.levelname == "ERROR"]
    assert told.count("not finite") == 1
    assert told.endswith("; no snapshot was written")


@pytest.mark.parametrize(
    ("spoil", "where"),
    [
        (lambda solver: solver.net.params["fc2"][0], "weights of layer 'fc2', blob 0"),
        # The loss of a training net does not depend on the running variance.
        (lambda solver: solver.net.params["bn"][3], "weights of layer 'bn', blob 3"),
        (lambda solver: solver._updater.history[1], "history blob 1"),
    ],
)
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_snapshot_that_is_not_finite_is_refused(
    spoil: Any, where: str, value: float, tmp_path: Path
) -> None:
    solver = caffe.get_solver(str(solver_file(tmp_path)))
    solver.step(2)
    solver.snapshot()
    files = {path: path.read_bytes() for path in tmp_path.glob("s_*")}
    assert len(files) == 2
    spoil(solver).data.ravel()[-1] = value
    with pytest.raises(Error, match=rf"iteration 2: .* first in (the )?{where}.*no snapshot"):
        solver.snapshot()
    assert {path: path.read_bytes() for path in tmp_path.glob("s_*")} == files


def test_statistics_that_are_not_finite_stop_a_training(tmp_path: Path) -> None:
    solver = caffe.get_solver(str(solver_file(tmp_path, more="snapshot: 2")))
    solver.net.params["bn"][3].data[0] = np.nan
    with pytest.raises(Error, match=r"layer 'bn', blob 3"):
        solver.solve()
    assert not list(tmp_path.glob("s_*"))


@pytest.mark.parametrize("form", ["BINARYPROTO", "HDF5"])
def test_a_full_disk_leaves_the_last_snapshot(form: str, tmp_path: Path, monkeypatch: Any) -> None:
    path = solver_file(tmp_path, more=f"snapshot_format: {form}")
    solver = caffe.get_solver(str(path))
    solver.step(2)
    solver.snapshot()
    files = {p: p.read_bytes() for p in tmp_path.glob("s_*")}
    assert len(files) == 2

    def full(*_: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    words = (
        r"cannot write .*No space left.*make room.*; the last snapshot is .*s_iter_2.solverstate"
    )
    with pytest.raises(DiskFull, match=words):
        solver.snapshot()
    assert {p: p.read_bytes() for p in tmp_path.iterdir() if p in files} == files
    assert not list(tmp_path.glob(".*"))


def test_a_training_says_once_that_the_disk_is_full(
    tmp_path: Path, monkeypatch: Any, caplog: Any
) -> None:
    solver = caffe.get_solver(str(solver_file(tmp_path, more="snapshot: 4")))

    def full(*_: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(DiskFull, match=r"cannot write .*No space left.*there is no snapshot"):
        solver.solve()
    assert solver.iter == 4
    assert "No space left" not in caplog.text


def test_a_training_that_could_not_be_saved_does_not_begin(tmp_path: Path) -> None:
    path = solver_file(tmp_path)
    text = path.read_text()
    path.write_text(text.replace(f"{tmp_path}/s", f"{path}/deep/s"))
    solver = caffe.get_solver(str(path))
    with pytest.raises(Error, match=r"cannot write .*deep: .*snapshot_prefix"):
        solver.solve()
    assert solver.iter == 0
    path.write_text(text.replace(f"{tmp_path}/s", f"{tmp_path}/new/deep/s"))
    trained(path)
    assert (tmp_path / "new/deep/s_iter_10.solverstate").exists()


def test_a_solver_in_a_folder_whose_name_is_no_text(tmp_path: Path) -> None:
    text = solver_file(tmp_path / "folder").read_text().split("snapshot_prefix")[0]
    folder = (tmp_path / "folder").rename(tmp_path / os.fsdecode(b"caf\xe9"))
    path = folder / "solver.prototxt"
    path.write_text(text)
    with pytest.raises(Error, match="called like it, and it is no UTF-8; give a snapshot_prefix"):
        caffe.get_solver(str(path))
    path.write_text(text + f'snapshot_prefix: "{tmp_path}/s"')
    trained(path)
    assert (tmp_path / "s_iter_10.solverstate").exists()


def test_a_copied_snapshot_goes_on_with_the_weights_beside_it(tmp_path: Path) -> None:
    path = solver_file(tmp_path / "here", more="snapshot: 5")
    whole = trained(path)
    shutil.copytree(tmp_path / "here", tmp_path / "copy")
    (tmp_path / "here/s_iter_5.caffemodel").write_bytes(b"of another training")
    again = caffe.get_solver(str(path))
    again.solve(tmp_path / "copy/s_iter_5.solverstate")
    same(weights(again), weights(whole))


def test_a_state_is_the_message_of_caffe(tmp_path: Path) -> None:
    place = caffe_pb2.SolverPlace(random_state=7)
    shapes = [(2, 3, 1), (), (0, 4), (300,)]
    history = [np.random.default_rng(4).normal(0, 1, shape).astype("f4") for shape in shapes]
    snapshot.write(snapshot.State(3, "w", 1, history, place), str(tmp_path / "s"))
    state = caffe_pb2.SolverState.FromString((tmp_path / "s").read_bytes())
    assert (state.iter, state.learned_net, state.current_step) == (3, "w", 1)
    assert state.place == place
    for blob, values in zip(state.history, history, strict=True):
        assert tuple(blob.shape.dim) == values.shape
        np.testing.assert_array_equal(blob.data, values.ravel())


def test_hdf5_that_cannot_be_written_is_said_at_once(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setitem(sys.modules, "h5py", None)
    path = solver_file(tmp_path, more="snapshot_format: HDF5")
    with pytest.raises(Error, match=r"solver.prototxt: snapshot_format HDF5 needs h5py: pip"):
        caffe.get_solver(str(path))


def test_upstream_reads_the_hdf5_state(tmp_path: Path) -> None:
    import h5py

    state = snapshot.State(
        3, "w.caffemodel.h5", 1, [np.ones((2, 3), "f4")], caffe_pb2.SolverPlace()
    )
    snapshot.write_hdf5(state, str(tmp_path / "s"))
    with h5py.File(tmp_path / "s") as file:
        kind = file["learned_net"].id.get_type()
        assert not kind.is_variable_str()
        assert kind.get_size() == len("w.caffemodel.h5") + 1
        assert (file["iter"].dtype, file["iter"].shape) == (np.int32, (1,))
        assert file["history/0"].shape == (2, 3)
    read = snapshot.read(str(tmp_path / "s"))
    assert read._replace(history=[]) == state._replace(history=[])


def test_a_state_of_upstream_needs_no_place(tmp_path: Path) -> None:
    state = caffe_pb2.SolverState(iter=2, learned_net="w")
    (tmp_path / "s").write_bytes(state.SerializeToString())
    assert snapshot.read(str(tmp_path / "s")).place == caffe_pb2.SolverPlace()


DAMAGE = {
    "empty": lambda data: b"",
    "cut": lambda data: data[: len(data) // 2],
    "text": lambda data: b"iter: 5",
    "one blob less": lambda data: _changed(data, lambda s: s.history.pop()),
    "another shape": lambda data: _changed(data, lambda s: s.history[0].data.append(1)),
    "no weights": lambda data: _changed(data, lambda s: s.ClearField("learned_net")),
    "weights gone": lambda data: _changed(data, lambda s: setattr(s, "learned_net", "gone")),
    "weights that are no text": lambda data: data.replace(b"s_iter_2.caffe", b"\xff_iter_2.caffe"),
}


def _changed(data: bytes, change: Any) -> bytes:
    state = caffe_pb2.SolverState.FromString(data)
    change(state)
    return state.SerializeToString()


@pytest.mark.parametrize("damage", DAMAGE)
def test_damaged_states(damage: str, tmp_path: Path) -> None:
    solver = caffe.get_solver(str(solver_file(tmp_path)))
    solver.step(2)
    solver.snapshot()
    before = weights(solver)
    state = tmp_path / "s_iter_2.solverstate"
    state.write_bytes(DAMAGE[damage](state.read_bytes()))
    with pytest.raises(Error, match=r"s_iter_2\.solverstate"):
        solver.restore(state)
    assert solver.iter == 2
    same(weights(solver), before)


def test_the_state_of_another_solver(tmp_path: Path) -> None:
    adam = caffe.get_solver(str(solver_file(tmp_path, "Adam")))
    adam.step(1)
    adam.snapshot()
    sgd = caffe.get_solver(str(solver_file(tmp_path, "SGD")))
    with pytest.raises(Error, match="another net or of another type of solver"):
        sgd.restore(tmp_path / "s_iter_1.solverstate")
