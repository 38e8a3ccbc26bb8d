"""Embed and BatchReindex on a GPU: what they say of a number that is no row's."""

from __future__ import annotations

import textwrap

import pytest

NETS = {
    "Embed": 'layer { name: "top" type: "Embed" bottom: "row" top: "top" embed_param { '
    'num_output: 3 input_dim: 5 weight_filler { type: "gaussian" } } }',
    "BatchReindex": 'layer { name: "top" type: "BatchReindex" bottom: "x" bottom: "row" '
    'top: "top" }',
}
PREPARE = """
import numpy as np
import p3d.caffe as caffe
from p3d import _core

def make(text, phase):
    caffe.set_random_seed(1)
    net = caffe.Net(
        'layer { name: "in" type: "Input" top: "row" top: "x" input_param { shape { dim: 700 } '
        'shape { dim: 5 dim: 2 } } } ' + text + 'layer { name: "half" type: "Power" bottom: "top" '
        'top: "half" power_param { scale: 0.5 } loss_weight: 1 }', phase)
    net.blobs["x"].data[...] = np.arange(10).reshape(5, 2)
    return net

def run(net, row, train):
    net.blobs["row"].data[...] = np.arange(700) % 5
    net.blobs["row"].data[650] = row
    try:
        net._forward_backward() if train else net.forward()
    except Exception as error:
        return str(error)
    return net.blobs["half"].data.copy()
"""


@pytest.mark.parametrize("phase", ["TEST", "TRAIN", "layers"])
@pytest.mark.parametrize("layer", NETS)
def test_the_error_is_that_of_the_processor(run, layer, phase) -> None:
    """Also of a graph; the net goes on afterwards."""
    code = f"""
    train = {phase == "TRAIN"}
    net = make({NETS[layer]!r}, caffe.TRAIN if train else caffe.TEST)
    if {phase == "layers"}:
        net._net.set_planning(False)
    rows = [1, 2, 3, 5, 2, -1, np.nan, 1]
    want = [run(net, row, train) for row in rows]
    caffe.set_mode_gpu()
    got = [run(net, row, train) for row in rows]
    assert (_core.gpu_graph_launches() > 0) == {phase != "layers"}
    for row, expected, found in zip(rows, want, got, strict=True):
        assert isinstance(found, str) == (row not in range(5)), (row, found)
        np.testing.assert_array_equal(found, expected)
    print(got[3])
    """
    done = run("-c", PREPARE + textwrap.dedent(code))
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{layer} 'top': " in done.stdout
