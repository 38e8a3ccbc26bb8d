"""Brings nets of old formats to today's: V0 and V1 layers, `input:` fields, BatchNorm."""

from __future__ import annotations

import logging
from typing import Any

from p3d.error import Error
from p3d.wording import shorten

from .proto import caffe_pb2

_log = logging.getLogger(__name__)

# V1 enum -> type string.
_V1_TYPES = {
    "NONE": "",
    "ABSVAL": "AbsVal",
    "ACCURACY": "Accuracy",
    "ARGMAX": "ArgMax",
    "BNLL": "BNLL",
    "CONCAT": "Concat",
    "CONTRASTIVE_LOSS": "ContrastiveLoss",
    "CONVOLUTION": "Convolution",
    "DATA": "Data",
    "DECONVOLUTION": "Deconvolution",
    "DROPOUT": "Dropout",
    "DUMMY_DATA": "DummyData",
    "ELTWISE": "Eltwise",
    "EUCLIDEAN_LOSS": "EuclideanLoss",
    "EXP": "Exp",
    "FLATTEN": "Flatten",
    "HDF5_DATA": "HDF5Data",
    "HDF5_OUTPUT": "HDF5Output",
    "HINGE_LOSS": "HingeLoss",
    "IM2COL": "Im2col",
    "IMAGE_DATA": "ImageData",
    "INFOGAIN_LOSS": "InfogainLoss",
    "INNER_PRODUCT": "InnerProduct",
    "LRN": "LRN",
    "MEMORY_DATA": "MemoryData",
    "MULTINOMIAL_LOGISTIC_LOSS": "MultinomialLogisticLoss",
    "MVN": "MVN",
    "POOLING": "Pooling",
    "POWER": "Power",
    "RELU": "ReLU",
    "SIGMOID": "Sigmoid",
    "SIGMOID_CROSS_ENTROPY_LOSS": "SigmoidCrossEntropyLoss",
    "SILENCE": "Silence",
    "SLICE": "Slice",
    "SOFTMAX": "Softmax",
    "SOFTMAX_LOSS": "SoftmaxWithLoss",
    "SPLIT": "Split",
    "TANH": "TanH",
    "THRESHOLD": "Threshold",
    "WINDOW_DATA": "WindowData",
}

# V0 type string -> V1 enum.
_V0_TYPES = {
    "accuracy": "ACCURACY",
    "bnll": "BNLL",
    "concat": "CONCAT",
    "conv": "CONVOLUTION",
    "data": "DATA",
    "dropout": "DROPOUT",
    "euclidean_loss": "EUCLIDEAN_LOSS",
    "flatten": "FLATTEN",
    "hdf5_data": "HDF5_DATA",
    "hdf5_output": "HDF5_OUTPUT",
    "im2col": "IM2COL",
    "images": "IMAGE_DATA",
    "infogain_loss": "INFOGAIN_LOSS",
    "innerproduct": "INNER_PRODUCT",
    "lrn": "LRN",
    "multinomial_logistic_loss": "MULTINOMIAL_LOGISTIC_LOSS",
    "pool": "POOLING",
    "relu": "RELU",
    "sigmoid": "SIGMOID",
    "softmax": "SOFTMAX",
    "softmax_loss": "SOFTMAX_LOSS",
    "split": "SPLIT",
    "tanh": "TANH",
    "window_data": "WINDOW_DATA",
}

_CONV, _POOL = "convolution_param", "pooling_param"
_DATA = {
    "data": "data_param",
    "hdf5_data": "hdf5_data_param",
    "images": "image_data_param",
    "window_data": "window_data_param",
}
_WINDOW = {"window_data": "window_data_param"}
_LEARNED = {"conv": _CONV, "innerproduct": "inner_product_param"}
_LRN = {"lrn": "lrn_param"}
_ANY = "any type"

