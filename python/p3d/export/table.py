"""Which layer types can be exported, and by which function.

To add one, write a function in the module where it belongs and give it a line here. It gets the
graph, the layer and the values of the bottoms, and returns the values of the tops.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from p3d.export import dense, pointwise, shaping
from p3d.export.graph import Graph, Value
from p3d.export.layer import Layer
from p3d.export.pooling import pooling


class Entry(NamedTuple):
    """The *_param field of a type, if it has one, and its function."""

    field: str | None
    convert: Callable[[Graph, Layer, list[Value]], list[Value]]


TABLE = {
    "Input": Entry("input_param", shaping.inputs),
    "Split": Entry(None, shaping.copies),
    "Dropout": Entry(None, shaping.copies),
    "Reshape": Entry("reshape_param", shaping.reshape),
    "Flatten": Entry("flatten_param", shaping.flatten),
    "Concat": Entry("concat_param", shaping.concat),
    "Slice": Entry("slice_param", shaping.slice_),
    "Convolution": Entry("convolution_param", dense.convolution),
    "Convolution3D": Entry("convolution_param", dense.convolution),
    "Deconvolution": Entry("convolution_param", dense.deconvolution),
    "InnerProduct": Entry("inner_product_param", dense.inner_product),
    "Pooling": Entry("pooling_param", pooling),
    "Pooling3D": Entry("pooling3d_param", pooling),
    "BN": Entry("bn_param", pointwise.bn),
    "BatchNorm": Entry("batch_norm_param", pointwise.batch_norm),
    "Scale": Entry("scale_param", pointwise.scale),
    "Bias": Entry("bias_param", pointwise.bias),
    "Eltwise": Entry("eltwise_param", pointwise.eltwise),
    "Power": Entry("power_param", pointwise.power),
    "ReLU": Entry("relu_param", pointwise.relu),
    "PReLU": Entry("prelu_param", pointwise.prelu),
    "ELU": Entry("elu_param", pointwise.unary("Elu", alpha="alpha")),
    "Sigmoid": Entry(None, pointwise.unary("Sigmoid")),
    "TanH": Entry(None, pointwise.unary("Tanh")),
    "AbsVal": Entry(None, pointwise.unary("Abs")),
    "BNLL": Entry(None, pointwise.unary("Softplus")),
    "Swish": Entry("swish_param", pointwise.swish),
    "Clip": Entry("clip_param", pointwise.clip),
    "LRN": Entry("lrn_param", pointwise.lrn),
    "Softmax": Entry("softmax_param", pointwise.softmax),
}
