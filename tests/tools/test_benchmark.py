"""tools/benchmark.py: that it compares results before it times, and what it counts.

Nothing here looks at how long anything took.
"""

from __future__ import annotations

import json
import os
import sys
from functools import partial

import benchmark
import numpy as np
import pytest
from benchmarking import files, machine, training_files
from benchmarking.race import Row, _difference, _finish, _take_turns, race
from benchmarking.systems import BF16, OURS, SYSTEMS, System
from benchmarking.training_systems import TRAINING, load_caffe, upstream
from benchmarking.worker import Failed, Worker, installed
from recipe import GOLDEN

import p3d.caffe as caffe
from p3d import _core, models
from p3d.caffe import prototxt

pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

NET = str(GOLDEN / "tiny/tiny.prototxt")
WEIGHTS = str(GOLDEN / "tiny/tiny_seeded.caffemodel")
ORT = SYSTEMS["onnxruntime"]


@pytest.fixture(autouse=True)
def restore():
    threads = _core.num_threads()
    yield
    _core.set_num_threads(threads)


@pytest.fixture
def job(tmp_path):
    return files.prepare(NET, WEIGHTS, batch=2, threads=1, folder=str(tmp_path))[0]


prepare = files.prepare


def spoil(job, folder):
    """The job with an ONNX file that has other weights."""
    os.mkdir(folder)
    other, _ = prepare(NET, None, batch=2, threads=1, folder=str(folder))
    return job._replace(onnx=other.onnx)


def run(job, *systems):
    rows = race([OURS, *systems], job, batch=2, rounds=2, forwards=2)
    assert [row.system for row in rows] == [OURS.name, *(s.name for s in systems)]
    return rows


def test_the_whole_program(capsys):
    arguments = ["--net", NET, "--weights", WEIGHTS, "--threads", "1", "--forwards", "1"]
    systems = ["--systems", "onnxruntime", "caffe-p3d", "--batch", "1", "3"]
    assert benchmark.main([*arguments, *systems, "--json"]) == 0
    data = json.loads(capsys.readouterr().out)
    assert [run["batch"] for run in data["runs"]] == [1, 3]
    for one in data["runs"]:
        assert one["rounds"] >= 10
        assert one["threads"] == 1
        assert one["floor_ms"] == pytest.approx(2e3 * one["gmac"] / one["peak_gflops"])
        assert one["floor_without_padding_ms"] < one["floor_ms"]
        assert [row["system"] for row in one["rows"]] == ["caffe-p3d", "onnxruntime"]
        for row in one["rows"]:
            assert row["fault"] == ""
            assert row["difference"] < 1e-5
            assert 0 < row["min_ms"] <= row["ms_per_clip"]
            assert row["first_result_s"] > 0
            assert row["peak_mib"] > 20
        assert one["rows"][0]["times_ours"] == pytest.approx(1)
        assert one["rows"][1]["difference"] > 0, "the same program twice?"
    table = "\n".join(benchmark._lines(data))
    assert table.count("onnxruntime") == 2
    assert machine.line(data["machine"]) in table


def test_other_results_are_not_timed(job, tmp_path):
    ours, other = run(spoil(job, tmp_path / "other"), ORT)
    assert ours.ms_per_clip > 0
    assert other.fault.startswith("REFUSED")
    assert other.difference > 1e-4
    assert (other.ms_per_clip, other.min_ms, other.times_ours) == (None, None, None)


def test_a_refusal_is_the_exit_code(monkeypatch, tmp_path, capsys):
    def prepare_wrong(*arguments, **options):
        job, work = prepare(*arguments, **options)
        return spoil(job, tmp_path / "other"), work

    monkeypatch.setattr(files, "prepare", prepare_wrong)
    arguments = ["--net", NET, "--weights", WEIGHTS, "--batch", "2", "--forwards", "1"]
    assert benchmark.main([*arguments, "--systems", "onnxruntime"]) == 1
    out = capsys.readouterr().out
    assert "REFUSED: pool5 differs by" in out


def test_a_system_that_fails_stops_nobody(job, tmp_path):
    (tmp_path / "broken.onnx").write_bytes(b"no such thing")
    dies = System("dies", "onnxruntime", partial(_die, code=7))
    missing = System("missing", "nothing_of_this_name", _die)
    ours, broken, dead, absent = run(
        job._replace(onnx=str(tmp_path / "broken.onnx")), ORT, dies, missing
    )
    assert ours.ms_per_clip > 0
    assert broken.fault.startswith("fails: ")
    assert "broken.onnx" in broken.fault
    assert dead.fault == "fails: its process ended with code 7"
    assert absent.fault == "not installed"
    text = "\n".join(benchmark._table([row._asdict() for row in (ours, broken, dead, absent)]))
    assert "not installed" in text


def _die(job, code=1):
    os._exit(code)