# V0 field -> (its new name, V0 type -> the message it moves to).
_V0_FIELDS: dict[str, tuple[str, dict[str, str]]] = {
    "num_output": ("num_output", _LEARNED),
    "biasterm": ("bias_term", _LEARNED),
    "weight_filler": ("weight_filler", _LEARNED),
    "bias_filler": ("bias_filler", _LEARNED),
    "pad": ("pad", {"conv": _CONV, "pool": _POOL}),
    "kernelsize": ("kernel_size", {"conv": _CONV, "pool": _POOL}),
    "stride": ("stride", {"conv": _CONV, "pool": _POOL}),
    "group": ("group", {"conv": _CONV}),
    "pool": ("pool", {"pool": _POOL}),
    "dropout_ratio": ("dropout_ratio", {"dropout": "dropout_param"}),
    "local_size": ("local_size", _LRN),
    "alpha": ("alpha", _LRN),
    "beta": ("beta", _LRN),
    "k": ("k", _LRN),
    "source": ("source", {**_DATA, "infogain_loss": "infogain_loss_param"}),
    "batchsize": ("batch_size", _DATA),
    "rand_skip": ("rand_skip", {"data": "data_param", "images": "image_data_param"}),
    "shuffle_images": ("shuffle", {"images": "image_data_param"}),
    "new_height": ("new_height", {"images": "image_data_param"}),
    "new_width": ("new_width", {"images": "image_data_param"}),
    "concat_dim": ("concat_dim", {"concat": "concat_param"}),
    "det_fg_threshold": ("fg_threshold", _WINDOW),
    "det_bg_threshold": ("bg_threshold", _WINDOW),
    "det_fg_fraction": ("fg_fraction", _WINDOW),
    "det_context_pad": ("context_pad", _WINDOW),
    "det_crop_mode": ("crop_mode", _WINDOW),
    "scale": ("scale", {_ANY: "transform_param"}),
    "meanfile": ("mean_file", {_ANY: "transform_param"}),
    "cropsize": ("crop_size", {_ANY: "transform_param"}),
    "mirror": ("mirror", {_ANY: "transform_param"}),
}


def upgrade_net(net: Any, origin: str) -> None:
    """Changes the NetParameter in place, as Caffe does when it reads one."""
    if net.layers:
        if net.layer:
            raise Error(
                f"{origin} mixes `layer` and `layers` blocks; write all as `layer` with a "
                'type in quotes, such as type: "Convolution"'
            )
        if any(layer.HasField("layer") for layer in net.layers):
            _upgrade_v0_layers(net, origin)
        for v1 in net.layers:
            _move_transform_fields(v1)
            _upgrade_v1_layer(v1, net.layer.add())
        del net.layers[:]
    if net.input:
        _upgrade_input(net, origin)
    for layer in net.layer:  # the three blobs are statistics, once protected by hand
        if layer.type == "BatchNorm" and len(layer.param) == 3:
            for spec in layer.param:
                spec.lr_mult = 0
                spec.decay_mult = 0


def _upgrade_v0_layers(net: Any, origin: str) -> None:
    """V0 -> V1. A padding layer becomes the `pad` of the layer that reads it."""
    upgraded = type(net)()
    padding: dict[str, Any] = {}  # top of a padding layer -> that layer
    for outer in net.layers:
        if outer.layer.type == "padding":
            if len(outer.bottom) != 1 or len(outer.top) != 1:
                raise Error(
                    f"{origin}: padding layer '{shorten(outer.layer.name)}' has "
                    f"{len(outer.bottom)} bottoms and {len(outer.top)} tops; both must be one"
                )
            padding[outer.top[0]] = outer
            continue
        v1 = upgraded.layers.add()
        _upgrade_v0_layer(outer, v1, origin)
        for j, blob in enumerate(v1.bottom):
            if blob in padding:
                _absorb_padding(padding[blob], v1, j, outer.layer.type, origin)
        for blob in outer.top:
            padding.pop(blob, None)
    del net.layers[:]
    net.layers.extend(upgraded.layers)


def _absorb_padding(padding: Any, v1: Any, index: int, v0_type: str, origin: str) -> None:
    if v0_type not in ("conv", "pool") or len(v1.bottom) != 1:
        raise Error(
            f"{origin}: layer '{shorten(v1.name)}' reads a padding layer, which only conv and "
            "pool layers with one bottom can do"
        )
    if v0_type == "conv":
        v1.convolution_param.pad[:] = [padding.layer.pad]
    else:
        v1.pooling_param.pad = padding.layer.pad
    v1.bottom[index] = padding.bottom[0]


