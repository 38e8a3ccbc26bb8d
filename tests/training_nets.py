"""Small solvers whose data needs no file: a net of every kind of memory that a training has."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np

import p3d.caffe as caffe

NET = """
layer { name: "rows" type: "Python" top: "x" top: "label"
  python_param { module: "training_rows" layer: "Rows" } }
layer { name: "fc1" type: "InnerProduct" bottom: "x" top: "fc1"
  param { lr_mult: 1 decay_mult: 1 } param { lr_mult: 2 decay_mult: 0 }
  inner_product_param { num_output: 7 weight_filler { type: "xavier" } } }
layer { name: "bn" type: "BN" bottom: "fc1" top: "bn"
  bn_param { slope_filler { type: "constant" value: 1 } } }
layer { name: "drop" type: "Dropout" bottom: "bn" top: "bn" }
layer { name: "fc2" type: "InnerProduct" bottom: "bn" top: "fc2"
  inner_product_param { num_output: 3 weight_filler { type: "xavier" } } }
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "fc2" bottom: "label" top: "loss" }
layer { name: "accuracy" type: "Accuracy" bottom: "fc2" bottom: "label" top: "accuracy"
  include { phase: TEST } }
"""

# type -> what its solver says besides
KINDS = {
    "SGD": "momentum: 0.9 dampening: 0.1",
    "Nesterov": "momentum: 0.9",
    "AdaGrad": "",
    "RMSProp": "rms_decay: 0.9",
    "AdaDelta": "momentum: 0.95 delta: 1e-6",
    "Adam": "momentum: 0.9",
    "AdamW": "momentum: 0.9",
}


class Rows(caffe.Layer):
    """Batches of random rows with labels; remembers its place and fails where it is told to."""

    fail_at: int | None = None
    bad_at: int | None = None  # gives NaN

    def setup(self, bottom: Any, top: Any) -> None:
        self.position = 0

    def reshape(self, bottom: Any, top: Any) -> None:
        top[0].reshape(6, 5)
        top[1].reshape(6)

    def forward(self, bottom: Any, top: Any) -> None:
        if self.phase == caffe.TRAIN and self.position == self.fail_at:
            raise OSError("the disk with the rows is gone")
        rng = np.random.default_rng(self.position)
        labels = rng.integers(0, 3, 6)
        top[0].data[...] = rng.normal(0, 1, (6, 5)) + labels[:, None]
        top[1].data[...] = labels
        if self.phase == caffe.TRAIN and self.position == self.bad_at:
            top[0].data[1, 2] = np.nan
        self.position += 1

    def save_state(self) -> bytes:
        return str(self.position).encode()

    def load_state(self, state: bytes) -> None:
        self.position = int(state)


sys.modules["training_rows"] = sys.modules[__name__]


def solver_file(folder: Path, kind: str = "SGD", more: str = "") -> Path:
    """The solver.prototxt of a type in a folder, with its net beside it."""
    folder.mkdir(exist_ok=True)
    (folder / "net.prototxt").write_text(NET)
    path = folder / "solver.prototxt"
    fields = {
        "base_lr": "0.05",
        "lr_policy": '"step" gamma: 0.5 stepsize: 4',
        "weight_decay": "0.01",
        "max_iter": "10",
        "random_seed": "7",
        "average_loss": "3",
        "test_iter": "2",
        "test_interval": "3",
    }
    given = [name for name in fields if f"{name}:" not in more]
    lines = [f"{name}: {fields[name]}" for name in given]
    lines += [f'type: "{kind}" {KINDS[kind]}', 'net: "net.prototxt"', more]
    lines += [f'snapshot_prefix: "{folder}/s"']
    path.write_text("\n".join(lines) + "\n")
    return path


def weights(solver: Any) -> dict[str, np.ndarray]:
    """Copies of everything that a training has made."""
    made = {
        f"{name}/{i}": blob.data.copy()
        for name, blobs in solver.net.params.items()
        for i, blob in enumerate(blobs)
    }
    return made | {f"history/{i}": b.data.copy() for i, b in enumerate(solver._updater.history)}


def same(got: dict[str, np.ndarray], want: dict[str, np.ndarray]) -> None:
    """Fails unless all is equal, bit for bit."""
    assert got.keys() == want.keys()
    for key, value in want.items():
        np.testing.assert_array_equal(got[key], value, key)
