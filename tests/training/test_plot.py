"""`p3d plot`: what it reads out of logs and records, and the picture."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import pytest

from p3d import cli
from p3d.showing import training_curves
from p3d.showing.drawing import COLOURS
from p3d.training import caffe_log

# As Caffe 1.0 writes them.
LOG = """\
I1128 06:17:07.607518  9383 solver.cpp:60] Solver scaffolding done.
I1128 06:17:07.607518  9383 caffe.cpp:251] Starting Optimization
I1128 06:17:07.607533  9383 solver.cpp:341] Iteration 0, Testing net (#0)
I1128 06:17:08.107412  9383 solver.cpp:414]     Test net output #0: accuracy = 0.25
I1128 06:17:08.107412  9383 solver.cpp:414]     Test net output #1: loss = 1.5 (* 1 = 1.5 loss)
I1128 06:17:08.207412  9383 solver.cpp:239] Iteration 0 (-4.0e-31 iter/s, 0.7s/20 iters), loss = 2
I1128 06:17:08.207412  9383 solver.cpp:258]     Train net output #0: loss = 2 (* 1 = 2 loss)
I1128 06:17:08.207412  9383 sgd_solver.cpp:112] Iteration 0, lr = 0.01
I1128 06:17:09.207412  9383 solver.cpp:239] Iteration 20 (5 iter/s, 4s/20 iters), loss = nan
I1128 06:17:09.207412  9383 sgd_solver.cpp:112] Iteration 20, lr = 1e-05
"""
EVENTS = [
    {"event": "test", "iter": 0, "net": 0, "outputs": {"accuracy": [0.25], "loss": [1.5]}},
    {"event": "train", "iter": 0, "loss": 2.0, "lr": 0.01, "outputs": {"loss": [2.0]}},
    {"event": "train", "iter": 20, "lr": 1e-05, "outputs": {}},
]


def test_a_log() -> None:
    found = list(caffe_log.events(LOG.splitlines()))
    assert str(found[-1].pop("loss")) == "nan"
    assert found == EVENTS
    assert list(caffe_log.events(["of something else"])) == []


def test_panels() -> None:
    drawn = training_curves.panels({"a": EVENTS[:2]})
    assert [(panel.title, panel.series) for panel in drawn] == [
        ("loss", {"test loss": [(0, 1.5)], "train": [(0, 2.0)]}),
        ("test", {"test accuracy": [(0, 0.25)]}),
        ("learning rate", {"lr": [(0, 0.01)]}),
    ]
    both = training_curves.panels({"a": EVENTS[:2], "b": EVENTS[1:2]})
    assert list(both[0].series) == ["a test loss", "a train", "b train"]
    assert len(training_curves.panels({"a": EVENTS[1:2]})) == 2


@pytest.mark.parametrize("kind", ["train.jsonl", "caffe.INFO"])
def test_the_command(kind: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / kind
    whole = [*EVENTS[:2], {**EVENTS[2], "loss": float("nan")}]
    lines = "".join(json.dumps(event) + "\n" for event in whole)
    path.write_text(LOG if kind == "caffe.INFO" else lines)
    out = tmp_path / "curves.png"
    assert cli.main(["plot", str(path), "-o", str(out)]) == 0
    assert capsys.readouterr().out == f"6 points of {path} -> {out}\n"
    image = cv2.imread(str(out))
    assert image.shape[0] > 3 * 220
    colours = {tuple(pixel) for pixel in image.reshape(-1, 3).tolist()}
    assert {(180, 90, 20), (40, 140, 40)} <= colours


def test_curves_of_several_trainings_have_colours_of_their_own() -> None:
    """Three trainings make six curves of losses."""
    assert len(set(COLOURS)) == len(COLOURS) >= 6


def test_long_names_have_room(tmp_path: Path) -> None:
    out = tmp_path / "curves.png"
    widths = []
    for length in (1, 60):
        names = ["a" * length, "b" * length]
        training_curves.write(dict.fromkeys(names, EVENTS[:2]), str(out))
        image = cv2.imread(str(out))
        assert (image[:, -8:] == 255).all()
        widths.append(image.shape[1])
    assert widths[1] > widths[0] + 200


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("empty.log", "", "nothing to draw"),
        ("empty.jsonl", "", "nothing to draw"),
        ("bad.jsonl", "{}\n{}\n", "is no line of a train.jsonl"),
        ("gone.log", None, "gone.log"),
    ],
)
def test_nothing_to_draw(
    name: str,
    content: str | None,
    words: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    if content is not None:
        (tmp_path / name).write_text(content)
    assert cli.main(["plot", str(tmp_path / name), "-o", str(tmp_path / "out.png")]) == 1
    assert words in capsys.readouterr().err
    assert not (tmp_path / "out.png").exists()


def test_one_value_and_none_that_is_finite(tmp_path: Path) -> None:
    for value in (0.0, -1.0, float("nan"), float("inf")):
        event = {"event": "train", "iter": 0, "loss": value, "lr": 0.0, "outputs": {}}
        assert training_curves.write({"a": [event]}, str(tmp_path / "one.png")) == 2
