"""The same solver.prototxt here and in real Caffe, and each going on from the other's snapshot."""

from __future__ import annotations

import subprocess
from pathlib import Path

import numpy as np
import pytest

import p3d.caffe as caffe

RUN = Path(__file__).parent / "run_solver.py"
BATCHES = 3  # of the file: after so many iterations it begins anew, as it does for who restores
ROWS = 4 * BATCHES

NET = """
layer { name: "rows" type: "HDF5Data" top: "data" top: "label"
  hdf5_data_param { source: "SOURCE" batch_size: 4 } }
layer { name: "conv" type: "Convolution" bottom: "data" top: "conv"
  convolution_param { num_output: 5 bias_term: false kernel_size: 1 kernel_size: 3 kernel_size: 3
    pad: 0 pad: 1 pad: 1 weight_filler { type: "xavier" } } }
layer { name: "bn" type: "BN" bottom: "conv" top: "bn"
  param { lr_mult: 1 } param { lr_mult: 1 } param { lr_mult: 0 } param { lr_mult: 0 }
  bn_param { slope_filler { type: "constant" value: 1 } } }
layer { name: "relu" type: "ReLU" bottom: "bn" top: "bn" }
layer { name: "time" type: "Convolution" bottom: "bn" top: "time"
  param { lr_mult: 1 decay_mult: 1 } param { lr_mult: 2 decay_mult: 0 }
  convolution_param { num_output: 6 kernel_size: 3 kernel_size: 1 kernel_size: 1
    pad: 1 pad: 0 pad: 0 stride: 1 weight_filler { type: "xavier" } } }
layer { name: "pool" type: "Pooling3D" bottom: "time" top: "pool"
  pooling3d_param { pool: MAX kernel_size: 2 kernel_l: 2 stride: 2 stride_l: 2 } }
layer { name: "fc" type: "InnerProduct" bottom: "pool" top: "fc"
  inner_product_param { num_output: 3 weight_filler { type: "xavier" } } }
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "fc" bottom: "label" top: "loss" }
"""

SOLVER = """
net: "NET" base_lr: 0.02 lr_policy: "step" gamma: 0.5 stepsize: 4 weight_decay: 0.01
max_iter: 6 iter_size: 1 random_seed: 3 snapshot_prefix: "PREFIX" type: "KIND" MORE
"""

# type -> what the solver says besides, and how near the weights come; see DESIGN on adaptive ones
KINDS = {
    "SGD": ("momentum: 0.9 clip_gradients: 2", 1e-4),
    "Nesterov": ("momentum: 0.9 regularization_type: 'L1'", 1e-4),
    "AdaGrad": ("", 1e-3),
    "RMSProp": ("rms_decay: 0.9 base_lr: 0.002", 1e-3),
    "AdaDelta": ("momentum: 0.95 delta: 1e-4 base_lr: 1", 1e-3),
    "Adam": ("momentum: 0.9 momentum2: 0.99 base_lr: 0.002", 1e-3),
}


# Both formats for one blob of history per parameter and for two.
RUNS = [
    *((kind, "BINARYPROTO") for kind in KINDS),
    *((kind, "HDF5") for kind in ("SGD", "Adam")),
]


def files(folder: Path, kind: str, snapshots: str) -> Path:
    """The solver.prototxt of a folder, with its net and data beside it."""
    import h5py

    folder.mkdir()
    rng = np.random.default_rng(5)
    with h5py.File(folder / "rows.h5", "w") as file:
        file["data"] = rng.normal(size=(ROWS, 2, 4, 6, 5)).astype(np.float32)
        file["label"] = (np.arange(ROWS) % 3).astype(np.float32)
    (folder / "list.txt").write_text(f"{folder / 'rows.h5'}\n")
    (folder / "net.prototxt").write_text(NET.replace("SOURCE", str(folder / "list.txt")))
    more = KINDS[kind][0] + f" snapshot_format: {snapshots}"
    text = SOLVER.replace("base_lr: 0.02 ", "") if "base_lr" in more else SOLVER
    for word, value in {
        "NET": folder / "net.prototxt",
        "PREFIX": folder / "s",
        "KIND": kind,
        "MORE": more,
    }.items():
        text = text.replace(word, str(value))
    (folder / "solver.prototxt").write_text(text)
    return folder / "solver.prototxt"


