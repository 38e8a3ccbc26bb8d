"""Empty batches, as Filter makes them, and empty axes: an empty result or an error."""

from __future__ import annotations

import numpy as np
import pytest

import p3d.caffe as caffe

N = -1  # stands for the batch size
ANY = (N, 3, 4, 5)
RNN = "recurrent_param { num_output: 3 }"

# layer, shapes of the bottoms, shapes of the tops (None: an empty batch may be an error)
LAYERS = [
    ('"AbsVal"', [ANY], [ANY]),
    ('"BNLL"', [ANY], [ANY]),
    ('"ELU"', [ANY], [ANY]),
    ('"Power" power_param { power: 0 }', [ANY], [ANY]),
    ('"PReLU"', [ANY], [ANY]),
    ('"ReLU"', [ANY], [ANY]),
    ('"Sigmoid"', [ANY], [ANY]),
    ('"Eltwise"', [ANY, ANY], [ANY]),
    ('"Eltwise" eltwise_param { operation: MAX }', [ANY, ANY], [ANY]),
    ('"Concat"', [ANY, ANY], [(N, 6, 4, 5)]),
    ('"Slice"', [(N, 4, 3)], [(N, 2, 3), (N, 2, 3)]),
    ('"Crop"', [ANY, (N, 3, 2, 2)], [(N, 3, 2, 2)]),
    ('"Flatten"', [ANY], [(N, 60)]),
    ('"Reshape" reshape_param { shape { dim: 0 dim: -1 dim: 2 } }', [ANY], [(N, 30, 2)]),
    ('"Reshape" reshape_param { shape { dim: -1 dim: 60 } }', [ANY], None),
    ('"Tile" tile_param { tiles: 3 }', [ANY], [(N, 9, 4, 5)]),
    ('"BatchReindex"', [ANY, (N,)], [ANY]),
    ('"Filter"', [ANY, (N,)], [(0, 3, 4, 5)]),
    ('"Reduction" reduction_param { axis: 1 operation: MEAN }', [ANY], [(N,)]),
    ('"Reduction"', [ANY], [()]),
    ('"ArgMax"', [ANY], [(N, 1, 1, 1)]),
    ('"ArgMax" argmax_param { axis: 2 }', [ANY], [(N, 3, 1, 5)]),
    ('"Softmax"', [ANY], [ANY]),
    ('"Softmax" softmax_param { axis: 0 }', [ANY], [ANY]),
    ('"SoftmaxWithLoss"', [(N, 3), (N,)], [()]),
    ('"SigmoidCrossEntropyLoss"', [ANY, ANY], [()]),
    ('"EuclideanLoss"', [ANY, ANY], [()]),
    ('"HingeLoss"', [(N, 3), (N,)], [()]),
    ('"ContrastiveLoss"', [(N, 3), (N, 3), (N,)], [()]),
    ('"InfogainLoss"', [(N, 3), (N,), (3, 3)], [()]),
    ('"MultinomialLogisticLoss"', [(N, 3), (N,)], [()]),
    ('"Accuracy"', [(N, 3), (N,)], [(), (3,)]),
    ('"LSTMUnit"', [(1, N, 4), (1, N, 16), (1, N)], [(1, N, 4), (1, N, 4)]),
    (f'"LSTM" {RNN}', [(4, N, 5), (4, N)], [(4, N, 3)]),
    (f'"RNN" {RNN}', [(4, N, 5), (4, N)], [(4, N, 3)]),
    ('"InnerProduct" inner_product_param { num_output: 7 }', [ANY], [(N, 7)]),
    ('"Convolution" convolution_param { num_output: 7 kernel_size: 3 }', [ANY], [(N, 7, 2, 3)]),
    ('"Deconvolution" convolution_param { num_output: 7 kernel_size: 3 }', [ANY], [(N, 7, 6, 7)]),
    ('"Pooling" pooling_param { kernel_size: 2 }', [ANY], [(N, 3, 3, 4)]),
    ('"BN"', [ANY], [ANY]),
    ('"BatchNorm"', [ANY], [ANY]),
    ('"Scale"', [ANY], [ANY]),
    ('"LRN"', [ANY], [ANY]),
    ('"MVN"', [ANY], None),
    ('"Dropout"', [ANY], [ANY]),
    ('"SPP" spp_param { pyramid_height: 2 }', [ANY], None),
    ('"Embed" embed_param { num_output: 3 input_dim: 5 }', [(N, 2)], [(N, 2, 3)]),
    ('"Silence"', [ANY], []),
]