def test_an_engine_that_fails_is_an_error(job):
    with pytest.raises(RuntimeError, match="nowhere"):
        run(job._replace(weights="nowhere.caffemodel"), ORT)


def test_a_worker_says_what_went_wrong(job):
    worker = Worker(ORT, job._replace(onnx="nowhere.onnx"))
    try:
        with pytest.raises(Failed, match=r"nowhere\.onnx"):
            worker.start()
        with pytest.raises(Failed):
            worker.run(1)
    finally:
        worker.stop()


@pytest.mark.parametrize("whole", [False, True])
def test_differences(whole):
    a = np.float32([[3, -4]])
    off = {False: 0.125, True: 0.1}[whole]
    assert _difference(a + np.float32([[0, 0.5]]), a, whole) == pytest.approx(off)
    assert _difference(np.float32([3, -4]), a, whole) == np.inf
    assert not _difference(np.float32([[3, np.nan]]), a, whole) <= 0.1
    assert _difference(a, np.float32([[3, np.nan]]), whole) == np.inf


class FakeWorker:
    """Takes 1 s for a forward in the first round, 2 s in the second...; twice that to warm up."""

    log: list[tuple[str, int]]

    def __init__(self, system, factor, log):
        self.system, self.factor, self.log, self.turn = system, factor, log, 0

    def run(self, forwards):
        self.turn += 1
        self.log.append((self.system.name, forwards))
        seconds = self.turn * self.factor
        return [2 * seconds] + [seconds] * (forwards - 1)

    def peak_memory(self):
        return 100.0


def test_turns_and_statistics():
    log = []
    two = System("two", "x", _die, clips=2)
    workers = {"caffe-p3d": FakeWorker(OURS, 1, log), "two": FakeWorker(two, 3, log)}
    times = _take_turns(workers, 3, 4, lambda line: None)
    assert [name for name, _ in log] == ["caffe-p3d", "two", "two", "caffe-p3d", "caffe-p3d", "two"]
    assert {count for _, count in log} == {5}
    assert times["caffe-p3d"] == [[1.0] * 4, [2.0] * 4, [3.0] * 4]
    row = _finish(Row("two", BF16), workers["two"], times["two"], times["caffe-p3d"], batch=4)
    assert row.ms_per_clip == 6e3 / (4 * 2)
    assert row.min_ms == 3e3 / (4 * 2)
    assert row.times_ours == 1.5
    assert row.peak_mib == 100


@pytest.mark.parametrize(
    "arguments",
    [
        ["--rounds", "9"],
        ["--batch", "0"],
        ["--systems", "x"],
        ["--bn", "frozen"],
        ["--upstream", "python3"],
        ["--systems", "onnxruntime", "--train"],
        ["--bn", "melted", "--train"],
        ["--upstream", "no-such-python", "--train"],
    ],
)
def test_usage_errors(arguments, capsys):
    with pytest.raises(SystemExit):
        benchmark.main(arguments)
    assert arguments[0] in capsys.readouterr().err


def test_every_system_that_is_not_installed_is_named(monkeypatch, job):
    assert installed(OURS)
    assert not installed(System("x", "nothing_of_this_name", _die))
    assert not installed(System("x", "nothing", _die, imports="nothing_of_this_name.part"))


@pytest.fixture
def training(tmp_path):
    """Makes a Training of the tiny net."""

    def make(frozen=True, net=NET, folder="."):
        os.makedirs(tmp_path / folder, exist_ok=True)
        place = str(tmp_path / folder)
        options = {"batch": 2, "threads": 1, "folder": place, "frozen": frozen}
        return training_files.prepare(net, WEIGHTS, **options)[0]

    return make


def train(job, *others):
    rows = race([TRAINING[OURS.name], *others], job, batch=2, rounds=2, forwards=1)
    return [row._asdict() for row in rows]


def test_the_whole_program_trains(capsys):
    arguments = ["--train", "--net", NET, "--weights", WEIGHTS, "--threads", "1", "--json"]
    options = ["--batch", "3", "--bn", "training", "--systems", OURS.name, "--forwards", "1"]
    assert benchmark.main([*arguments, *options]) == 0
    data = json.loads(capsys.readouterr().out)
    (one,) = data["runs"]
    assert (one["batch"], one["bn"], one["threads"]) == (3, "training", 1)
    assert one["floor_ms"] == pytest.approx(3 * 2e3 * one["gmac"] / one["peak_gflops"])
    (row,) = one["rows"]
    assert (row["system"], row["fault"], row["difference"]) == (OURS.name, "", 0)
    assert 0 < row["min_ms"] <= row["ms_per_clip"]
    assert row["peak_mib"] > 20
    table = "\n".join(benchmark._lines(data))
    assert "steps of training with every BN training" in table
    assert "3 x direct convolution" in table


