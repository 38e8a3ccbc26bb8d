"""One case for every way that gradients can take through a layer (see test_numeric_gradients)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

Shape = tuple[int, ...]


@dataclass
class Bottom:
    """values: what is drawn, or the numbers themselves."""

    shape: Shape
    values: Any = "apart"
    gradient: bool = True


@dataclass
class Case:
    layer: str
    bottoms: list[Bottom]
    tops: int = 1
    train: bool = False
    in_place: bool = False
    params: str = "normal"
    tolerance: float = 1e-6

    @property
    def type(self) -> str:
        return self.layer.split('"')[1]


def fixed(*values: float, shape: Shape | None = None) -> Bottom:
    return Bottom(shape or (len(values),), values, gradient=False)


def conv(kind: str, more: str, *shape: int) -> Case:
    return Case(f'type: "{kind}" convolution_param {{ {more} }}', [Bottom(shape)])


BIG = Bottom((2, 4, 3, 4, 5))
POSITIVE = Bottom((2, 3, 4, 5), "positive")
NEURONS = {
    "BNLL": "",
    "Clip": "clip_param { min: -0.6 max: 0.7 }",
    "ELU": "elu_param { alpha: 0.7 }",
    "Exp": "exp_param { base: 2 scale: 0.5 shift: 0.3 }",
    "ReLU": "relu_param { negative_slope: 0.1 }",
    "Sigmoid": "",
    "Swish": "swish_param { beta: 1.3 }",
    "TanH": "",
    "PReLU": "",
    "BN": "",
    "Scale": "scale_param { bias_term: true }",
    "Bias": "",
    "MVN": "",
    "LRN": "lrn_param { local_size: 3 alpha: 0.5 beta: 0.6 k: 1.5 }",
    "Softmax": "",
}
POOL = "kernel_size: 3 stride: 2 pad: 1"
POOL3D = "kernel_l: 2 stride_l: 1 kernel_size: 3 stride: 2 pad: 1"
RECURRENT = [Bottom((4, 2, 3)), fixed(0, 0, 1, 1, 0, 1, 1, 1, shape=(4, 2))]
STATES = [Bottom((1, 2, 3)), Bottom((1, 2, 3))]
ROWS, LABELS = Bottom((4, 5)), fixed(3, 0, 4, 1)
SPATIAL = [Bottom((2, 3, 2, 2)), fixed(0, 2, 1, -1, 2, 2, -1, 0, shape=(2, 2, 2))]
IGNORE = "loss_param { ignore_label: -1 normalization: %s }"
H = fixed(*np.linspace(-1, 2, 25), shape=(5, 5))

CASES: dict[str, Case] = {
    **{k: Case(f'type: "{k}" {m}', [BIG], train=True) for k, m in NEURONS.items()},
    **{
        f"{k} in place": Case(f'type: "{k}" {m}', [BIG], train=True, in_place=True)
        for k, m in NEURONS.items()
    },
    "AbsVal": Case('type: "AbsVal"', [BIG]),
    "ELU negative": Case('type: "ELU" elu_param { alpha: -0.7 }', [BIG], in_place=True),
    "ReLU negative": Case('type: "ReLU" relu_param { negative_slope: -2 }', [BIG], in_place=True),
    "Log": Case('type: "Log" log_param { base: 3 scale: 2 shift: 0.5 }', [POSITIVE]),
    "Log in place": Case('type: "Log"', [POSITIVE], in_place=True),
    **{
        f"Power {p}": Case(
            f'type: "Power" power_param {{ power: {p} scale: 1.5 shift: 0.5 }}',
            [POSITIVE],
            in_place=p != 1,
        )
        for p in (0, 1, 2, 3, -0.5)
    },
    "PReLU shared": Case('type: "PReLU" prelu_param { channel_shared: true }', [BIG]),
    "BN frozen": Case('type: "BN" bn_param { frozen: true }', [BIG], params="positive"),
    "BatchNorm": Case('type: "BatchNorm"', [BIG], train=True, params="none"),
    "BatchNorm in place": Case(
        'type: "BatchNorm"', [BIG], train=True, in_place=True, params="none"
    ),
    "BatchNorm test": Case('type: "BatchNorm"', [BIG], params="positive"),
    "Scale scalar": Case('type: "Scale" scale_param { num_axes: 0 bias_term: true }', [BIG]),
    "Scale two": Case('type: "Scale" scale_param { axis: 1 }', [BIG, Bottom((4, 3))]),
    "Bias two": Case('type: "Bias" bias_param { axis: 0 }', [BIG, Bottom((2, 4))]),
    "MVN across": Case('type: "MVN" mvn_param { across_channels: true }', [BIG]),
    "MVN mean": Case('type: "MVN" mvn_param { normalize_variance: false }', [BIG]),
    "LRN within": Case(
        'type: "LRN" lrn_param { local_size: 3 norm_region: WITHIN_CHANNEL alpha: 2 }', [BIG]
    ),
    "Softmax axis": Case('type: "Softmax" softmax_param { axis: 2 }', [BIG]),
    "Convolution": conv("Convolution", "num_output: 3 kernel_size: 3 pad: 1", 2, 4, 3, 4, 5),
    "Convolution odd": conv(
        "Convolution",
        "num_output: 6 group: 2 kernel_size: 2 kernel_size: 3 stride: 3 stride: 2 "
        "dilation: 1 dilation: 2 pad: 2 pad: 3",
        *(2, 4, 7, 6),
    ),
    "Convolution3D": conv(
        "Convolution3D", "num_output: 2 kernel_size: 3 pad_mode: REPLICATE pad: 2", 1, 2, 2, 3, 4
    ),
    "Deconvolution": conv(
        "Deconvolution", "num_output: 4 group: 2 kernel_size: 3 stride: 2 pad: 1", 2, 6, 3, 4
    ),
    "Im2col": conv("Im2col", "kernel_size: 2 stride: 2 pad: 1", 2, 3, 3, 4, 5),
    "InnerProduct": Case('type: "InnerProduct" inner_product_param { num_output: 3 }', [BIG]),
    "InnerProduct transposed": Case(
        'type: "InnerProduct" inner_product_param { num_output: 3 axis: 2 transpose: true }', [BIG]
    ),
    "Embed": Case(
        'type: "Embed" embed_param { num_output: 3 input_dim: 4 }',
        [fixed(1, 3, 1, 0, 3, shape=(5, 1))],
    ),
    "Parameter": Case('type: "Parameter" parameter_param { shape { dim: 2 dim: 3 } }', []),
    **{
        f"Pooling {m}": Case(f'type: "Pooling" pooling_param {{ pool: {m} {POOL} }}', [BIG])
        for m in ("MAX", "AVE")
    },
    **{
        f"Pooling3D {m}": Case(f'type: "Pooling3D" pooling3d_param {{ pool: {m} {POOL3D} }}', [BIG])
        for m in ("MAX", "AVE")
    },
    "Pooling STOCHASTIC": Case(
        'type: "Pooling" pooling_param { pool: STOCHASTIC kernel_size: 2 }', [POSITIVE], train=True
    ),
    "Pooling global": Case(
        'type: "Pooling" pooling_param { pool: MAX global_pooling: true }', [BIG]
    ),
    **{
        f"SPP {m}": Case(
            f'type: "SPP" spp_param {{ pool: {m} pyramid_height: 2 }}', [POSITIVE], train=True
        )
        for m in ("MAX", "AVE")
    },
    "Eltwise SUM": Case('type: "Eltwise" eltwise_param { coeff: 2 coeff: -0.5 }', [BIG, BIG]),
    "Eltwise PROD": Case('type: "Eltwise" eltwise_param { operation: PROD }', [BIG] * 3),
    "Eltwise MAX": Case('type: "Eltwise" eltwise_param { operation: MAX }', [BIG] * 3),
    "Concat": Case('type: "Concat"', [BIG, Bottom((2, 1, 3, 4, 5)), BIG]),
    "Concat one": Case('type: "Concat"', [BIG]),
    "Concat axis": Case('type: "Concat" concat_param { axis: 3 }', [BIG, BIG]),
    "Slice": Case('type: "Slice" slice_param { slice_point: 1 slice_point: 3 }', [BIG], tops=3),
    "Slice axis": Case('type: "Slice" slice_param { axis: 3 }', [BIG], tops=2),
    "Split": Case('type: "Split"', [BIG], tops=3),
    "Flatten": Case('type: "Flatten"', [BIG]),
    "Reshape": Case('type: "Reshape" reshape_param { shape { dim: 0 dim: -1 dim: 5 } }', [BIG]),
    "Crop": Case(
        'type: "Crop" crop_param { axis: 1 offset: 1 offset: 0 offset: 2 offset: 1 }',
        [BIG, Bottom((2, 3, 3, 2, 4), gradient=False)],
    ),
    "Tile": Case('type: "Tile" tile_param { axis: 2 tiles: 3 }', [BIG]),
    **{
        f"Reduction {o}": Case(
            f'type: "Reduction" reduction_param {{ operation: {o} axis: 2 coeff: 0.5 }}', [BIG]
        )
        for o in ("SUM", "ASUM", "SUMSQ", "MEAN")
    },
    "BatchReindex": Case('type: "BatchReindex"', [BIG, fixed(1, 0, 1, 1)]),
    "Filter": Case('type: "Filter"', [ROWS, Bottom((4, 2, 3)), fixed(1, 0, 0, 1)], tops=2),
    "Dropout": Case('type: "Dropout" dropout_param { dropout_ratio: 0.3 }', [BIG], train=True),
    "Dropout in place": Case('type: "Dropout"', [BIG], train=True, in_place=True),
    "Dropout test": Case('type: "Dropout"', [BIG]),
    "LSTM": Case('type: "LSTM" recurrent_param { num_output: 3 }', RECURRENT),
    "LSTM static": Case(
        'type: "LSTM" recurrent_param { num_output: 3 }', [*RECURRENT, Bottom((2, 5))]
    ),
    "LSTM exposed": Case(
        'type: "LSTM" recurrent_param { num_output: 3 expose_hidden: true }',
        [*RECURRENT, *STATES],
        tops=3,
    ),
    "LSTMUnit": Case(
        'type: "LSTMUnit"', [STATES[0], Bottom((1, 2, 12)), fixed(1, 0, shape=(1, 2))], tops=2
    ),
    "RNN": Case('type: "RNN" recurrent_param { num_output: 3 }', [*RECURRENT, Bottom((2, 5))]),
    "RNN exposed": Case(
        'type: "RNN" recurrent_param { num_output: 3 expose_hidden: true }',
        [*RECURRENT, STATES[0]],
        tops=2,
    ),
    "SoftmaxWithLoss": Case('type: "SoftmaxWithLoss"', [ROWS, LABELS]),
    **{
        f"SoftmaxWithLoss {n}": Case(f'type: "SoftmaxWithLoss" {IGNORE % n}', SPATIAL)
        for n in ("VALID", "FULL", "BATCH_SIZE", "NONE")
    },
    "InfogainLoss": Case('type: "InfogainLoss"', [ROWS, LABELS, H]),
    "MultinomialLogisticLoss": Case(
        'type: "MultinomialLogisticLoss"', [Bottom((4, 5), "positive"), LABELS]
    ),
    "EuclideanLoss": Case('type: "EuclideanLoss"', [ROWS, ROWS]),
    "HingeLoss": Case('type: "HingeLoss"', [ROWS, LABELS]),
    "HingeLoss L2": Case('type: "HingeLoss" hinge_loss_param { norm: L2 }', [ROWS, LABELS]),
    "SigmoidCrossEntropyLoss": Case(
        f'type: "SigmoidCrossEntropyLoss" {IGNORE % "VALID"}',
        [Bottom((2, 3)), fixed(0, 1, 0.3, -1, 1, 0, shape=(2, 3))],
    ),
    # Caffe adds 1e-4 to distances that it divides by.
    "ContrastiveLoss": Case(
        'type: "ContrastiveLoss" contrastive_loss_param { margin: 4 }',
        [ROWS, ROWS, fixed(1, 0, 0, 1)],
        tolerance=1e-3,
    ),
    "ContrastiveLoss legacy": Case(
        'type: "ContrastiveLoss" contrastive_loss_param { margin: 9 legacy_version: true }',
        [ROWS, ROWS, fixed(1, 0, 0, 1)],
    ),
}
