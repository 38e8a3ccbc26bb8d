"""A GPU that fails in the middle of an extraction or a training, or has no room for it."""

from __future__ import annotations

import json
import shutil
import textwrap
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import training_nets

from p3d.training import record

GOLDEN = Path(__file__).parents[1] / "golden" / "tiny"
NET, WEIGHTS = GOLDEN / "tiny.prototxt", GOLDEN / "tiny_seeded.caffemodel"
ON_CPU = "from now on the net runs on the CPU"


def close(got: np.ndarray, want: np.ndarray) -> None:
    np.testing.assert_allclose(got, want, rtol=0, atol=1e-5 * np.abs(want).max())


# --- extraction


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory, real_video: Path) -> Path:
    """A folder with three videos."""
    folder = tmp_path_factory.mktemp("videos")
    for name in "abc":
        shutil.copy(real_video, folder / f"{name}.mp4")
    return folder


def extract(run, videos: Path, out: Path, *more: object, **variables: str):
    command = ["-m", "p3d", "extract", videos, "--net", NET, "--weights", WEIGHTS, "--out", out]
    return run(*command, "--clips", "4", "--decoders", "0", *more, **variables)


@pytest.fixture(scope="module")
def on_cpu(videos: Path, tmp_path_factory: pytest.TempPathFactory) -> np.ndarray:
    """The features of each of the videos."""
    from p3d import Extractor

    return Extractor(WEIGHTS, NET, clips=4, decoders=0).extract(videos / "a.mp4")["pool5"]


@pytest.mark.parametrize("fault", ["1", "30", "30 once", "100"])
def test_an_extraction_goes_on_without_its_gpu(fault, run, videos, on_cpu, tmp_path) -> None:
    gpu = ["--device", "cuda:0", "--batch", "2"]
    done = extract(run, videos, tmp_path, *gpu, P3D_SIMULATED_FAULT=fault)
    assert done.returncode == 0, done.stderr
    (warning,) = [line for line in done.stderr.splitlines() if "simulated GPU" in line]
    assert f"fails on the simulated GPU; {ON_CPU}" in warning
    assert not (tmp_path / "failed.jsonl").exists()
    for name in "abc":
        close(np.load(tmp_path / f"{name}.npy"), on_cpu)
    again = extract(run, videos, tmp_path, "--dry-run")
    assert "3 done" in again.stdout, "what was made in part on the CPU is complete"


def test_the_fault_was_in_the_middle(run) -> None:
    """Videos before it are done on the GPU, that in hand and later ones on the CPU."""
    code = f"""
    import numpy as np
    from p3d import Extractor, _core, gpu
    gpu.run(True)
    extractor = Extractor({str(WEIGHTS)!r}, {str(NET)!r}, batch=2, decoders=0)
    clips = np.random.default_rng(0).uniform(-100, 100, (3, 3, 8, 32, 32)).astype(np.float32)
    sides = []
    for features in extractor.extract_many([clips] * 8):
        assert not isinstance(features, Exception), features
        sides.append(_core.gpu_mode())
        first = features["pool5"] if len(sides) == 1 else first
        np.testing.assert_allclose(features["pool5"], first, rtol=0, atol=1e-5 * first.max())
    print(sides)
    """
    done = run("-c", textwrap.dedent(code), P3D_SIMULATED_FAULT="100")
    assert done.returncode == 0, done.stderr
    sides = json.loads(done.stdout.lower())
    assert sides == sorted(sides, reverse=True), sides
    assert sides[0], sides
    assert not sides[-1], sides


def test_a_batch_for_which_there_is_no_room(run, videos, on_cpu, tmp_path) -> None:
    gpu = ["--device", "cuda:0", "--batch", "64"]
    done = extract(run, videos, tmp_path, *gpu, P3D_SIMULATED_MIB="1")
    assert done.returncode == 0, done.stderr
    (warning,) = [line for line in done.stderr.splitlines() if "simulated GPU" in line]
    assert "has no room for" in warning
    assert "fit and are taken from now on" in warning
    for name in "abc":
        close(np.load(tmp_path / f"{name}.npy"), on_cpu)


# --- training

