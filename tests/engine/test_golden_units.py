"""Residual stages, forward and backward, against float64 references (zoo/units)."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from golden_cases import check, check_gradients, load, names

import p3d.caffe as caffe

TOLERANCE = 1e-5
GRADIENT_TOLERANCE = 1e-4
MODES = [
    (name, mode)
    for name in names("zoo/units")
    for mode in ("test", "train", "frozen")
    if any(key.startswith(f"{mode}/") for key in load("zoo/units", name))
]


def text_of(node: dict[str, Any], frozen: bool) -> str:
    """One node of a unit's graph as prototxt; its activation works in place."""
    name, kind = node["name"], node["type"]
    bottoms = " ".join(f'bottom: "{b}"' for b in node["bottom"])
    more = {
        "Convolution": _convolution,
        "BN": lambda _: f"bn_param {{ frozen: {str(frozen).lower()} }}",
        "Eltwise": lambda n: f"eltwise_param {{ {' '.join(f'coeff: {c}' for c in n['coeff'])} }}",
    }[kind](node)
    text = f'layer {{ name: "{name}" type: "{kind}" {bottoms} top: "{name}" {more} }}\n'
    if node.get("relu"):
        text += f'layer {{ name: "{name}_relu" type: "ReLU" bottom: "{name}" top: "{name}" }}\n'
    return text


def _convolution(node: dict[str, Any]) -> str:
    sizes = " ".join(
        f"{field}: {size}"
        for field, key in (("kernel_size", "kernel"), ("stride", "stride"), ("pad", "pad"))
        for size in node[key]
    )
    bias = str(node["bias"]).lower()
    return f"convolution_param {{ num_output: {node['num_output']} bias_term: {bias} {sizes} }}"


def build(case: dict[str, np.ndarray], phase: int, frozen: bool) -> caffe.Net:
    dims = " ".join(f"dim: {d}" for d in case["bottom"].shape)
    head = f'layer {{ name: "d" type: "Input" top: "data" input_param {{ shape {{ {dims} }} }} }}\n'
    graph = json.loads(str(case["graph"]))
    text = "force_backward: true\n" + head + "".join(text_of(node, frozen) for node in graph)
    net = caffe.Net(text, phase)
    for key, value in case.items():
        if key.startswith("param/"):
            _, layer, index = key.split("/")
            net.params[layer][int(index)].data[...] = value
    net.blobs["data"].data[...] = case["bottom"]
    return net


@pytest.mark.parametrize(("name", "mode"), MODES)
def test_forward_and_backward(name: str, isa: str, mode: str) -> None:
    case = load("zoo/units", name)
    net = build(case, caffe.TEST if mode == "test" else caffe.TRAIN, mode == "frozen")
    net.forward()
    blobs = [key for key in case if key.startswith(f"{mode}/blob/")]
    assert blobs
    for key in blobs:
        check(net.blobs[key.rpartition("/")[2]].data, case[key], TOLERANCE, f"{name} {key}")
    if f"{mode}/bottom_diff" not in case:
        return
    diff = net.backward(**{net.outputs[0]: case["top_diff"]})["data"]
    key = f"{mode}/bottom_diff"
    check(diff, case[key], GRADIENT_TOLERANCE, f"{name} {key}")
    check_gradients(net, case, f"{mode}/", GRADIENT_TOLERANCE, name)
