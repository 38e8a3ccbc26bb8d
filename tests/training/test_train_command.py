"""`p3d train` and `p3d test`: what they write and say, signals, and going on after a kill."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from training_nets import Rows, solver_file

import p3d.caffe as caffe
from p3d import Error, cli
from p3d.training import record, signals

LINE = re.compile(r"I\d{4} \d\d:\d\d:\d\d\.\d{6} +\d+ \w+\.py:\d+\] ")


def train(solver: Path, *more: str) -> int:
    return cli.main(["train", "--solver", str(solver), *more])


def events(folder: Path) -> list[dict[str, Any]]:
    """The record, without what depends on the clock."""
    return [{**e, "iter_per_s": None} for e in record.read(str(folder / "train.jsonl"))]


def model(folder: Path, iteration: int = 10) -> bytes:
    return (folder / f"s_iter_{iteration}.caffemodel").read_bytes()


@pytest.fixture
def whole(tmp_path: Path) -> Path:
    """The folder of a training that nothing disturbed."""
    assert train(solver_file(tmp_path / "whole", more="display: 2")) == 0
    return tmp_path / "whole"


def test_it_tells_people_and_programs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert train(solver_file(tmp_path, more="display: 2")) == 0
    err = capsys.readouterr().err
    for words in (
        r"Iteration 4 \([\d.e+]+ iter/s, [\d.e-]+s/2 iters\), loss = [\d.]+",
        r"    Train net output #0: loss = [\d.]+ \(\* 1 = [\d.]+ loss\)",
        r"Iteration 4, lr = 0.025",
        r"Iteration 6, Testing net \(#0\)",
        r"    Test net output #0: accuracy = [\d.]+",
        r"Snapshotting to binary proto file .*s_iter_10.caffemodel",
        r"Optimization Done\.",
    ):
        assert re.search(LINE.pattern + words, err), words
    found = events(tmp_path)
    assert [e["iter"] for e in found if e["event"] == "train"] == [0, 2, 4, 6, 8]
    assert [e["iter"] for e in found if e["event"] == "test"] == [0, 3, 6, 9]
    assert set(found[0]["outputs"]) == {"loss", "accuracy"}
    assert {"loss", "lr", "iter_per_s", "outputs"} < found[1].keys()


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 0)]
)
def test_signals(
    number: int, code: int, whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    forward = Rows.forward

    def signalling(self: Rows, bottom: Any, top: Any) -> None:
        if self.phase == caffe.TRAIN and self.position == 4:
            os.kill(os.getpid(), number)
        forward(self, bottom, top)

    monkeypatch.setattr(Rows, "forward", signalling)
    solver = solver_file(tmp_path / "signalled", more="display: 2")
    handler = signal.getsignal(number)
    assert train(solver) == code
    assert signal.getsignal(number) is handler
    monkeypatch.undo()
    assert (tmp_path / "signalled/s_iter_5.solverstate").exists()
    assert (tmp_path / "signalled/s_iter_10.solverstate").exists() == (code == 0)
    assert train(solver, "--snapshot", str(tmp_path / "signalled/s_iter_5.solverstate")) == 0
    assert model(tmp_path / "signalled") == model(whole)
    assert events(tmp_path / "signalled") == events(whole)


def test_a_second_signal_stops_at_once_unless_it_is_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """`timeout` and job schedulers signal a process, and a moment later its group."""
    now = 10.0
    monkeypatch.setattr(signals.time, "monotonic", lambda: now)
    with signals.wishes("stop", "snapshot") as wishes:
        os.kill(os.getpid(), signal.SIGTERM)
        now += 0.01
        os.kill(os.getpid(), signal.SIGTERM)
        assert (wishes.take(), wishes.take(), wishes.stopped_by) == ("stop", None, signal.SIGTERM)
        now += 2
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)


@pytest.mark.parametrize(
    ("missing", "told"),
    [("base_lr", "nothing is learned"), ("max_iter", "the training ends at once")],
)
def test_a_missing_number_is_told(
    tmp_path: Path, missing: str, told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    solver = solver_file(tmp_path)
    solver.write_text(re.sub(rf"{missing}: \S+", "", solver.read_text()))
    with warnings.catch_warnings():
        warnings.simplefilter("default")
        assert train(solver) == 0
    assert f"p3d: warning: {solver} has no {missing}: {told}\n" in capsys.readouterr().err


def test_frozen_bn_without_weights_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    solver, net = solver_file(tmp_path, more="max_iter: 1"), tmp_path / "net.prototxt"
    told = f"{solver} starts without weights, and BN is frozen in 1 of its layers, such as 'bn'"
    for frozen, weights, expected in (
        (False, [], False),
        (True, [], True),
        (True, ["--weights", str(tmp_path / "s_iter_1.caffemodel")], False),
        (True, ["--snapshot", str(tmp_path / "s_iter_1.solverstate")], False),
    ):
        text = net.read_text().replace("frozen: true ", "")
        net.write_text(text.replace("bn_param { ", "bn_param { frozen: true ") if frozen else text)
        with warnings.catch_warnings():
            warnings.simplefilter("default")
            assert train(solver, *weights) == 0
        assert (told in capsys.readouterr().err) == expected


def test_a_signal_may_mean_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    forward = Rows.forward

    def signalling(self: Rows, bottom: Any, top: Any) -> None:
        os.kill(os.getpid(), signal.SIGINT)
        forward(self, bottom, top)

    monkeypatch.setattr(Rows, "forward", signalling)
    assert train(solver_file(tmp_path), "--sigint-effect", "none") == 0


_PROGRAM = """
import sys
sys.path[:] = {path!r}
import training_nets
from p3d import cli
sys.exit(cli.main(["train", "--solver", {solver!r}, *{more!r}]))
"""


def _wait_for_states(child: subprocess.Popen[bytes], folder: Path, count: int) -> None:
    """Until there are so many, or the child has ended."""
    while child.poll() is None and len(list(folder.glob("*.solverstate"))) < count:
        time.sleep(0.001)


def test_killed_at_random_moments_it_goes_on_as_if_nothing_had_been(tmp_path: Path) -> None:
    """SIGKILL; each run goes on from the last snapshot there is."""
    more = "display: 50 max_iter: 1500 snapshot: 30 average_loss: 7 test_interval: 400"
    solver = solver_file(tmp_path / "whole", more=more)
    assert train(solver) == 0
    solver = solver_file(tmp_path / "killed", more=more)
    rng = np.random.default_rng(4)
    kills = 0
    for attempt in range(40):
        states = sorted(
            (tmp_path / "killed").glob("*.solverstate"), key=lambda p: int(p.stem.split("_")[-1])
        )
        going_on = ["--snapshot", str(states[-1])] if states else []
        code = _PROGRAM.format(path=sys.path, solver=str(solver), more=going_on)
        child = subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.DEVNULL)
        if kills < 6:
            _wait_for_states(child, tmp_path / "killed", len(states) + int(rng.integers(1, 6)))
            time.sleep(rng.uniform(0, 0.02))
            child.kill()
        ended = child.wait()
        if ended == 0:
            break
        assert ended == -signal.SIGKILL, f"attempt {attempt}"
        kills += 1
    assert kills >= 4
    assert model(tmp_path / "killed", 1500) == model(tmp_path / "whole", 1500)
    assert events(tmp_path / "killed") == events(tmp_path / "whole")


def test_scores(whole: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["test", "--weights", str(whole / "s_iter_10.caffemodel")]
    capsys.readouterr()
    assert cli.main([*arguments, "--solver", str(whole / "solver.prototxt"), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["iterations"] == 2
    net = caffe.Net(
        str(whole / "net.prototxt"), caffe.TEST, weights=str(whole / "s_iter_10.caffemodel")
    )
    each = [{k: float(v) for k, v in net.forward().items()} for _ in range(2)]
    for name in ("loss", "accuracy"):
        expected = np.mean([one[name] for one in each])
        assert found["outputs"][name] == [pytest.approx(expected, rel=1e-6)]
    assert found["loss"] == found["outputs"]["loss"][0]
    model_given = [*arguments, "--model", str(whole / "net.prototxt"), "--iterations", "2"]
    assert cli.main(model_given) == 0
    out = capsys.readouterr().out.splitlines()
    assert out[0] == f"Batch 0, accuracy = {each[0]['accuracy']:g}"
    assert f"Loss: {found['loss']:g}" in out


def test_what_cannot_be_trained(
    tmp_path: Path, whole: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    good, state = str(whole / "solver.prototxt"), str(whole / "s_iter_10.solverstate")
    other = solver_file(tmp_path / "other", "Adam")
    (tmp_path / "untested").mkdir()
    untested = tmp_path / "untested/solver.prototxt"
    untested.write_text(f'net: "{whole / "net.prototxt"}" base_lr: 1 lr_policy: "fixed"')
    weights = ["--weights", str(whole / "s_iter_10.caffemodel")]
    deploy = tmp_path / "deploy.prototxt"
    deploy.write_text('layer { name: "x" type: "Input" top: "x" input_param { shape { dim: 1 } } }')
    for arguments, words in (
        (["train", "--solver", "gone.prototxt"], "gone.prototxt"),
        (["train", "--solver", good, "--weights", "gone.caffemodel"], "gone.caffemodel"),
        (["train", "--solver", good, "--weights", str(whole)], "whole: it is no file"),
        (["train", "--solver", good, "--snapshot", good], "solver.prototxt"),
        (["train", "--solver", str(other), "--snapshot", state], "s_iter_10.solverstate"),
        (["train", "--solver", str(whole / "net.prototxt")], "looks like a net: give the solver"),
        (["test", "--model", good, *weights], "looks like a solver: give the net"),
        (["test", "--solver", str(untested), *weights], "has no test net"),
        (["test", "--solver", good, *weights, "--iterations", "0"], "at least one batch"),
        (["test", "--model", "gone.prototxt", *weights], "gone.prototxt"),
        (["test", "--model", str(deploy), *weights], "the net waits for x"),
        (["train", "--solver", good, "--threads", "0"], "Cannot use 0 threads"),
        (["test", "-solver", good, *weights, "-gpu", "99"], "GPU"),
    ):
        capsys.readouterr()
        assert cli.main(arguments) == 1, arguments
        last = capsys.readouterr().err.splitlines()[-1]
        assert last.startswith(f"p3d {arguments[0]}: "), arguments
        assert words in last, arguments


def test_a_place_where_no_snapshot_can_be(tmp_path: Path, capsys: Any) -> None:
    solver = solver_file(tmp_path)
    text = solver.read_text().replace(f"{tmp_path}/s", f"{solver}/s")
    solver.write_text(text)
    assert train(solver) == 1
    err = capsys.readouterr().err
    assert f"{solver}/train.jsonl: cannot write {solver}: " in err
    assert "Iteration" not in err


def test_a_record_that_was_cut_off_and_one_that_is_none(tmp_path: Path) -> None:
    line = {"event": "train", "iter": 0, "loss": 1.0, "lr": 0.1, "outputs": {}}
    path = tmp_path / "train.jsonl"
    path.write_text(json.dumps(line) + "\n" + json.dumps(line)[:20])
    assert list(record.read(str(path))) == [line]
    path.write_text("this is\nsomething else\n")
    with pytest.raises(Error, match=r"train.jsonl, line 1: is no line of a train.jsonl"):
        list(record.read(str(path)))


def test_tensorboard_is_an_offer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scalars: list[tuple[str, float, int]] = []

    class SummaryWriter:
        def __init__(self, folder: str) -> None:
            assert folder == str(tmp_path)

        def add_scalar(self, *scalar: Any) -> None:
            scalars.append(scalar)

        def flush(self) -> None:
            pass

    module = type(sys)("tensorboardX")
    module.SummaryWriter = SummaryWriter  # type: ignore[attr-defined]
    module.__spec__ = object()  # type: ignore[assignment]
    monkeypatch.setitem(sys.modules, "tensorboardX", module)
    write = record.tensorboard(str(tmp_path))
    assert write is not None
    write({"event": "train", "iter": 3, "loss": 2.0, "lr": 0.5, "outputs": {"loss": [2.5]}})
    write({"event": "test", "iter": 3, "net": 1, "outputs": {"both": [0.25, 0.75]}})
    assert scalars == [
        ("train/loss", 2.0, 3),
        ("train/lr", 0.5, 3),
        ("train/outputs/loss", 2.5, 3),
        ("test1/outputs/both[0]", 0.25, 3),
        ("test1/outputs/both[1]", 0.75, 3),
    ]