_TRAIN = "import sys, training_nets; from p3d import cli; sys.exit(cli.main(sys.argv[1:]))"
MORE = "display: 2 snapshot: 3 max_iter: 12"


def train(run, solver: Path, *more: object, device: str = "cuda:0", **variables: str):
    command = ["train", "--solver", solver, "--device", device]
    return run("-c", _TRAIN, *command, *more, **variables)


def state(solver: Path, iteration: int) -> Path:
    return solver.with_name(f"s_iter_{iteration}.solverstate")


def files(solver: Path, iteration: int) -> tuple[bytes, ...]:
    """What a snapshot is made of."""
    path = state(solver, iteration)
    return tuple(path.with_suffix(end).read_bytes() for end in (".caffemodel", ".solverstate"))


def blobs(model: Any) -> list[Any]:
    return [blob for layer in model.layer for blob in layer.blobs]


@pytest.fixture
def whole(run, tmp_path: Path) -> Path:
    """The solver of a training on the GPU that nothing disturbed."""
    solver = training_nets.solver_file(tmp_path / "whole", more=MORE)
    done = train(run, solver)
    assert done.returncode == 0, done.stderr
    return solver


def test_a_training_is_that_of_the_processor(run, whole: Path, tmp_path: Path) -> None:
    from p3d.caffe import snapshot
    from p3d.caffe.proto import caffe_pb2

    solver = training_nets.solver_file(tmp_path / "cpu", more=MORE)
    assert train(run, solver, device="cpu").returncode == 0
    want, got = (
        [
            (e["event"], e["iter"], {**e["outputs"], "all": e.get("loss", 0)})
            for e in record.read(str(path))
        ]
        for path in (solver.with_name("train.jsonl"), whole.with_name("train.jsonl"))
    )
    assert len(got) == len(want) > 0
    for ours, theirs in zip(got, want, strict=True):
        assert ours[:2] == theirs[:2]
        for name, values in theirs[2].items():
            assert ours[2][name] == pytest.approx(values, rel=1e-5), (name, theirs[:2])
    histories = [snapshot.read(str(state(path, 12))).history for path in (whole, solver)]
    assert [one.shape for one in histories[0]] == [one.shape for one in histories[1]]
    close(*(np.concatenate([one.ravel() for one in history]) for history in histories))
    models = [caffe_pb2.NetParameter.FromString(files(path, 12)[0]) for path in (whole, solver)]
    close(*(np.concatenate([blob.data for blob in blobs(model)]) for model in models))
    for model in models:
        for blob in blobs(model):
            blob.ClearField("data")
    assert models[0] == models[1], "all but the values is equal"


def test_a_fault_in_an_update_is_told(run, tmp_path: Path) -> None:
    """The weights may be those of two iterations then: nothing is saved, and a line says so."""
    code = f"""
        import training_nets
        import p3d.caffe as caffe
        caffe.set_device(0); caffe.set_mode_gpu()
        made = caffe.get_solver({str(training_nets.solver_file(tmp_path / "update", more=MORE))!r})
        class Failing:
            updater = made._updater
            def __getattr__(self, name): return getattr(self.updater, name)
            def apply(self, **numbers):
                if made.iter == 1: raise RuntimeError("kernel 7 fails")
                return self.updater.apply(**numbers)
        made._updater = Failing()
        try: made.solve()
        except RuntimeError as error: assert str(error) == "kernel 7 fails"
        else: raise AssertionError("no error")
    """
    done = run("-c", textwrap.dedent(code))
    assert done.returncode == 0, done.stderr
    assert "kernel 7 fails; this came in the middle of an update" in done.stderr


@pytest.mark.parametrize("fault", ["1", "200", "150 once"])
def test_a_training_whose_gpu_fails_keeps_its_snapshots(fault, run, whole, tmp_path) -> None:
    solver = training_nets.solver_file(tmp_path / "failed", more=MORE)
    done = train(run, solver, P3D_SIMULATED_FAULT=fault)
    assert done.returncode == 1, done.stderr
    assert "fails on the simulated GPU" in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr
    saved = [i for i in range(1, 13) if state(solver, i).exists()]
    assert bool(saved) == (fault != "1"), "the fault was not in the middle"
    for iteration in saved:
        if state(whole, iteration).exists():
            assert files(solver, iteration)[0] == files(whole, iteration)[0]
    going_on = ["--snapshot", state(solver, saved[-1])] if saved else []
    assert train(run, solver, *going_on).returncode == 0
    assert files(solver, 12)[0] == files(whole, 12)[0]


