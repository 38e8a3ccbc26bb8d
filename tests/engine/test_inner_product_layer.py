"""InnerProduct and Embed: what the golden cases leave out."""

from __future__ import annotations

import numpy as np
import pytest
from golden_cases import ISAS
from one_layer import net_of, normal, run

import p3d.caffe as caffe
from p3d import _core


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("transpose", [False, True])
@pytest.mark.parametrize("rows", [1, 2, 13, 64])
@pytest.mark.parametrize(("inputs", "outputs"), [(1, 1), (7, 33), (130, 5), (300, 401)])
def test_inner_product(isa: str, transpose: bool, rows: int, inputs: int, outputs: int) -> None:
    before = _core.isa()
    _core.set_isa(isa)
    try:
        params = f"num_output: {outputs} transpose: {str(transpose).lower()}"
        net = net_of(f'type: "InnerProduct" inner_product_param {{ {params} }}', (rows, inputs))
    finally:
        _core.set_isa(before)
    weights = normal(outputs, inputs)
    x, bias = normal(rows, inputs, seed=1), normal(outputs, seed=2)
    got = run(net, x, params=[weights.T if transpose else weights, bias])
    want = x.astype(np.float64) @ weights.T.astype(np.float64) + bias
    assert np.abs(got - want).max() <= 1e-5 * np.abs(want).max()
    # The weights exist once, packed; unpacking gives them back to the bit.
    assert np.array_equal(net.params["layer"][0].data, weights.T if transpose else weights)


def test_inputs_in_caffe_order_behind_a_pooling() -> None:
    x = normal(2, 3, 4, 5, 6)
    text = (
        'layer { name: "x" type: "Input" top: "x" '
        "input_param { shape { dim: 2 dim: 3 dim: 4 dim: 5 dim: 6 } } } "
        'layer { name: "p" type: "Pooling" bottom: "x" top: "p" pooling_param { kernel_size: 1 } } '
        'layer { name: "ip" type: "InnerProduct" bottom: "p" top: "ip" '
        "inner_product_param { num_output: 4 } }"
    )
    net = caffe.Net(text, caffe.TEST)
    weights = normal(4, 360)
    net.params["ip"][0].data[...] = weights
    net.blobs["x"].data[...] = x
    net.forward()
    want = x.reshape(2, -1) @ weights.T
    assert np.abs(net.blobs["ip"].data - want).max() < 1e-4


@pytest.mark.parametrize(
    ("params", "cure"),
    [
        ("", "num_output has to be given"),
        ("num_output: 0", "num_output has to be given"),
        ("num_output: 4294967295", "2\\^31"),
        ("num_output: 3 axis: 4", "axis 4 is out of range"),
        ("num_output: 3 axis: -4", "axis -4 is out of range"),
    ],
)
def test_inner_product_refused(params: str, cure: str) -> None:
    with pytest.raises(RuntimeError, match=f"InnerProduct 'layer': .*{cure}"):
        net_of(f'type: "InnerProduct" inner_product_param {{ {params} }}', (2, 3, 4))


def test_inner_product_keeps_its_inputs() -> None:
    net = net_of('type: "InnerProduct" inner_product_param { num_output: 3 }', (2, 3, 4))
    net.blobs["b0"].reshape(5, 4, 3)
    net.reshape()
    assert net.blobs["t0"].shape == (5, 3)
    net.blobs["b0"].reshape(2, 3, 5)
    with pytest.raises(RuntimeError, match="the weights are for 12 inputs"):
        net.reshape()


def test_nothing_to_multiply() -> None:
    with pytest.raises(RuntimeError, match="InnerProduct 'layer'"):
        net_of('type: "InnerProduct" inner_product_param { num_output: 3 }', (3, 0))


EMBED = 'type: "Embed" embed_param { num_output: 3 input_dim: 5 }'


@pytest.mark.parametrize("index", [-1, 5, 1e30, -np.inf, np.nan])
def test_embed_refuses_an_index(index: float) -> None:
    net = net_of(EMBED, (4,))
    net.blobs["b0"].data[...] = [0, 4, index, 1]
    with pytest.raises(RuntimeError, match=r"Embed 'layer': the index .* input_dim 5"):
        net.forward()


def test_embed_refused() -> None:
    for params in ("num_output: 3", "input_dim: 3", "num_output: 65536 input_dim: 65536"):
        with pytest.raises(RuntimeError, match="Embed 'layer'"):
            net_of(f'type: "Embed" embed_param {{ {params} }}', (4,))
