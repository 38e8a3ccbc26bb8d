"""Convolution, Deconvolution and Im2col: what the golden cases leave out."""

from __future__ import annotations

import numpy as np
import pytest
from one_layer import net_of, normal, run

import p3d.caffe as caffe


def layer(params: str, kind: str = "Convolution") -> str:
    return f'type: "{kind}" convolution_param {{ {params} }}'


def zeros_around(
    x: np.ndarray, begin: tuple[int, ...], end: tuple[int, ...], mode: str
) -> np.ndarray:
    width = [(0, 0), (0, 0), *zip(begin, end, strict=True)]
    return np.pad(x, width, mode="constant" if mode == "ZERO" else "edge")


@pytest.mark.parametrize("mode", ["ZERO", "REPLICATE"])
@pytest.mark.parametrize(
    ("shape", "begin", "end"),
    [
        ((2, 3, 6, 5), (1, 2), (0, 1)),
        ((1, 4, 3, 5, 4), (2, 0, 1), (0, 3, 1)),
        ((2, 5, 7), (3,), (0,)),
    ],
)
def test_padding_of_either_side(
    shape: tuple[int, ...], begin: tuple[int, ...], end: tuple[int, ...], mode: str
) -> None:
    more = "num_output: 6 kernel_size: 2 stride: 2 dilation: 2"
    sides = " ".join([f"pad_begin: {p}" for p in begin] + [f"pad_end: {p}" for p in end])
    x = normal(*shape)
    padded = zeros_around(x, begin, end, mode)
    ours = net_of(layer(f"{more} {sides} pad_mode: {mode}"), shape)
    plain = net_of(layer(more), padded.shape)
    params = [normal(*blob.shape, seed=i) for i, blob in enumerate(ours.params["layer"])]
    got, want = run(ours, x, params=params), run(plain, padded, params=params)
    assert got.shape == want.shape
    assert np.abs(got - want).max() < 1e-5


def test_names_and_engines_make_no_difference() -> None:
    shape = (2, 3, 4, 5, 6)
    more = "num_output: 4 kernel_size: 3 pad: 1 group: 1"
    nets = [
        net_of(layer(more), shape),
        net_of(layer(more, "Convolution3D"), shape),
        net_of(layer(f"{more} engine: CUDNN force_nd_im2col: true"), shape),
    ]
    params = [normal(4, 3, 3, 3, 3), normal(4)]
    tops = [run(net, normal(*shape), params=params) for net in nets]
    assert all(np.array_equal(tops[0], top) for top in tops)


def test_another_channel_axis() -> None:
    x = normal(2, 3, 4, 5, 6)
    params = [normal(7, 4, 3, 3), normal(7)]
    more = "num_output: 7 kernel_size: 3 pad: 1"
    got = run(net_of(layer(f"{more} axis: -3"), x.shape), x, params=params)
    flat = x.reshape(6, 4, 5, 6)
    want = run(net_of(layer(more), flat.shape), flat, params=params)
    assert np.abs(got - want.reshape(2, 3, 7, 5, 6)).max() < 1e-5


def test_no_spatial_axis_is_an_inner_product() -> None:
    x = normal(5, 4)
    params = [normal(3, 4), normal(3)]
    got = run(net_of(layer("num_output: 3 kernel_size: 9"), x.shape), x, params=params)
    assert np.abs(got - (x @ params[0].T + params[1])).max() < 1e-5


@pytest.mark.parametrize(
    ("params", "cure"),
    [
        ("kernel_size: 3 kernel_size: 3", "given 2 times for 0"),
        ("kernel_h: 3 kernel_w: 3", "need 2 spatial axes"),
        ("stride: 1 stride: 1", "given 2 times for 0"),
    ],
)
def test_no_spatial_axis_and_sizes_for_some(params: str, cure: str) -> None:
    for kind in ("Convolution", "Deconvolution"):
        with pytest.raises(RuntimeError, match=f"{kind} 'layer': .*{cure}"):
            net_of(layer(f"num_output: 3 {params}", kind), (5, 4))
    assert net_of(layer("num_output: 3"), (5, 4)).params["layer"][0].shape == (3, 4)


def test_another_input_size_needs_no_new_weights() -> None:
    net = net_of(layer("num_output: 8 kernel_size: 3 pad: 1"), (1, 4, 6, 6))
    params = [normal(8, 4, 3, 3), normal(8)]
    x = normal(3, 4, 9, 7)
    run(net, normal(1, 4, 6, 6), params=params)
    net.blobs["b0"].reshape(*x.shape)
    net.reshape()
    got = run(net, x)
    want = run(net_of(layer("num_output: 8 kernel_size: 3 pad: 1"), x.shape), x, params=params)
    assert np.array_equal(got, want)
    assert np.array_equal(net.params["layer"][0].data, params[0])


def test_shared_weights() -> None:
    text = (
        'layer { name: "data" type: "Input" top: "data" '
        "input_param { shape { dim: 2 dim: 3 dim: 5 dim: 5 } } }"
    )
    for name in "ab":
        text += (
            f'layer {{ name: "{name}" type: "Convolution" bottom: "data" top: "{name}" '
            'param { name: "w" } param { name: "b" } convolution_param { num_output: 4 '
            'kernel_size: 3 weight_filler { type: "gaussian" } bias_filler { type: "gaussian" } } }'
        )
    net = caffe.Net(text, caffe.TEST)
    net.blobs["data"].data[...] = normal(2, 3, 5, 5)
    net.forward()
    assert np.array_equal(net.blobs["a"].data, net.blobs["b"].data)
    net.params["b"][0].data[...] *= 2
    net.params["b"][1].data[...] *= 2
    before = np.array(net.blobs["a"].data)
    net.forward()
    assert np.abs(net.blobs["a"].data - 2 * before).max() < 1e-5


