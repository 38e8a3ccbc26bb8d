"""tools/benchmark.py: that it compares results before it times, and what it counts.

Nothing here looks at how long anything took.
"""

from __future__ import annotations

import json
import os
from functools import partial

import benchmark
import numpy as np
import pytest
from benchmarking import files, machine
from benchmarking.race import Row, _difference, _finish, _take_turns, race
from benchmarking.systems import BF16, OURS, SYSTEMS, System
from benchmarking.worker import Failed, Worker, installed
from recipe import GOLDEN

from p3d import _core

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
    assert "REFUSED: its results differ by" in out


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


def test_differences():
    a = np.float32([[1, -4]])
    assert _difference(a + np.float32([[0, 0.5]]), a) == 0.125
    assert _difference(np.float32([1, -4]), a) == np.inf
    assert not _difference(np.float32([[1, np.nan]]), a) <= 0.1
    assert _difference(a, np.float32([[1, np.nan]])) == np.inf


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


@pytest.mark.parametrize("arguments", [["--rounds", "9"], ["--batch", "0"], ["--systems", "x"]])
def test_usage_errors(arguments, capsys):
    with pytest.raises(SystemExit):
        benchmark.main(arguments)
    assert arguments[0] in capsys.readouterr().err


def test_every_system_that_is_not_installed_is_named(monkeypatch, job):
    assert installed(OURS)
    assert not installed(System("x", "nothing_of_this_name", _die))
    assert not installed(System("x", "nothing", _die, imports="nothing_of_this_name.part"))