def sized(shape: tuple[int, ...], batch: int) -> tuple[int, ...]:
    return tuple(batch if d == N else d for d in shape)


@pytest.mark.parametrize("case", LAYERS, ids=[case[0] for case in LAYERS])
def test_empty_batch(case: tuple) -> None:
    layer, bottoms, tops = case
    net = build(layer, bottoms, 1 if tops is None else len(tops))
    for batch in (2, 0, 3):
        for i, shape in enumerate(bottoms):
            net.blobs[f"b{i}"].reshape(*sized(shape, batch))
        error = run(net)
        if tops is None and batch == 0:
            assert error is None or "'layer'" in error
        else:
            assert error is None, error
        for i, shape in enumerate(tops or []):
            assert net.blobs[f"top{i}"].data.shape == sized(shape, batch)


def run(net: caffe.Net) -> str | None:
    """What the net complains about."""
    try:
        net.reshape()
        net.forward()
    except RuntimeError as error:
        return str(error)
    return None


def build(layer: str, shapes: list[tuple[int, ...]], tops: int) -> caffe.Net:
    text = ""
    for i, shape in enumerate(shapes):
        dims = " ".join(f"dim: {d}" for d in sized(shape, 2))
        text += (
            f'layer {{ name: "b{i}" type: "Input" top: "b{i}" '
            f"input_param {{ shape {{ {dims} }} }} }}\n"
        )
    ends = [f'bottom: "b{i}"' for i in range(len(shapes))] + [f'top: "top{i}"' for i in range(tops)]
    return caffe.Net(
        f'{text}layer {{ name: "layer" {" ".join(ends)} type: {layer} }}\n', caffe.TEST
    )


@pytest.mark.parametrize("kind", ["Softmax", "ReLU", "PReLU", "Flatten", "Sigmoid"])
@pytest.mark.parametrize("shape", [(2, 0, 4), (2, 3, 0, 5), (0, 0, 0)])
def test_empty_axes(kind: str, shape: tuple[int, ...]) -> None:
    text = " ".join(f"dim: {d}" for d in shape)
    net = caffe.Net(
        f'layer {{ name: "i" type: "Input" top: "x" input_param {{ shape {{ {text} }} }} }}\n'
        f'layer {{ name: "layer" type: "{kind}" bottom: "x" top: "y" '
        "prelu_param { channel_shared: true } }",
        caffe.TEST,
    )
    assert net.forward()["y"].size == 0


def test_nothing_selected() -> None:
    """A Filter that selects nothing, and layers behind it."""
    net = caffe.Net(
        'layer { name: "i" type: "Input" top: "x" top: "s" '
        "input_param { shape { dim: 4 dim: 3 dim: 2 dim: 5 } shape { dim: 4 } } }\n"
        'layer { name: "f" type: "Filter" bottom: "x" bottom: "s" top: "y" }\n'
        'layer { name: "r" type: "ReLU" bottom: "y" top: "y" }\n'
        'layer { name: "g" type: "Flatten" bottom: "y" top: "z" }\n',
        caffe.TEST,
    )
    x = np.random.default_rng(0).normal(0, 1, (4, 3, 2, 5)).astype(np.float32)
    net.blobs["x"].data[...] = x
    for selected in ([1, 0, 0, 1], [0, 0, 0, 0], [1, 1, 1, 1], [0, 0, 1, 0]):
        net.blobs["s"].data[...] = selected
        expected = np.maximum(x[np.array(selected) == 1], 0).reshape(sum(selected), 30)
        np.testing.assert_array_equal(net.forward()["z"], expected)
