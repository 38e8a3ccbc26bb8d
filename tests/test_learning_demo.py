"""`p3d demo train`, shortened: with temporal convolutions a net sees the direction of time."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from p3d import Error, learning_demo, motions
from p3d.caffe import backend
from p3d.caffe.prototxt import parse_net
from p3d.cli import main
from p3d.learning_demo import Size, accuracy, learn, pair_accuracy
from p3d.training import record

pytestmark = pytest.mark.embedded

CLASSES = len(motions.CLASSES)
ITERATIONS = 144


@pytest.fixture(scope="module")
def learned(tmp_path_factory):
    folder = tmp_path_factory.mktemp("learned")
    lines = []
    return (
        folder,
        learn(str(folder), Size(iterations=ITERATIONS, train=60, test=8), lines.append),
        lines,
    )


def test_only_the_net_with_temporal_convolutions_tells_twins_apart(learned):
    _, (tables, _, _), lines = learned
    assert list(tables) == ["p3d", "without-t"]
    for name, table in tables.items():
        assert table.sum(axis=1).tolist() == [8] * CLASSES, name
        assert pair_accuracy(table) > 0.75, f"{name}\n{table}\n{lines}"
    assert accuracy(tables["p3d"]) > 0.65, f"{tables['p3d']}\n{lines}"
    assert accuracy(tables["without-t"]) <= 0.6, f"{tables['without-t']}\n{lines}"


def test_the_nets_differ_in_t_alone(learned):
    folder, _, _ = learned
    layers = {
        name: {layer.name for layer in parse_net(text).layer}
        for name in ("p3d", "without-t")
        if (text := (folder / name / "train_val.prototxt").read_text())
    }
    assert not layers["without-t"] - layers["p3d"]
    temporal = layers["p3d"] - layers["without-t"]
    assert len([name for name in temporal if name.endswith("_branch2b_t")]) == 2 * 7
    assert all("_branch2b_t" in name or "_branch2b_st" in name for name in temporal)


def test_what_is_written(learned):
    folder, made, lines = learned
    for path in (made.curves, made.confusion):
        assert cv2.imread(path).std() > 5
    for name in ("p3d", "without-t"):
        events = list(record.read(str(folder / name / "train.jsonl")))
        tested = [event for event in events if event["event"] == "test"]
        right = tested[-1]["outputs"]["accuracy"][0]
        # Caffe displays before its last test: one more TRAIN forward, which moves BN's statistics.
        assert right == pytest.approx(accuracy(made.tables[name]), abs=0.1)
        assert (folder / name / f"motions_iter_{ITERATIONS}.solverstate").exists()
        assert f"iteration  {ITERATIONS}: {right:6.1%} of the test videos are right" in lines


def test_the_shares_of_a_table():
    table = np.eye(CLASSES, dtype=int) * 2
    table[0, :3] = (1, 2, 1)  # of "right": one right, two left, one down
    assert accuracy(table) == (1 + 14) / 18
    assert pair_accuracy(table) == (3 + 14) / 18


def test_the_command(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(learning_demo, "Size", lambda iterations: Size(iterations, 2, 1))
    out = tmp_path / "demo"
    assert main(["demo", "train", "--out", str(out), "--iterations", "2"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == f"{out}/videos/train.txt: 2 videos of each motion"
    assert [line.split("  ")[0] for line in lines[-4:-2]] == ["P3D", "without temporal kernels"]
    assert lines[-1].endswith(f"s; {out}/curves.png, {out}/confusion.png")


@pytest.mark.parametrize("option", [["--net", "p3d63-kinetics"], ["--crop", "112"]])
def test_options_of_the_other_demo_are_refused(option, tmp_path, capsys):
    assert main(["demo", "train", "--out", str(tmp_path / "demo"), *option]) == 1
    assert f"{option[0]} is for `p3d demo` alone" in capsys.readouterr().err
    assert not (tmp_path / "demo").exists()


@pytest.mark.parametrize("size", [Size(iterations=0), Size(train=0), Size(test=-1)])
def test_nothing_to_learn_is_refused(size, tmp_path):
    with pytest.raises(Error, match="at least 1"):
        learn(str(tmp_path / "demo"), size, print)
    assert not (tmp_path / "demo").exists()


def test_another_backend_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(backend, "current", lambda: "upstream")
    with pytest.raises(Error, match="leave --backend away"):
        learn(str(tmp_path / "demo"), Size(), print)