def test_a_killed_training_goes_on_as_if_nothing_had_been(run, whole, tmp_path) -> None:
    """Killed in the middle of an iteration, after every snapshot anew."""
    solver = training_nets.solver_file(tmp_path / "killed", more=MORE)
    for iteration in (4, 8):
        code = f"""
        import os, signal
        def forward(self, bottom, top, rows=training_nets.Rows.forward):
            if self.phase == 0 and self.position == {iteration}:
                os.kill(os.getpid(), signal.SIGKILL)
            rows(self, bottom, top)
        training_nets.Rows.forward = forward
        """
        program = _TRAIN.replace("; sys.exit", "\n" + textwrap.dedent(code) + "sys.exit")
        going_on = ["--snapshot", state(solver, 3)] if iteration == 8 else []
        command = ["train", "--solver", solver, "--device", "cuda:0", *going_on]
        assert run("-c", program, *command).returncode == -9
    assert train(run, solver, "--snapshot", state(solver, 6)).returncode == 0
    assert files(solver, 12)[0] == files(whole, 12)[0]


WIDE = """
layer { name: "data" type: "DummyData" top: "x" top: "label"
  dummy_data_param { shape { dim: 64 dim: 5000 } shape { dim: 64 }
    data_filler { type: "gaussian" std: 1 } data_filler { type: "constant" value: 1 } } }
layer { name: "fc" type: "InnerProduct" bottom: "x" top: "fc"
  inner_product_param { num_output: 3 weight_filler { type: "xavier" } } }
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "fc" bottom: "label" top: "loss" }
"""


def test_a_training_for_which_there_is_no_room(run, tmp_path) -> None:
    (tmp_path / "net.prototxt").write_text(WIDE)
    solver = tmp_path / "solver.prototxt"
    solver.write_text(
        f'net: "net.prototxt" base_lr: 0.01 lr_policy: "fixed" max_iter: 4 momentum: 0.9 '
        f'snapshot_prefix: "{tmp_path}/s"'
    )
    assert train(run, solver).returncode == 0
    before = files(solver, 4)
    solver.write_text(solver.read_text().replace("max_iter: 4", "max_iter: 8"))
    going_on = ["--snapshot", state(solver, 4)]
    done = train(run, solver, *going_on, P3D_SIMULATED_MIB="1")
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    message = done.stderr.splitlines()[-1]
    assert "has no room for" in message
    assert "a smaller batch needs less" in message
    assert files(solver, 4) == before
    assert train(run, solver, *going_on).returncode == 0
    assert state(solver, 8).exists()


def test_a_full_gpu_teaches_a_smaller_batch(run, tmp_path) -> None:
    shapes = "input_param { shape { dim: 64 dim: 5000 } shape { dim: 64 } } }"
    layers = WIDE[WIDE.index('layer { name: "fc"') :]
    net = tmp_path / "net.prototxt"
    net.write_text(f'layer {{ name: "in" type: "Input" top: "x" top: "label" {shapes}{layers}')
    code = f"""
    import numpy as np
    import p3d.caffe as caffe
    from p3d import _core
    from p3d.error import OutOfMemory

    net = caffe.Net({str(net)!r}, caffe.TRAIN)
    x, label, weights = net.blobs["x"], net.blobs["label"], net.params["fc"][0]

    def gradient(count):
        x.reshape(count, 5000)
        label.reshape(count)
        x.data[...] = np.random.default_rng(count).normal(0, 1, x.shape)
        label.data[...] = 1
        net.clear_param_diffs()
        net.forward()
        net.backward()
        return weights.diff.copy()

    want = gradient(4)
    caffe.set_mode_gpu()
    for _ in range(3):
        try:
            gradient(64)
            raise SystemExit("no error")
        except OutOfMemory as error:
            assert "no room for 1280000 bytes more" in str(error), error
        np.testing.assert_allclose(gradient(4), want, rtol=0, atol=1e-5 * want.max())
    del net, x, label, weights
    assert _core.gpu_bytes_in_use() == 0
    """
    done = run("-c", textwrap.dedent(code), P3D_SIMULATED_MIB="1")
    assert done.returncode == 0, done.stderr


