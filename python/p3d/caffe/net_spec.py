"""Nets written in Python.

    n = NetSpec()
    n.data = L.Input(shape=dict(dim=[1, 3, 16, 160, 160]))
    n.conv1 = L.Convolution(n.data, num_output=64, kernel_size=[1, 7, 7], bias_term=False)
    n.bn_conv1 = L.BN(n.conv1, frozen=True)
    n.conv1_relu = L.ReLU(n.bn_conv1, in_place=True)
    n.pool1 = L.Pooling3D(n.conv1_relu, pool=P.Pooling3D.MAX, kernel_size=3, kernel_l=2)
    print(n.to_proto())

with `layers as L` and `params as P`. A layer function takes its bottoms, the fields of its
own message by name (or whole messages: convolution_param=dict(...)), the fields of
LayerParameter, and `ntop` and `in_place`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from p3d.wording import did_you_mean

from .proto import caffe_pb2

# Kinds whose options are in the message of another kind.
_SHARED_MESSAGES = {
    "Deconvolution": "convolution",
    "Im2col": "convolution",
    "LSTM": "recurrent",
    "RNN": "recurrent",
}


def param_name_dict() -> dict[str, str]:
    """Kind of layer -> stem of its *_param field: {"BN": "bn", "Pooling3D": "pooling3d"}."""
    return {
        field.message_type.name.removesuffix("Parameter"): field.name.removesuffix("_param")
        for field in caffe_pb2.LayerParameter.DESCRIPTOR.fields
        if field.name.endswith("_param")
    }


_param_names = param_name_dict() | _SHARED_MESSAGES


def to_proto(*tops: Top) -> Any:
    """The NetParameter with all layers that the tops need, blobs named automatically."""
    layers: dict[Function, Any] = {}
    autonames: Counter[str] = Counter()
    names: dict[Any, str] = {}
    for top in tops:
        top._to_proto(layers, names, autonames)
    return caffe_pb2.NetParameter(layer=layers.values())


def assign_proto(proto: Any, name: str, value: Any) -> None:
    """Sets a field from plain Python: dicts are messages, lists repeated fields, a single
    value a list of one where the field is repeated, and enums may be given as names."""
    field = proto.DESCRIPTOR.fields_by_name.get(name)
    if field is None:
        kind = proto.DESCRIPTOR.name
        hint = did_you_mean(name, proto.DESCRIPTOR.fields_by_name)
        raise AttributeError(f"{kind} has no field '{name}'{hint}")
    target = getattr(proto, name)
    if hasattr(target, "extend"):
        items = value if isinstance(value, (list, tuple, np.ndarray)) else [value]
        for item in items:
            if field.message_type is not None:
                _fill(target.add(), item)
            else:
                _set_scalar(field, item, target.append)
    elif field.message_type is not None:
        target.SetInParent()
        _fill(target, value)
    else:
        _set_scalar(field, value, lambda scalar: setattr(proto, name, scalar))


def _fill(message: Any, value: Any) -> None:
    if isinstance(value, dict):
        for name, item in value.items():
            assign_proto(message, name, item)
    elif isinstance(value, type(message)):
        message.CopyFrom(value)
    else:
        raise TypeError(f"{message.DESCRIPTOR.name} needs a dict, not {value!r}")


def _set_scalar(field: Any, value: Any, set_value: Callable[[Any], None]) -> None:
    if field.enum_type is not None and isinstance(value, str):
        values = field.enum_type.values_by_name
        if value not in values:
            raise ValueError(f"{field.name} has no value '{value}'; it has {', '.join(values)}")
        value = values[value].number
    try:
        set_value(value.item() if isinstance(value, np.generic) else value)
    except (TypeError, ValueError) as error:
        raise type(error)(f"{field.name} cannot be {value!r}: {error}") from None


class Top:
    """One output blob of a layer."""

    def __init__(self, fn: Function, n: int) -> None:
        self.fn = fn
        self.n = n

    def to_proto(self) -> Any:
        """The NetParameter with all layers that this blob needs."""
        return to_proto(self)

    def _to_proto(
        self, layers: dict[Function, Any], names: dict[Any, str], autonames: Counter[str]
    ) -> None:
        self.fn._to_proto(layers, names, autonames)


class Function:
    """A layer: its kind, its bottoms (Tops of other layers) and its options."""

    def __init__(self, type_name: str, inputs: Iterable[Top], params: dict[str, Any]) -> None:
        self.type_name = type_name
        self.inputs = tuple(inputs)
        for index, bottom in enumerate(self.inputs):
            if not isinstance(bottom, Top):
                raise TypeError(f"{type_name} input {index} is not a Top (type is {type(bottom)})")
        self.params = dict(params)
        self.ntop = self.params.pop("ntop", 1)
        self.in_place = self.params.pop("in_place", False)
        self.tops = tuple(Top(self, n) for n in range(self.ntop))

    def _to_proto(
        self, layers: dict[Function, Any], names: dict[Any, str], autonames: Counter[str]
    ) -> None:
        """Adds this layer to `layers`, after those that its bottoms come from."""
        pending = [self]
        while pending:  # nets are deeper than Python's recursion limit
            function = pending[-1]
            missing = [top.fn for top in function.inputs if top.fn not in layers]
            if missing:
                pending.append(missing[0])
                continue
            pending.pop()
            if function not in layers:
                layers[function] = function._build(layers, names, autonames)

    def _build(
        self, layers: dict[Function, Any], names: dict[Any, str], autonames: Counter[str]
    ) -> Any:
        layer = caffe_pb2.LayerParameter(type=self.type_name)
        layer.bottom.extend(layers[bottom.fn].top[bottom.n] for bottom in self.inputs)
        if self.in_place:
            layer.top.extend(layer.bottom)
        else:
            layer.top.extend(self._name(top, names, autonames) for top in self.tops)
        layer.name = self._name(self.tops[0] if self.tops else self, names, autonames)
        for name, value in self.params.items():
            self._assign(layer, name, value)
        return layer

    def _name(self, what: Any, names: dict[Any, str], autonames: Counter[str]) -> str:
        if what not in names:
            autonames[self.type_name] += 1
            names[what] = f"{self.type_name}{autonames[self.type_name]}"
        return names[what]

    def _assign(self, layer: Any, name: str, value: Any) -> None:
        own = _param_names.get(self.type_name, "") + "_param"
        if not name.endswith("param") and own != "_param":
            message = layer.DESCRIPTOR.fields_by_name[own].message_type
            if name in message.fields_by_name:
                assign_proto(getattr(layer, own), name, value)
                return
            if name not in layer.DESCRIPTOR.fields_by_name:
                hint = did_you_mean(name, message.fields_by_name)
                raise AttributeError(f"{self.type_name} has no option '{name}'{hint}")
        assign_proto(layer, name, value)


class NetSpec:
    """A net whose blobs are named by the attributes that they are assigned to."""

    tops: dict[str, Any]

    def __init__(self) -> None:
        super().__setattr__("tops", {})

    def __setattr__(self, name: str, value: Any) -> None:
        self.tops[name] = value

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") or name == "tops":  # asked by copy and pickle
            raise AttributeError(name)
        if name not in self.tops:
            raise AttributeError(f"the net has no blob '{name}'{did_you_mean(name, self.tops)}")
        return self.tops[name]

    def __setitem__(self, name: str, value: Any) -> None:
        self.tops[name] = value

    def __getitem__(self, name: str) -> Any:
        return self.tops[name]

    def __dir__(self) -> list[str]:
        return [*super().__dir__(), *self.tops]

    def to_proto(self) -> Any:
        """The NetParameter with the layers of all assigned blobs, in order of assignment."""
        names = {top: name for name, top in self.tops.items()}
        autonames: Counter[str] = Counter()
        layers: dict[Function, Any] = {}
        for top in self.tops.values():
            top._to_proto(layers, names, autonames)
        return caffe_pb2.NetParameter(layer=layers.values())


class Layers:
    """`layers.Convolution(bottom, num_output=8)`: any kind of layer by its name."""

    def __getattr__(self, name: str) -> Callable[..., Any]:
        if name.startswith("__"):
            raise AttributeError(name)

        def layer_fn(*args: Top, **kwargs: Any) -> Any:
            """A Function without tops, the one Top, or a tuple of Tops."""
            function = Function(name, args, kwargs)
            if function.ntop == 0:
                return function
            return function.tops[0] if function.ntop == 1 else function.tops

        return layer_fn

    def __dir__(self) -> list[str]:
        return [*super().__dir__(), *_param_names]


class Parameters:
    """`params.Pooling.MAX`: the enum values of a kind of layer."""

    def __getattr__(self, name: str) -> Any:
        message = getattr(caffe_pb2, name + "Parameter", None)
        if message is None:
            raise AttributeError(f"no layer has options '{name}'{did_you_mean(name, _param_names)}")
        return message

    def __dir__(self) -> list[str]:
        return [*super().__dir__(), *param_name_dict()]


layers = Layers()
params = Parameters()
