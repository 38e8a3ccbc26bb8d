"""Layers with parameters, shapes and values that make no sense: an error that names the layer."""

from __future__ import annotations

import numpy as np
import pytest
from one_layer import net_of

import p3d.caffe as caffe

NAN = float("nan")
ANY = (2, 3, 4, 5)


def net(
    layer: str, shapes: list[tuple[int, ...]], tops: int = 1, in_place: bool = False
) -> caffe.Net:
    return net_of(f"type: {layer}", *shapes, tops=tops, in_place=in_place)


# (layer, shapes of the bottoms, what the error says); tops beyond one stand in front.
BUILD = [
    ('"Softmax" softmax_param { axis: 4 }', [ANY], "axis 4 is out of range"),
    ('"Softmax" softmax_param { axis: -5 }', [ANY], "axis -5 is out of range"),
    ('"Softmax"', [()], "axis 1 is out of range"),
    ('"Softmax"', [ANY, ANY], "takes 1 bottom"),
    ('"Concat" concat_param { axis: 1 concat_dim: 1 }', [ANY, ANY], "both axis and concat_dim"),
    ('"Concat" concat_param { concat_dim: 4294967295 }', [ANY, ANY], "axis 4294967295"),
    ('"Concat"', [ANY, (2, 3, 4, 6)], "agree in all axes but axis 1"),
    ('"Concat"', [ANY, (2, 3, 4)], "equally many axes"),
    ('"Slice" slice_param { axis: 1 slice_dim: 1 }', [ANY], "both axis and slice_dim"),
    ('"Slice" slice_param { slice_point: 1 }', [ANY], "1 slice points for 1 tops"),
    (2, '"Slice"', [ANY], "cannot cut 3 along axis 1 into 2"),
    (2, '"Slice" slice_param { slice_point: 3 }', [ANY], "slice point 3 is out of place"),
    (2, '"Slice" slice_param { slice_point: 0 }', [ANY], "slice point 0 is out of place"),
    (2, '"Slice" slice_param { slice_point: 4294967295 }', [ANY], "slice point 4294967295"),
    (3, '"Slice" slice_param { slice_point: 2 slice_point: 1 }', [ANY], "slice point 1 is out"),
    ('"Crop"', [ANY, (2, 3, 5, 5)], "axis 2 of bottom 0 has the size 4, too small"),
    ('"Crop" crop_param { offset: 3 }', [ANY, (2, 3, 2, 2)], "axis 2 of bottom 0"),
    ('"Crop" crop_param { offset: 4294967295 }', [ANY, ANY], "axis 2 of bottom 0"),
    ('"Crop" crop_param { offset: 0 offset: 0 offset: 0 }', [ANY, ANY], "3 offsets for 2 axes"),
    ('"Crop"', [ANY, (2, 3)], "axis 2 is out of range"),
    ('"Flatten" flatten_param { axis: 3 end_axis: 1 }', [ANY], "lies behind end_axis"),
    ('"Flatten" flatten_param { axis: 7 }', [ANY], "axis 7 is out of range"),
    ('"Reshape" reshape_param { shape { dim: -1 dim: -1 } }', [ANY], "one -1 only"),
    ('"Reshape" reshape_param { shape { dim: -2 } }', [ANY], "an axis of size -2"),
    ('"Reshape" reshape_param { shape { dim: 9223372036854775807 } }', [ANY], "dim: 9.22337e\\+18"),
    ('"Reshape" reshape_param { shape { dim: 7 dim: -1 } }', [ANY], "cannot infer the -1"),
    (
        '"Reshape" reshape_param { shape { dim: 2147483647 dim: 2147483647 dim: 2147483647 '
        "dim: -1 } }",
        [ANY],
        "cannot infer the -1",
    ),
    (
        '"Reshape" reshape_param { shape { dim: 2147483647 dim: 2147483647 dim: 2147483647 } }',
        [ANY],
        "at most 2\\^31 - 1 values",
    ),
    ('"Reshape" reshape_param { axis: 2 shape { dim: 0 dim: 0 dim: 0 } }', [ANY], "no axis 4"),
    ('"Reshape" reshape_param { axis: 5 shape { dim: 1 } }', [ANY], "axis 5 is out of range"),
    ('"Reshape" reshape_param { axis: 3 num_axes: 2 }', [ANY], "num_axes 2 from axis 3"),
    ('"Reshape" reshape_param { num_axes: -2 }', [ANY], "num_axes -2"),
    ('"Tile"', [ANY], "tiles is 0"),
    ('"Tile" tile_param { tiles: -1 }', [ANY], "tiles is -1"),
    ('"Tile" tile_param { tiles: 2147483647 }', [ANY], "at most 2\\^31 - 1 values"),
    ('"BatchReindex"', [ANY, (2, 1)], "indices of one axis"),
    ('"BatchReindex"', [(), (2,)], "items to choose from"),
    ('"Filter"', [ANY, (2, 2)], "one number per item"),
    ('"Filter"', [ANY, (3,)], "bottom 0 has 2 items, the selector 3"),
    ('"Filter"', [ANY, ANY, (2,)], "needs 2 tops, not 1"),
    ('"Filter"', [(), ()], "axis 0 is out of range"),
    ('"Reduction" reduction_param { axis: 5 }', [ANY], "axis 5 is out of range"),
    ('"ArgMax" argmax_param { top_k: 0 }', [ANY], "top_k is 0"),
    ('"ArgMax" argmax_param { top_k: 61 }', [ANY], "top_k is 61"),
    ('"ArgMax" argmax_param { top_k: 4294967295 }', [ANY], "top_k is 4294967295"),
    ('"ArgMax" argmax_param { top_k: 4 axis: 1 }', [ANY], "top_k is 4"),
    ('"ArgMax" argmax_param { axis: -5 }', [ANY], "axis -5 is out of range"),
    ('"Parameter" parameter_param { shape { dim: -3 } }', [], "cannot have the shape"),
    ('"Eltwise" eltwise_param { operation: PROD coeff: 1 coeff: 1 }', [ANY, ANY], "SUM only"),
    ('"Eltwise" eltwise_param { coeff: 1 }', [ANY, ANY], "1 coefficients for 2 bottoms"),
    ('"Eltwise"', [ANY], "at least 2 bottom"),
    ('"Clip" clip_param { min: 1 }', [ANY], "both min and max"),
    ('"Exp" exp_param { base: 0 }', [ANY], "base is 0"),
    ('"Exp" exp_param { base: -2 }', [ANY], "base is -2"),
    ('"Exp" exp_param { base: nan }', [ANY], "base is nan"),
    ('"Exp" exp_param { base: inf }', [ANY], "base is inf"),
    ('"Scale" loss_weight: nan', [ANY], "loss_weight is nan"),
    ('"Scale" param { lr_mult: inf }', [ANY], "lr_mult is inf"),
    ('"VideoData" video_data_param { mean_value: [1, nan] }', [], "mean_value is nan"),
    ('"DummyData" transform_param { scale: -inf }', [], "scale is -inf"),
    ('"Log" log_param { base: 1 }', [ANY], "base is 1"),
    ('"PReLU"', [(3,)], "at least 2 axes"),
    ('"PReLU" prelu_param { filler { type: "none" } }', [ANY], "filler"),
    ('"SoftmaxWithLoss"', [ANY, (2, 4, 4)], "one label for each of the 40 predictions"),
    ('"SoftmaxWithLoss"', [ANY, (3, 4, 5)], "bottom 0 has 2 items, bottom 1 has 3"),
    ('"SoftmaxWithLoss" softmax_param { axis: 9 }', [ANY, (2,)], "axis 9 is out of range"),
    ('"EuclideanLoss"', [ANY, (2, 3, 4, 4)], "bottoms of one size"),
    ('"EuclideanLoss"', [(), ()], "axis 0 is out of range"),
    ('"EuclideanLoss" loss_weight: 1 loss_weight: 2', [ANY, ANY], "loss_weight is given 2 times"),
    ('"HingeLoss"', [ANY, (2, 2)], "one label for each of the 2"),
    ('"SigmoidCrossEntropyLoss"', [ANY, (2, 3)], "bottoms of one size"),
    ('"ContrastiveLoss"', [(4, 3), (4, 2), (4,)], "bottoms of one size"),
    ('"ContrastiveLoss"', [(4, 3), (4, 3), (4, 2)], "one label for each of the 4 pairs"),
    ('"InfogainLoss"', [(4, 3), (4,), (3, 2)], "a matrix of 3 x 3, not of 6"),
    ('"InfogainLoss"', [(4, 3), (4,)], "needs a matrix"),
    ('"InfogainLoss" loss_param { normalize: true }', [(4, 3), (4,), (3, 3)], "normalization"),
    ('"MultinomialLogisticLoss"', [ANY, (2, 2)], "one label for each of the 2"),
    ('"Accuracy" accuracy_param { top_k: 4 }', [(2, 3), (2,)], "only 3 classes"),
    ('"Accuracy" accuracy_param { axis: 2 }', [(2, 3), (2,)], "axis 2 is out of range"),
    ('"Accuracy"', [(2, 3), (3,)], "one label for each of the 2"),
    ('"LSTM"', [(4, 2, 5), (4, 2)], "num_output is 0"),
    ('"LSTM" recurrent_param { num_output: 4294967295 }', [(4, 2, 5), (4, 2)], "num_output"),
    ('"LSTM" recurrent_param { num_output: 3 }', [(4,), (4,)], "time steps and streams"),
    ('"LSTM" recurrent_param { num_output: 3 }', [(4, 2), (4, 2)], "axis 2 is out of range"),
    ('"LSTM" recurrent_param { num_output: 3 }', [(4, 2, 5), (4, 3)], "shape \\(T, N\\), 4 2"),
    ('"LSTM" recurrent_param { num_output: 3 }', [(4, 2, 5), (4, 2), (3, 5)], "of 2 streams"),
    (
        3,
        '"LSTM" recurrent_param { num_output: 3 expose_hidden: true }',
        [(4, 2, 5), (4, 2), (1, 2, 3), (1, 2, 4)],
        "first states of shape 1 2 3",
    ),
    ('"RNN" recurrent_param { num_output: 3 expose_hidden: true }', [(4, 2, 5)], "at least 3"),
    (2, '"LSTMUnit"', [(1, 3, 4), (1, 3, 12), (1, 3)], "gates of shape \\(1, N, 4 D\\)"),
    (2, '"LSTMUnit"', [(2, 3, 4), (2, 3, 16), (2, 3)], "cell state of shape \\(1, N, D\\)"),
    (2, '"LSTMUnit"', [(1, 3, 4), (1, 3, 16), (3,)], "indicators of shape \\(1, N\\)"),
]


