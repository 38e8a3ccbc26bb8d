"""What `p3d demo train` does: a small P3D net, and the same one without T, learn to see motions.

The two motions of a pair differ in nothing but the direction of time (see p3d.motions), to which a
net without temporal convolutions is blind: it can be right for one of two.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from p3d import models, motions
from p3d.atomic import replacing
from p3d.error import Error
from p3d.models.text import Word, fields
from p3d.showing import confusion, training_curves
from p3d.training import record

#: What it is called -> its kinds of units.
NETS = {"p3d": "ABC", "without-t": "S"}

#: P3D-63 with narrower and fewer units, for clips of 16 frames of 48 x 48.
REDUCED: dict[str, Any] = {"units": (3, 3, 1, 1), "width": 16, "crop": 48, "scratch": True}
HEAD = "fc_motions"

BATCH = 16


class Size(NamedTuple):
    """Iterations of each net, videos of each class."""

    iterations: int = 400
    train: int = 100
    test: int = 16


class Learned(NamedTuple):
    """Tables (true class, answer) of counts by net, and the pictures that were written."""

    tables: dict[str, np.ndarray]
    curves: str
    confusion: str


def accuracy(table: np.ndarray) -> float:
    """The share of videos whose class is right."""
    return float(np.trace(table) / table.sum())


def pair_accuracy(table: np.ndarray) -> float:
    """The share of videos whose motion is right, in whatever direction of time."""
    count = len(motions.CLASSES) // 2
    return accuracy(table.reshape(count, 2, count, 2).sum(axis=(1, 3)))


def learn(folder: str, size: Size, say: Callable[[str], object]) -> Learned:
    """Makes the videos, trains the nets, tests them and draws pictures, all in `folder`."""
    from p3d import caffe

    if caffe.backend.current() != "embedded":
        raise Error("this demo needs the embedded engine's VideoData: leave --backend away")
    if min(size) < 1:
        raise Error(f"{min(size)} iterations or videos teach nothing: at least 1 is needed")
    videos = os.path.join(folder, "videos")
    for split, count in (("train", size.train), ("test", size.test)):
        say(f"{motions.write(videos, split, count)}: {count} videos of each motion")
    tables, trainings = {}, {}
    for name, kinds in NETS.items():
        here = os.path.join(folder, name)
        solver = _write_prototxts(here, videos, kinds, size)
        say(f"\np3d train --solver {solver}")
        weights, trainings[name] = _train(solver, say)
        tables[name] = _table(os.path.join(here, "train_val.prototxt"), weights, size)
    paths = [os.path.join(folder, f"{what}.png") for what in ("curves", "confusion")]
    training_curves.write(trainings, paths[0])
    confusion.write(tables, motions.CLASSES, paths[1])
    return Learned(tables, *paths)


def _write_prototxts(folder: str, videos: str, kinds: str, size: Size) -> str:
    """train_val.prototxt and solver.prototxt; returns the path of the solver."""
    os.makedirs(folder, exist_ok=True)
    net = os.path.join(folder, "train_val.prototxt")
    tests = max(1, size.iterations // 8)
    solver: dict[str, Any] = {
        "net": net,
        "type": "Adam",
        "base_lr": 0.002,
        "momentum": 0.9,
        "momentum2": 0.99,
        "lr_policy": "cosine",
        "max_iter": size.iterations,
        "test_iter": _batches(size),
        "test_interval": tests,
        "test_initialization": False,
        "display": max(1, size.iterations // 40),
        "average_loss": max(1, size.iterations // 40),
        "snapshot_prefix": os.path.join(folder, "motions"),
        "random_seed": 1,
        "solver_mode": Word("CPU"),
    }
    path = os.path.join(folder, "solver.prototxt")
    texts = {
        net: models.train_val(
            "p3d63-sports1m",  # of the published nets the one with the least dropout
            data=videos,
            batch=BATCH,
            mirror=False,
            kinds=kinds,
            classes=len(motions.CLASSES),
            head=HEAD,
            **REDUCED,
        ),
        path: fields(solver),
    }
    for name, text in texts.items():
        with replacing(name, "w") as file:
            file.write(text)
    return path


def _train(solver: str, say: Callable[[str], object]) -> tuple[str, list[dict[str, Any]]]:
    """The weights, and the events of the training."""
    from p3d import caffe

    training = caffe.get_solver(solver)
    path = record.path_of(training.param.snapshot_prefix)
    training.observers += [record.Record(path, training.iter), lambda event: _tell(event, say)]
    training.solve()
    weights = f"{training.param.snapshot_prefix}_iter_{training.iter}.caffemodel"
    return weights, list(record.read(path))


def _tell(event: dict[str, Any], say: Callable[[str], object]) -> None:
    if event["event"] == "test":
        share = event["outputs"]["accuracy"][0]
        say(f"iteration {event['iter']:4}: {share:6.1%} of the test videos are right")


def _table(net: str, weights: str, size: Size) -> np.ndarray:
    """How often a video of class [i] was taken for class [j]."""
    from p3d import caffe

    made = caffe.Net(net, caffe.TEST, weights=weights)
    pairs: list[tuple[int, int]] = []
    for _ in range(_batches(size)):
        made.forward()
        answers = made.blobs[HEAD].data.argmax(axis=1)
        pairs += zip(made.blobs["label"].data.astype(int), answers, strict=True)
    table = np.zeros((len(motions.CLASSES),) * 2, int)
    for label, answer in pairs[: _tested(size)]:  # the last batch starts again from the first video
        table[label, answer] += 1
    return table


def _tested(size: Size) -> int:
    return size.test * len(motions.CLASSES)


def _batches(size: Size) -> int:
    """So many that every test video is seen."""
    return -(-_tested(size) // BATCH)