KINDS = ["Convolution", "Deconvolution", "Im2col"]
BAD_WINDOWS = [
    ("", "kernel_size is missing"),
    ("kernel_size: 0", "kernel_size is 0"),
    ("kernel_size: 4000000000", "kernel_size is 4"),
    ("kernel_size: 3 stride: 0", "stride is 0"),
    ("kernel_size: 3 dilation: 0", "dilation is 0"),
    ("kernel_size: 3 dilation: 2147483647", "2\\^40|larger than"),
    ("kernel_size: 3 pad: 4294967295", "2\\^31|2\\^40|leaves nothing"),
    ("kernel_size: 3 pad: 1 pad: 1", "pad is given 2 times for 3"),
    ("kernel_h: 3 kernel_w: 3", "need 2 spatial axes"),
    ("kernel_size: 3 pad: 1 pad_end: 1", "not both"),
    ("kernel_size: 3 axis: 5", "axis 5 does not exist"),
    ("kernel_size: 3 axis: -6", "axis -6 does not exist"),
]
BAD_OUTPUTS = [
    ("", "num_output has to be given"),
    ("num_output: 0", "num_output has to be given"),
    ("num_output: 4294967295", "2\\^31"),
    ("num_output: 2147483647", "2\\^31"),
    ("num_output: 4 group: 0", "group has to be at least 1"),
    ("num_output: 4 group: 4", "group 4 has to divide the 6"),
    ("num_output: 4 group: 3", "group 3 has to divide .* num_output 4"),
]


def refuse(kind: str, params: str, cure: str) -> None:
    with pytest.raises(RuntimeError, match=f"{kind} 'layer': .*({cure})"):
        net_of(layer(params, kind), (1, 6, 4, 5, 5))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("params", "cure"), BAD_WINDOWS)
def test_bad_windows(params: str, cure: str, kind: str) -> None:
    refuse(kind, f"num_output: 4 {params}", cure)


@pytest.mark.parametrize("kind", KINDS[:2])
@pytest.mark.parametrize(("params", "cure"), BAD_OUTPUTS)
def test_bad_outputs(params: str, cure: str, kind: str) -> None:
    refuse(kind, f"kernel_size: 3 {params}", cure)


def test_both_ways_of_naming_a_kernel() -> None:
    with pytest.raises(RuntimeError, match="kernel_size or kernel_h and kernel_w, not both"):
        net_of(layer("num_output: 2 kernel_size: 3 kernel_h: 3"), (1, 2, 5, 5))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("shape", [(2, 0, 5, 5), (2, 3, 0, 5)])
def test_nothing_to_convolve(shape: tuple[int, ...], kind: str) -> None:
    with pytest.raises(RuntimeError, match=f"{kind} 'layer'"):
        net_of(layer("num_output: 4 kernel_size: 3 pad: 2", kind), shape)


@pytest.mark.parametrize("kind", KINDS)
def test_not_in_place(kind: str) -> None:
    with pytest.raises(RuntimeError, match="in place"):
        net_of(layer("num_output: 1 kernel_size: 1", kind), (2, 3, 5, 5), in_place=True)


def test_deconvolution_undoes_the_shape_of_a_convolution() -> None:
    x = normal(2, 3, 4, 7, 6)
    more = "kernel_size: 3 kernel_size: 4 kernel_size: 2 stride: 1 stride: 3 stride: 2"
    net = net_of(layer(f"num_output: 5 bias_term: false {more}"), x.shape)
    weights = normal(*net.params["layer"][0].shape, seed=2)
    y = run(net, x, params=[weights])
    back = net_of(layer(f"num_output: 3 bias_term: false {more}", "Deconvolution"), y.shape)
    other = normal(*y.shape, seed=3)
    adjoint = run(back, other, params=[weights])
    assert adjoint.shape == x.shape
    assert (y * other).sum() == pytest.approx((x * adjoint).sum(), rel=1e-4)


def test_deconvolution_weights_survive() -> None:
    more = "num_output: 4 kernel_size: 3 stride: 2 group: 2"
    net = net_of(layer(more, "Deconvolution"), (1, 6, 3, 4))
    weights = normal(6, 2, 3, 3)
    run(net, normal(1, 6, 3, 4), params=[weights, normal(4)])
    assert np.array_equal(net.params["layer"][0].data, weights)


@pytest.mark.parametrize(
    ("kind", "field"),
    [
        ("Convolution", "convolution_param { kernel_size: 1"),
        ("Deconvolution", "convolution_param { kernel_size: 1"),
        ("InnerProduct", "inner_product_param {"),
    ],
)
def test_a_bias_that_is_the_weights_by_name(kind: str, field: str) -> None:
    outputs = 1 << 17  # memory of this size is gone at once when it is freed
    net = net_of(
        f'type: "{kind}" param {{ name: "both" }} param {{ name: "both" share_mode: PERMISSIVE }} '
        f"{field} num_output: {outputs} }}",
        (1, 1, 1),
    )
    w = normal(outputs)
    net.params["layer"][1].data[...] = w
    for _ in range(2):
        assert np.allclose(run(net, np.full((1, 1, 1), 2)).ravel(), 3 * w)