@pytest.mark.parametrize("case", BUILD, ids=lambda case: f"{case[-3][1:20]}: {case[-1]}")
def test_cannot_be_built(case: tuple) -> None:
    *tops, layer, shapes, message = case
    kind = layer.split('"')[1]
    tops = tops or [0 if kind == "Silence" else 1]
    with pytest.raises(RuntimeError, match=f"'layer': .*{message}"):
        net(layer, shapes, *tops)


NOT_IN_PLACE = [
    ('"AbsVal"', [ANY]),
    ('"Flatten"', [ANY]),
    ('"Reshape" reshape_param { shape { dim: 2 dim: -1 } }', [ANY]),
    ('"Concat"', [ANY, ANY]),
    ('"Slice"', [ANY]),
    ('"Split"', [ANY]),
    ('"Crop"', [ANY, ANY]),
    ('"Tile" tile_param { tiles: 2 }', [ANY]),
    ('"Reduction"', [ANY]),
    ('"ArgMax"', [ANY]),
    ('"BatchReindex"', [ANY, (2,)]),
    ('"Filter"', [ANY, (2,)]),
    ('"Accuracy"', [(2, 3), (2,)]),
    ('"EuclideanLoss"', [ANY, ANY]),
    ('"SoftmaxWithLoss"', [(2, 3), (2,)]),
    ('"LSTM" recurrent_param { num_output: 5 }', [(4, 2, 5), (4, 2)]),
    ('"Convolution" convolution_param { num_output: 3 kernel_size: 1 }', [ANY]),
    ('"InnerProduct" inner_product_param { num_output: 3 }', [(2, 3)]),
]