@pytest.mark.parametrize(
    ("arguments", "cases"),
    [
        (
            [],
            [
                ("p3d199-kinetics", 1, "frozen"),
                ("p3d199-kinetics", 4, "frozen"),
                ("p3d63-kinetics", 4, "training"),
            ],
        ),
        (["--net", "x"], [("x", 1, "frozen"), ("x", 4, "frozen")]),
        (["--batch", "2", "--bn", "training"], [("p3d199-kinetics", 2, "training")]),
    ],
)
def test_cases_of_training(arguments, cases):
    assert benchmark._cases(benchmark._arguments(["--train", *arguments])) == cases


@pytest.mark.parametrize("frozen", [True, False])
def test_what_a_step_changes(training, frozen):
    job = training(frozen)
    solver = caffe.get_solver(faster(job, 1e4).solver)
    solver.net.copy_from(job.weights)
    blobs = {f"{k}/{i}": b for k, own in solver.net.params.items() for i, b in enumerate(own)}
    before = {name: blob.data.copy() for name, blob in blobs.items()}
    solver.net.blobs["data"].data[...] = np.load(job.clip)
    solver.net.blobs["label"].data[...] = np.load(job.labels)
    solver.step(1)
    changed = {name for name, blob in blobs.items() if (blob.data != before[name]).any()}
    norms = {layer for layer, kind in solver.net.layer_dict.items() if kind.type == "BN"}
    statistics = {f"{layer}/{i}" for layer in norms for i in (2, 3)}
    assert changed == {blob.name for blob in job.learned} | (set() if frozen else statistics)
    assert bool(norms & {blob.layer for blob in job.learned}) == (not frozen)
    fc = [blob for blob in job.learned if blob.layer == "fc_tiny"]
    assert [(blob.lr_mult, blob.decay_mult) for blob in fc] == [(10, 1), (20, 0)]


def test_nothing_is_dropped():
    deploy = prototxt.parse_net(models.prototxt("p3d63-kinetics"))
    net = training_files._train_net(deploy, 4, frozen=False)
    layers = {layer.name: layer for layer in net.layer}
    assert layers["pool5_drop"].dropout_param.dropout_ratio == 0
    assert list(layers["label"].input_param.shape[0].dim) == [4]
    assert list(layers["loss"].bottom) == ["fc_kinetics", "label"]


def faster(job, factor):
    """The job with another rate."""
    rate = training_files.RATE
    path = f"{job.solver}.faster"
    with open(job.solver) as file:
        text = file.read()
    assert f"base_lr: {rate} " in text
    with open(path, "w") as file:
        file.write(text.replace(f"base_lr: {rate} ", f"base_lr: {rate * factor} "))
    return job._replace(solver=path)


def load_faster(job, factor):
    return load_caffe(faster(job, factor), OURS.module)


def load_instead(job, load, other):
    return load(other)


def test_another_training_is_not_timed(training):
    other = TRAINING[OURS.name]._replace(name="other", load=partial(load_faster, factor=1.1))
    ours, other = train(training(), other)
    assert ours["ms_per_clip"] > 0
    assert other["fault"].startswith("REFUSED")
    assert other["difference"] == pytest.approx(0.1, rel=0.1)
    assert other["ms_per_clip"] is None


def test_another_python(training, tmp_path, monkeypatch):
    """It gets its modules from PYTHONPATH alone."""
    (tmp_path / "caffe.py").write_text("from p3d.caffe import *\n__version__ = '7.7'\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    _, other = train(training(), upstream(sys.executable))
    assert (other["fault"], other["version"], other["difference"]) == ("", "7.7", 0)
    (tmp_path / "caffe.py").write_text("raise ImportError('no Boost.Python')\n")
    _, other = train(training(), upstream(sys.executable))
    assert other["fault"] == "fails: ImportError: no Boost.Python"


@pytest.mark.parametrize("frozen", [True, False])
def test_torch_trains_the_same(training, frozen, tmp_path):
    pytest.importorskip("torch")
    job = training(frozen)
    _, torch, last = train(job, TRAINING["torch"], TRAINING["torch-last"])
    assert [torch["fault"], last["fault"]] == ["", ""]
    assert 0 < torch["difference"] < 1e-3
    other = np.load(job.labels)[::-1]
    np.save(tmp_path / "other.npy", other)
    spoiled = job._replace(labels=str(tmp_path / "other.npy"))
    load = partial(load_instead, load=TRAINING["torch"].load, other=spoiled)
    _, wrong = train(job, TRAINING["torch"]._replace(load=load))
    assert wrong["fault"].startswith("REFUSED")


def test_a_net_without_a_softmax(training, tmp_path):
    text = (GOLDEN / "tiny/tiny.prototxt").read_text()
    path = tmp_path / "features.prototxt"
    path.write_text(text[: text.index('layer { name: "prob"')])
    with pytest.raises(RuntimeError, match="'fc_tiny' of type InnerProduct"):
        training(net=str(path))