def train_here(solver: Path, start: Path, iterations: int) -> dict[str, np.ndarray]:
    """As run_solver.py."""
    made = caffe.get_solver(str(solver))
    if ".solverstate" in start.name:
        made.restore(str(start))
    else:
        made.net.copy_from(str(start))
    losses = []
    for _ in range(iterations):
        made.step(1)
        losses.append(float(made.net.blobs["loss"].data))
    made.snapshot()
    return {"loss": np.array(losses)} | {
        f"{name}/{index}": blob.data.copy()
        for name, blobs in made.net.params.items()
        for index, blob in enumerate(blobs)
    }


@pytest.mark.parametrize("plugged", ["debian"], indirect=True)
@pytest.mark.parametrize(("kind", "snapshots"), RUNS)
def test_same_trace_and_snapshots(tmp_path: Path, plugged, kind: str, snapshots: str) -> None:
    ours, real = (files(tmp_path / name, kind, snapshots) for name in ("ours", "real"))
    start = tmp_path / "start.caffemodel"
    caffe.get_solver(str(ours)).net.save(str(start))

    def train_there(begin: Path, iterations: int) -> dict[str, np.ndarray]:
        out = tmp_path / "real.npz"
        plugged.run(RUN, real, begin, str(iterations), out)
        with np.load(out) as found:
            return dict(found)

    def same(got: dict[str, np.ndarray], want: dict[str, np.ndarray], what: str) -> None:
        for name, value in want.items():
            off = np.abs(got[name] - value).max() / max(np.abs(value).max(), 1e-3)
            again = plugged.again(RUN, real, start, "6", "out.npz")
            assert off <= KINDS[kind][1], f"{what}, {name}: {off:.1e} of the largest value; {again}"

    ending = "solverstate.h5" if snapshots == "HDF5" else "solverstate"
    whole = train_there(start, 6)
    same(train_here(ours, start, 6), whole, "from the same start")
    train_there(start, BATCHES)
    train_here(ours, start, BATCHES)
    state = f"s_iter_{BATCHES}.{ending}"
    tail = {name: value[BATCHES:] if name == "loss" else value for name, value in whole.items()}
    same(train_here(ours, tmp_path / "real" / state, 6 - BATCHES), tail, "real Caffe's state here")
    same(train_there(tmp_path / "ours" / state, 6 - BATCHES), tail, "our state in real Caffe")


@pytest.mark.parametrize("plugged", ["debian"], indirect=True)
def test_the_command_in_real_caffe(tmp_path: Path, plugged) -> None:
    ours, real = (files(tmp_path / name, "SGD", "BINARYPROTO") for name in ("ours", "real"))
    start = tmp_path / "start.caffemodel"
    caffe.get_solver(str(ours)).net.save(str(start))
    train_here(ours, start, 6)
    command = ["-m", "p3d", "train", "--solver", str(real), "--weights", str(start)]
    plugged.run(*command, backend="upstream")
    nets = [
        caffe.Net(
            str(solver.parent / "net.prototxt"),
            caffe.TRAIN,
            weights=str(solver.parent / "s_iter_6.caffemodel"),
        )
        for solver in (ours, real)
    ]
    for name, blobs in nets[0].params.items():
        for one, other in zip(blobs, nets[1].params[name], strict=True):
            np.testing.assert_allclose(one.data, other.data, rtol=1e-4, atol=1e-4, err_msg=name)
    gone = subprocess.run(
        [plugged.python, *command[:-1], "gone.caffemodel"],
        env=plugged.environment("upstream"),
        capture_output=True,
        text=True,
    )
    assert gone.returncode == 1
    assert gone.stderr.splitlines()[-1] == "p3d train: gone.caffemodel: there is no such file"