@pytest.mark.parametrize(("layer", "shapes"), NOT_IN_PLACE, ids=[c[0][1:14] for c in NOT_IN_PLACE])
def test_cannot_work_in_place(layer: str, shapes: list[tuple[int, ...]]) -> None:
    with pytest.raises(RuntimeError, match="'layer': cannot work in place"):
        net(layer, shapes, in_place=True)


LABELS = [
    ('"SoftmaxWithLoss"', [(2, 3), (2,)]),
    ('"SoftmaxWithLoss" loss_param { ignore_label: -7 }', [(2, 3), (2,)]),
    ('"HingeLoss"', [(2, 3), (2,)]),
    ('"MultinomialLogisticLoss"', [(2, 3), (2,)]),
    ('"InfogainLoss"', [(2, 3), (2,), (3, 3)]),
    ('"Accuracy"', [(2, 3), (2,)]),
]


@pytest.mark.parametrize("label", [3, -1, 1e30, -1e30, NAN, float("inf"), 2147483648])
@pytest.mark.parametrize(("layer", "shapes"), LABELS, ids=[case[0] for case in LABELS])
def test_label_is_no_class(layer: str, shapes: list[tuple[int, ...]], label: float) -> None:
    bad = net(layer, shapes)
    bad.blobs["b1"].data[1] = label
    with pytest.raises(
        RuntimeError, match=r"'layer': label .* at place 1 is not one of the 3 classes"
    ):
        bad.forward()


