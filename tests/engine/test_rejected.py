"""Layers that upstream Caffe refuses (it aborts): an error that names the layer, or, where the
engine deliberately does more, the right result."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from golden_cases import GOLDEN, check
from recipe import rng_for

import p3d.caffe as caffe

CASES: dict[str, Any] = json.loads((GOLDEN / "layers/rejected.json").read_text())
Arrays = list[np.ndarray]


def softmax(x: np.ndarray) -> np.ndarray:
    e = np.exp(x - x.max(1, keepdims=True))
    return e / e.sum(1, keepdims=True)


def softmax_with_loss(bottoms: Arrays, _: int) -> Arrays:
    prob = softmax(bottoms[0])
    label = bottoms[1].astype(int)
    return [-np.log(prob[np.arange(len(label)), label]).mean(), prob]


def euclidean(bottoms: Arrays, _: int) -> Arrays:
    return [((bottoms[0] - bottoms[1]) ** 2).sum() / len(bottoms[0]) / 2]


def lrn(bottoms: Arrays, _: int) -> Arrays:
    (x,) = bottoms
    padded = np.pad(x**2, [(0, 0), (2, 2)] + [(0, 0)] * (x.ndim - 2))
    near = sum(padded[:, i : i + x.shape[1]] for i in range(5))
    return [x / (1 + near / 5) ** 0.75]


def mvn(bottoms: Arrays, _: int) -> Arrays:
    (x,) = bottoms
    axes = tuple(range(2, x.ndim))
    return [(x - x.mean(axes, keepdims=True)) / (x.std(axes, keepdims=True) + 1e-9)]


def prelu(bottoms: Arrays, _: int) -> Arrays:
    return [np.where(bottoms[0] > 0, bottoms[0], 0.25 * bottoms[0])]


def windows(x: np.ndarray, kernel: tuple[int, int, int]) -> np.ndarray:
    return np.lib.stride_tricks.sliding_window_view(x, kernel, (2, 3, 4)).reshape(
        *x.shape[:2], *(s - k + 1 for s, k in zip(x.shape[2:], kernel, strict=True)), -1
    )


def pool_cube(bottoms: Arrays, _: int) -> Arrays:
    return [windows(bottoms[0], (2, 2, 2)).max(-1)]


def pool_long(bottoms: Arrays, _: int) -> Arrays:
    padded = np.pad(bottoms[0], [(0, 0)] * 2 + [(1, 1), (0, 0), (0, 0)], constant_values=-9e9)
    return [windows(padded, (2, 2, 2)).max(-1)]


def stochastic(bottoms: Arrays, phase: int) -> Arrays | Callable[[Arrays], None]:
    values = windows(bottoms[0], (1, 2, 2))
    if phase == caffe.TEST:
        return [(values**2).sum(-1) / values.sum(-1)]

    def one_of_each_window(tops: Arrays) -> None:
        assert (tops[0][..., None] == values).any(-1).all()

    return one_of_each_window


# Cases in which the engine does more than upstream, and what it gives.
MORE: dict[str, Callable[[Arrays, int], Arrays | Callable[[Arrays], None]]] = {
    "misc/sml_two_tops": softmax_with_loss,
    "misc/sml_two_tops_two_weights": softmax_with_loss,
    "misc/euclidean_5d": euclidean,
    "misc/lrn_5d": lrn,
    "misc/mvn_5d": mvn,
    "misc/prelu_5d": prelu,
    "misc/pool2d_5d": pool_cube,
    "misc/pool3d_stochastic": stochastic,
    "misc/pool3d_long_pad": pool_long,
}


def tops_of(name: str) -> list[str]:
    return ["top0", "top1"] if "two_tops" in name else ["top0"]


def prototxt(name: str) -> str:
    case = CASES[name]
    text = ""
    for i, shape in enumerate(case["shapes"]):
        dims = " ".join(f"dim: {d}" for d in shape)
        text += (
            f'layer {{ name: "b{i}" type: "Input" top: "b{i}" '
            f"input_param {{ shape {{ {dims} }} }} }}\n"
        )
    ends = [f'bottom: "b{i}"' for i in range(len(case["shapes"]))]
    ends += [f'top: "{t}"' for t in tops_of(name)]
    return f'{text}layer {{ name: "layer" {" ".join(ends)} {case["layer"]} }}\n'


def draw(name: str) -> Arrays:
    rng = rng_for(name)
    shapes = CASES[name]["shapes"]
    if "sml" in name:
        return [rng.normal(0, 2, shapes[0]), rng.integers(0, shapes[0][1], shapes[1])]
    kind = np.abs if "stochastic" in name else np.array
    return [kind(rng.normal(0, 1, shape)) for shape in shapes]


@pytest.mark.parametrize("phase", [caffe.TRAIN, caffe.TEST])
@pytest.mark.parametrize("name", sorted(set(CASES) - set(MORE)))
def test_refused(name: str, phase: int) -> None:
    kind = CASES[name]["layer"].split('"')[1]
    with pytest.raises(RuntimeError, match=f"{kind} 'layer'"):
        caffe.Net(prototxt(name), phase)


@pytest.mark.parametrize("phase", [caffe.TRAIN, caffe.TEST])
@pytest.mark.parametrize("name", sorted(MORE))
def test_does_more(name: str, phase: int) -> None:
    net = caffe.Net(prototxt(name), phase)
    bottoms = [value.astype(np.float32) for value in draw(name)]
    for i, value in enumerate(bottoms):
        net.blobs[f"b{i}"].data[...] = value
    net.forward()
    tops = [net.blobs[top].data for top in tops_of(name)]
    expected = MORE[name]([value.astype(np.float64) for value in bottoms], phase)
    if callable(expected):
        expected(tops)
        return
    for i, value in enumerate(expected):
        check(tops[i], np.asarray(value), 1e-5, f"{name}, top {i}")
