"""A small P3D net: every layer's output right after the layer, and all blobs after a forward
through the plan."""

from __future__ import annotations

import numpy as np
import pytest
from golden_cases import check, load

import p3d.caffe as caffe

TOLERANCE = 1e-5


@pytest.fixture(scope="module")
def case() -> dict[str, np.ndarray]:
    return load("tiny", "tiny_test")


@pytest.fixture
def net(isa: str, case: dict[str, np.ndarray]) -> caffe.Net:
    net = caffe.Net(str(case["prototxt"]), caffe.TEST)
    for key, value in case.items():
        if key.startswith("param/"):
            _, layer, index = key.split("/")
            net.params[layer][int(index)].data[...] = value
    mean = np.float32([104, 117, 123]).reshape(1, 3, 1, 1, 1)
    net.blobs["data"].data[...] = case["data_u8"].astype(np.float32) - mean
    return net


def steps(case: dict[str, np.ndarray]) -> list[tuple[int, str, list[str]]]:
    """(index, layer, tops) in order."""
    found: dict[int, tuple[str, list[str]]] = {}
    for key in case:
        if key.startswith("layer_out/"):
            _, index, layer, blob = key.split("/")
            found.setdefault(int(index), (layer, []))[1].append(blob)
    return [(index, *found[index]) for index in sorted(found)]


def test_layer_by_layer(net: caffe.Net, case: dict[str, np.ndarray]) -> None:
    expected = steps(case)
    assert list(net._layer_names) == [layer for _, layer, _ in expected]
    for index, layer, tops in expected:
        net._forward(index, index)
        assert list(net.top_names[layer]) == tops
        for blob in tops:
            key = f"layer_out/{index:03}/{layer}/{blob}"
            check(net.blobs[blob].data, case[key], TOLERANCE, key)


def test_through_the_plan(net: caffe.Net, case: dict[str, np.ndarray]) -> None:
    net.forward()
    assert net._net.planned
    blobs = [key for key in case if key.startswith("blob/")]
    assert {key.removeprefix("blob/") for key in blobs} == set(net.blobs)
    for key in blobs:
        check(net.blobs[key.removeprefix("blob/")].data, case[key], TOLERANCE, key)