# --- sides


@pytest.mark.parametrize("count", [3, 2])
def test_after_a_fault_the_processor_goes_on(count, run) -> None:
    """With as many clips as before, or with fewer."""
    code = f"""
    import numpy as np
    import p3d.caffe as caffe
    from p3d.error import Error

    net = caffe.Net({str(NET)!r}, {str(WEIGHTS)!r}, caffe.TEST)
    values = np.random.default_rng(1).uniform(-100, 100, (3, 3, 8, 32, 32))

    def forward(count):
        net.blobs["data"].reshape(count, 3, 8, 32, 32)
        net.blobs["data"].data[...] = values[:count]
        return net.forward()["prob"].copy()

    want = forward({count})
    caffe.set_mode_gpu()
    errors = 0
    for _ in range(9):
        try:
            forward(3)
        except Error:
            errors += 1
    assert 0 < errors < 9, errors
    caffe.set_mode_cpu()
    np.testing.assert_array_equal(forward({count}), want)
    """
    done = run("-c", textwrap.dedent(code), P3D_SIMULATED_FAULT="90")
    assert done.returncode == 0, done.stderr


def test_modes_are_set_while_nets_run(run) -> None:
    """From another thread: every forward is whole, on one side; weights are shared meanwhile."""
    code = f"""
    import threading
    import numpy as np
    import p3d.caffe as caffe

    def make():
        net = caffe.Net({str(NET)!r}, {str(WEIGHTS)!r}, caffe.TEST)
        data = net.blobs["data"]
        data.data[...] = np.random.default_rng(1).uniform(-100, 100, data.shape)
        return net

    want = make().forward()["prob"].copy()
    wrong, stop = [], threading.Event()

    def set_modes():
        caffe.set_device(0)
        while not stop.is_set():
            caffe.set_mode_gpu()
            caffe.set_mode_cpu()

    def forward(net):
        try:
            for _ in range(200):
                got = net.forward()["prob"]
                np.testing.assert_allclose(got, want, rtol=0, atol=1e-5 * want.max())
        except BaseException as error:
            wrong.append(error)

    nets = [make() for _ in range(3)]
    for net in nets[1:]:
        net.share_with(nets[0])
    setters = [threading.Thread(target=set_modes)]
    runners = [threading.Thread(target=forward, args=[net]) for net in nets]
    for thread in setters + runners:
        thread.start()
    for thread in runners:
        thread.join()
    stop.set()
    for thread in setters:
        thread.join()
    if wrong:
        raise wrong[0]
    """
    done = run("-c", textwrap.dedent(code))
    assert done.returncode == 0, done.stderr[-3000:]


def test_nets_on_both_sides_share_weights(run) -> None:
    code = f"""
    import numpy as np
    import p3d.caffe as caffe

    net = caffe.Net({str(NET)!r}, {str(WEIGHTS)!r}, caffe.TEST)
    other = caffe.Net({str(NET)!r}, caffe.TEST)
    other.share_with(net)
    values = np.random.default_rng(1).uniform(-100, 100, net.blobs["data"].shape)
    for each in (net, other):
        each.blobs["data"].data[...] = values
    for scale in (1, 0.5, 2):
        net.params["conv1"][0].data[...] *= scale
        caffe.set_mode_gpu()
        on_gpu = net.forward()["prob"].copy()
        caffe.set_mode_cpu()
        on_cpu = other.forward()["prob"]
        np.testing.assert_allclose(on_gpu, on_cpu, rtol=0, atol=1e-5 * on_cpu.max())
        np.testing.assert_array_equal(net.params["conv1"][0].data, other.params["conv1"][0].data)
    """
    done = run("-c", textwrap.dedent(code))
    assert done.returncode == 0, done.stderr[-3000:]
