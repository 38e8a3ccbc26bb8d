"""Golden layer cases: files, nets and comparison (see golden/README.md)."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from p3d import _core
from p3d.caffe import TEST, TRAIN, Net, prototxt

GOLDEN = Path(__file__).parent / "golden"
#: Instruction sets with kernels of floats, slowest first: matrix registers take none.
ISAS = [isa for isa in _core.isa_names() if isa != "amx"]
# Larger values stand for "nothing" (-FLT_MAX of an empty window): they are equal or wrong.
HUGE = 1e30

Case = dict[str, np.ndarray]


def names(folder: str) -> list[str]:
    """Cases below golden/<folder> as "group/name"."""
    root = GOLDEN / folder
    return sorted(path.relative_to(root).with_suffix("").as_posix() for path in root.rglob("*.npz"))


def load(folder: str, name: str) -> Case:
    with np.load(GOLDEN / folder / f"{name}.npz") as file:
        return dict(file)


class DoubleNet:
    """As much of Net as the cases need, in double precision."""

    def __init__(self, text: str, phase: int) -> None:
        param = prototxt.prepare(prototxt.parse_net(text), phase)
        layers, defaults = prototxt.describe(param)
        self._net = _core.Net64(param.name, layers, defaults, phase, param.force_backward)
        self.layers = self._net.layers
        self.blobs = dict(zip(self._net.blob_names, self._net.blobs, strict=True))
        self.params = {layer.name: layer.blobs for layer in self.layers}

    def forward(self) -> None:
        self._net.forward(0, len(self.layers) - 1)

    def backward(self) -> None:
        self._net.backward(len(self.layers) - 1, 0)

    def clear_param_diffs(self) -> None:
        self._net.clear_param_diffs()


def build(case: Case, way: str) -> Net | DoubleNet:
    """The case's net, with its parameters: as users run it ("plan"), layer by layer, double."""
    phase = TRAIN if str(case["phase"]) == "TRAIN" else TEST
    net = (DoubleNet if way == "double" else Net)(str(case["prototxt"]), phase)
    if way == "layers":
        net._net.set_planning(False)
    for i in range(int(case["n_param"])):
        net.params["layer"][i].data[...] = case[f"param{i}"]
    return net


def passes(case: Case) -> Iterator[Case]:
    """The keys of each pass without its prefix; nothing is cleared in between."""
    repeat = int(case["repeat"])
    for i in range(repeat):
        prefix = f"pass{i}/" if repeat > 1 else ""
        yield {key[len(prefix) :]: value for key, value in case.items() if key.startswith(prefix)}


def check(got: Any, want: np.ndarray, tolerance: float, what: str, least_scale: float = 0) -> None:
    """Fails unless all values agree within `tolerance` of the largest magnitude wanted, or of
    `least_scale`."""
    got = np.asarray(got)
    assert got.shape == want.shape, f"{what}: shape {got.shape}, expected {want.shape}{rerun()}"
    if want.size == 0:
        return
    regular = np.abs(want) < HUGE
    scale = max(np.abs(want[regular]).max(initial=0), least_scale) or 1.0
    error = np.where(regular, np.abs(np.where(regular, got - want, 0)) / scale, got != want)
    worst = np.unravel_index(np.argmax(np.nan_to_num(error, nan=np.inf)), want.shape)
    assert error[worst] <= tolerance, (
        f"{what}: off by {error[worst]:.1e} of the largest magnitude {scale:.3g} at "
        f"{tuple(map(int, worst))}: {got[worst]!r}, expected {want[worst]!r}{rerun()}"
    )


def check_gradients(net: Any, case: Case, prefix: str, tolerance: float, what: str) -> None:
    """Compares <prefix>param_diff/<layer>/<index>. Some gradients cancel (a slope before a
    normalised convolution): their rounding errors are those of the largest ones."""
    expected = {key: value for key, value in case.items() if key.startswith(f"{prefix}param_diff/")}
    assert expected
    least_scale = 1e-3 * max(np.abs(value).max() for value in expected.values())
    for key, value in expected.items():
        *_, layer, index = key.split("/")
        got = net.params[layer][int(index)].diff
        check(got, value, tolerance, f"{what} {key}", least_scale)


def rerun() -> str:
    """How to run the failing test alone."""
    test = os.environ.get("PYTEST_CURRENT_TEST", "").rpartition(" ")[0]
    return f"\nalone: python -m pytest '{test}'"
