"""Nets that train, with losses on all outputs: what training plans and precisions are tried on."""

from __future__ import annotations

import numpy as np
from plan_nets import NETS, TINY, conv, data, layer
from recipe import fill_params, rng_for

import p3d.caffe as caffe

FROZEN = TINY.replace("frozen: false", "frozen: true")
FREEZE = "bn_param { frozen: true }"
CASES = {
    **NETS,
    "dropout_between": NETS["dropout_between"].replace(
        'type: "Dropout"', 'type: "Dropout" dropout_param { dropout_ratio: 0 }'
    ),
    "tiny_p3d_frozen": FROZEN,
    "frozen_bn": NETS["two_affine"].replace('top: "bn" ', f'top: "bn" {FREEZE} '),
    "frozen_then_relu": NETS["relu_then_bn"].replace('top: "bn" ', f'top: "bn" {FREEZE} '),
    "fixed_scale": data(2, 3, 2, 4, 5)
    + conv("c", "data", 5)
    + layer("Scale", "s", "c", more="param { lr_mult: 0 } scale_param { filler { value: -2 } }")
    + layer("ReLU", "relu", "s", "s"),
    "relu_before_the_sum": data(2, 3, 2, 4, 5)
    + conv("a", "data", 5)
    + conv("b", "data", 5)
    + layer("ReLU", "relu", "b", "b")
    + layer("Eltwise", "sum", "a b", more="eltwise_param { coeff: 0.5 coeff: -2 }"),
    "sum_to_the_first": data(2, 3, 2, 4, 5)
    + conv("a", "data", 3)
    + conv("b", "a", 3)
    + layer("ReLU", "relu_b", "b", "b")
    + conv("c", "b", 3)
    + layer("Eltwise", "sum", "b c", more="eltwise_param { coeff: 3 coeff: 0.5 }")
    + layer("ReLU", "relu", "sum", "sum")
    + conv("d", "sum", 3),
    "three_readers": data(2, 3, 5, 7, 9)
    + conv("a", "data", 4)
    + conv("b", "a", 4, "stride: 2")
    + layer("Pooling3D", "p", "a", more="pooling3d_param { pool: AVE kernel_size: 1 stride: 2 "
            "kernel_l: 1 stride_l: 2 }")
    + conv("c", "a", 4, "stride: 2")
    + layer("Eltwise", "s1", "b p")
    + layer("Eltwise", "s2", "s1 c"),
    "lower_part_fixed": data(2, 3, 2, 4, 5)
    + conv("a", "data", 5).replace("convolution_param", "param { lr_mult: 0 } param { lr_mult: 0 } "
                                   "convolution_param")
    + layer("ReLU", "relu", "a", "a")
    + conv("b", "a", 5)
    + layer("Eltwise", "sum", "a b"),
    "no_gradient_down": data(2, 3, 2, 4, 5)
    + conv("a", "data", 5)
    + conv("b", "a", 5)
    + layer("Eltwise", "sum", "a b", more="propagate_down: false propagate_down: true"),
    "loss_that_is_read": data(2, 3, 2, 4, 5)
    + conv("a", "data", 5)
    + layer("Reduction", "mean", "a", more="reduction_param { operation: MEAN axis: 1 } "
            "loss_weight: 3")
    + layer("Power", "twice", "mean", more="power_param { scale: 2 }"),
    "loss_in_place": data(2, 3, 2, 4, 5)
    + conv("a", "data", 5)
    + layer("Scale", "scale", "a", "a", "loss_weight: 3"),
    "in_place_behind_a_flatten": data(2, 3, 2, 4, 5)
    + conv("a", "data", 5)
    + layer("Flatten", "flat", "a")
    + layer("ReLU", "relu", "flat", "flat")
    + layer("Power", "twice", "flat", more="power_param { scale: 2 }")
    + layer("Power", "beside", "flat", more="power_param { scale: -1 }")
    + layer("Power", "other", "a", more="power_param { scale: 3 }"),
    "dead_end": data(2, 3, 2, 4, 5)
    + conv("a", "data", 5)
    + conv("b", "a", 5)
    + conv("unused", "a", 2)
    + 'layer { name: "silence" type: "Silence" bottom: "unused" }\n',
}  # fmt: skip


def with_losses(text: str) -> str:
    """Half the sum of squares of every output."""
    outputs = caffe.Net(text, caffe.TRAIN).outputs
    return text + "".join(
        layer("Reduction", f"loss_{i}", name, "", "reduction_param { operation: SUMSQ } "
              "loss_weight: 0.5")
        for i, name in enumerate(outputs)
        if "_split_" not in name
    )  # fmt: skip


def make(text: str) -> tuple[caffe.Net, caffe.Net]:
    """(planned net, one of the same weights that runs layer by layer), inputs filled."""
    nets = caffe.Net(with_losses(text), caffe.TRAIN), caffe.Net(with_losses(text), caffe.TRAIN)
    for name, blobs in nets[0].params.items():
        normalises = nets[0].layer_dict[name].type in ("BN", "BatchNorm")
        for i, blob in enumerate(blobs):
            value = fill_params(name, i, (1, blob.count), scaled=False).reshape(blob.shape)
            value = np.abs(value) + 0.1 if normalises else fill_params(name, i, blob.shape)
            nets[0].params[name][i].data[...] = value
            nets[1].params[name][i].data[...] = value
    nets[1]._net.set_planning(False)
    refill(nets, 1)
    return nets


def refill(nets: tuple[caffe.Net, caffe.Net], seed: int) -> None:
    for net in nets:
        net.blobs["data"].data[...] = rng_for(str(seed)).normal(0, 1, net.blobs["data"].shape)
