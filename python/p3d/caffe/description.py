"""A net as plain lists and dicts: what the engine is built from."""

from __future__ import annotations

import math
from functools import cache
from typing import Any

from p3d.error import Error

from .proto import caffe_pb2

_SHARE_MODES = {number: name for name, number in caffe_pb2.ParamSpec.DimCheckMode.items()}


def describe(net: Any) -> tuple[list[dict[str, Any]], dict[str, dict[str, Any]]]:
    """(layers, defaults) of a NetParameter that `prepare` made.

    A layer is {"name", "type", "bottom": [str], "top": [str], "phase": 0 | 1,
    "loss_weight": [float], "propagate_down": [bool], "param": [{"name", "share_mode":
    "STRICT" | "PERMISSIVE", "lr_mult", "decay_mult"}], "fields": {field: message}} with None for a
    multiplier that is not given and a message for every *_param field that is set. `defaults`
    has the message of every *_param field when nothing is set.

    A message is a dict of all its fields: a scalar has its value or its default, a
    repeated field is a list, an enum is its name, a submessage is a message; "has" lists
    the fields that were set. Default values are shared between messages: read only.

    Raises Error for a field that is NaN or infinite.
    """
    return [_layer(layer) for layer in net.layer], _param_defaults()


def _layer(layer: Any) -> dict[str, Any]:
    try:
        return _description(layer)
    except Error as error:
        raise Error(f"{layer.type} '{layer.name}': {error}") from None


def _description(layer: Any) -> dict[str, Any]:
    return {
        "name": layer.name,
        "type": layer.type,
        "bottom": list(layer.bottom),
        "top": list(layer.top),
        "phase": layer.phase,
        "loss_weight": [finite("loss_weight", weight) for weight in layer.loss_weight],
        "propagate_down": list(layer.propagate_down),
        "param": [
            {
                "name": spec.name,
                "share_mode": _SHARE_MODES[spec.share_mode],
                **{name: _multiplier(spec, name) for name in ("lr_mult", "decay_mult")},
            }
            for spec in layer.param
        ],
        "fields": {
            field.name: _message(value)
            for field, value in layer.ListFields()
            if field.name.endswith("_param")
        },
    }


def _multiplier(spec: Any, name: str) -> float | None:
    return finite(name, getattr(spec, name)) if spec.HasField(name) else None


def _message(message: Any) -> dict[str, Any]:
    contents = dict(_defaults(message.DESCRIPTOR))
    has = []
    for field, value in message.ListFields():
        has.append(field.name)
        contents[field.name] = _convert(field, value)
    contents["has"] = has
    return contents


def _convert(field: Any, value: Any) -> Any:
    if _is_repeated(field):
        return [_convert_one(field, item) for item in value]
    return _convert_one(field, value)


def _convert_one(field: Any, value: Any) -> Any:
    if field.message_type is not None:
        return _message(value)
    if field.enum_type is not None:
        return field.enum_type.values_by_number[value].name
    return finite(field.name, value)


def finite(name: str, value: Any) -> Any:
    """The field's value, of any scalar type. Raises Error where it is NaN or infinite."""
    if isinstance(value, float) and not math.isfinite(value):
        raise Error(f"{name} is {value}; it has to be a finite number")
    return value


@cache
def _defaults(descriptor: Any) -> dict[str, Any]:
    """The message of this kind with nothing set. No message of Caffe contains itself."""
    contents: dict[str, Any] = {"has": []}
    for field in descriptor.fields:
        if _is_repeated(field):
            contents[field.name] = []
        elif field.message_type is not None:
            contents[field.name] = _defaults(field.message_type)
        else:
            contents[field.name] = _convert_one(field, field.default_value)
    return contents


@cache
def _param_defaults() -> dict[str, dict[str, Any]]:
    return {
        field.name: _defaults(field.message_type)
        for field in caffe_pb2.LayerParameter.DESCRIPTOR.fields
        if field.name.endswith("_param")
    }


def _is_repeated(field: Any) -> bool:
    # `label` is deprecated where `is_repeated` exists (protobuf 6 and later).
    if hasattr(field, "is_repeated"):
        return field.is_repeated
    return field.label == field.LABEL_REPEATED