def _upgrade_v0_layer(outer: Any, v1: Any, origin: str) -> None:
    v0 = outer.layer
    v1.bottom.extend(outer.bottom)
    v1.top.extend(outer.top)
    v1.blobs.extend(v0.blobs)
    v1.blobs_lr.extend(v0.blobs_lr)
    v1.weight_decay.extend(v0.weight_decay)
    if v0.HasField("name"):
        v1.name = v0.name
    if v0.HasField("type"):
        if v0.type not in _V0_TYPES:
            raise Error(
                f"{origin}: layer '{shorten(v0.name)}' has the unknown V0 type "
                f"'{shorten(v0.type)}'; V0 knows {', '.join(_V0_TYPES)}"
            )
        v1.type = caffe_pb2.V1LayerParameter.LayerType.Value(_V0_TYPES[v0.type])
    if v0.HasField("hdf5_output_param"):
        v1.hdf5_output_param.CopyFrom(v0.hdf5_output_param)
    for field, value in v0.ListFields():
        if field.name in _V0_FIELDS:
            _move_v0_field(field, value, v0, v1, origin)


def _move_v0_field(field: Any, value: Any, v0: Any, v1: Any, origin: str) -> None:
    new_name, targets = _V0_FIELDS[field.name]
    target = targets.get(v0.type) or targets.get(_ANY)
    if target is None:
        _log.warning(
            "%s: layer '%s' of type %s has no use for %s; ignored",
            origin, shorten(v0.name), shorten(v0.type), field.name,
        )  # fmt: skip
        return
    message = getattr(v1, target)
    current = getattr(message, new_name)
    if field.message_type is not None:
        current.CopyFrom(value)
    elif hasattr(current, "append"):
        current.append(value)
    else:
        setattr(message, new_name, value)


def _move_transform_fields(v1: Any) -> None:
    """scale, mean_file, crop_size and mirror of data layers belong to transform_param."""
    kind = caffe_pb2.V1LayerParameter.LayerType.Name(v1.type)
    if kind not in ("DATA", "IMAGE_DATA", "WINDOW_DATA"):
        return
    message = getattr(v1, kind.lower() + "_param")
    for name in ("scale", "mean_file", "crop_size", "mirror"):
        if message.HasField(name):
            setattr(v1.transform_param, name, getattr(message, name))
            message.ClearField(name)


def _upgrade_v1_layer(v1: Any, layer: Any) -> None:
    if v1.HasField("name"):
        layer.name = v1.name
    if v1.HasField("type"):
        layer.type = _V1_TYPES[caffe_pb2.V1LayerParameter.LayerType.Name(v1.type)]
    for name in ("bottom", "top", "include", "exclude", "blobs", "loss_weight"):
        getattr(layer, name).extend(getattr(v1, name))
    for v1_name, name in (
        ("param", "name"),
        ("blob_share_mode", "share_mode"),
        ("blobs_lr", "lr_mult"),
        ("weight_decay", "decay_mult"),
    ):
        for i, value in enumerate(getattr(v1, v1_name)):
            if i == len(layer.param):
                layer.param.add()
            setattr(layer.param[i], name, value)
    for field, value in v1.ListFields():
        if field.name.endswith("_param"):
            getattr(layer, field.name).CopyFrom(value)


def _upgrade_input(net: Any, origin: str) -> None:
    """`input:` names with sizes become an Input layer at the top of the net. Names without
    any sizes, as old caffemodels have them, are dropped."""
    if net.input_shape or net.input_dim:
        layers = type(net)()
        layer = layers.layer.add(name="input", type="Input", top=net.input)
        for shape in _input_shapes(net, origin):
            layer.input_param.shape.add(dim=shape)
        layers.layer.extend(net.layer)
        del net.layer[:]
        net.layer.extend(layers.layer)
    for name in ("input", "input_shape", "input_dim"):
        net.ClearField(name)


def _input_shapes(net: Any, origin: str) -> list[list[int]]:
    count = len(net.input)
    if net.input_shape:
        if len(net.input_shape) != count:
            raise Error(
                f"{origin} has {count} `input` but {len(net.input_shape)} `input_shape`; "
                "give one for each"
            )
        return [list(shape.dim) for shape in net.input_shape]
    axes, rest = divmod(len(net.input_dim), count)
    if rest or axes not in (4, 5):  # Caffe knows 4; clips have 5
        raise Error(
            f"{origin} has {count} `input` and {len(net.input_dim)} `input_dim`; give four for "
            "each (five for clips), or an `input_shape`"
        )
    return [list(net.input_dim[i * axes : (i + 1) * axes]) for i in range(count)]