@pytest.mark.parametrize(("layer", "shapes"), LABELS, ids=[case[0] for case in LABELS])
def test_labels_are_cut_off(layer: str, shapes: list[tuple[int, ...]]) -> None:
    losses = []
    for labels in ([0, 2], [-0.9, 2.9]):
        good = net(layer, shapes)
        good.blobs["b0"].data[...] = np.arange(6).reshape(2, 3) / 15 + 0.1
        good.blobs["b1"].data[...] = labels
        losses.append(float(good.forward()["t0"]))
    assert losses[0] == losses[1]


@pytest.mark.parametrize("index", [2, -1, -0.5, NAN, 1e30])
def test_batch_reindex_out_of_range(index: float) -> None:
    bad = net('"BatchReindex"', [ANY, (3,)])
    bad.blobs["b1"].data[2] = index
    with pytest.raises(
        RuntimeError, match=r"'layer': index .* at place 2 is not one of the 2 items"
    ):
        bad.forward()


def test_contrastive_label_nan() -> None:
    bad = net('"ContrastiveLoss"', [(2, 3), (2, 3), (2,)])
    bad.blobs["b2"].data[1] = NAN
    with pytest.raises(RuntimeError, match="'layer': label 1 is NaN"):
        bad.forward()


def test_a_refused_reshape_leaves_its_bottom() -> None:
    refusing = net('"Reshape" reshape_param { shape { dim: 6 } }', [(2, 3)])
    refusing.blobs["b0"].reshape(4, 3)
    with pytest.raises(RuntimeError, match="cannot give the bottom"):
        refusing.reshape()
    assert refusing.blobs["b0"].data.shape == (4, 3)
