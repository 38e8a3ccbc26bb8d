"""A small P3D net in training: losses, gradients and statistics of whole passes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from golden_cases import Case, check, check_gradients, load

import p3d.caffe as caffe

TOLERANCE = 1e-5
GRADIENT_TOLERANCE = 1e-4
# Passes without an update between them: the prefixes of their keys.
RUNS = {
    "tiny/tiny_train_bn": ["iter0/", "iter1/"],
    "zoo/train/tiny_bn": [""],
    "zoo/train/tiny_frozen": [""],
}


def build(case: Case) -> caffe.Net:
    net = caffe.Net(str(case["prototxt"]), caffe.TRAIN)
    for key, value in case.items():
        if key.startswith("param/"):
            _, layer, index = key.split("/")
            net.params[layer][int(index)].data[...] = value
    return net


def check_pass(net: Any, case: Case, prefix: str) -> None:
    mean = np.float32([104, 117, 123]).reshape(1, 3, 1, 1, 1)
    net.blobs["data"].data[...] = case[f"{prefix}data_u8"].astype(np.float32) - mean
    net.blobs["label"].data[...] = case[f"{prefix}label"]
    net.clear_param_diffs()
    net.forward()
    net.backward()
    for blob in ("loss", "fc_tiny"):
        check(net.blobs[blob].data, case[prefix + blob], TOLERANCE, prefix + blob)
    key = f"{prefix}data_diff"
    check(net.blobs["data"].diff, case[key], GRADIENT_TOLERANCE, key)
    check_gradients(net, case, prefix, GRADIENT_TOLERANCE, prefix)
    for key, value in case.items():
        group, *path = key.removeprefix(prefix).split("/")
        if key.startswith(prefix) and group == "running":
            got = net.params[path[0]][int(path[1])].data
            check(got, value.reshape(got.shape), TOLERANCE, key)
        if key.startswith(prefix) and group == "blob_diff":
            check(net.blobs[path[0]].diff, value, GRADIENT_TOLERANCE, key)


@pytest.mark.parametrize("name", RUNS)
def test_training(name: str, isa: str) -> None:
    case = load(*name.rsplit("/", 1))
    net = build(case)
    for prefix in RUNS[name]:
        check_pass(net, case, prefix)
