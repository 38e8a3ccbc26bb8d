"""What a Net is made from: pycaffe's arguments, and the message behind a path or a text."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import Any

from p3d.caffe import layer_types, prototxt
from p3d.caffe.proto import caffe_pb2


def load(
    network: Any,
    message_class: Any = caffe_pb2.NetParameter,
    check_type: Callable[[Any], object] = layer_types.check,
) -> tuple[Any, str]:
    """(NetParameter, what to call it in errors) from a path, a prototxt's text or a message.

    message_class: the NetParameter that is wanted.
    check_type: see prototxt.parse_net
    """
    if hasattr(network, "DESCRIPTOR"):
        if isinstance(network, message_class):
            param = message_class()
            param.CopyFrom(network)
        else:
            param = prototxt.parse_net(str(network), "net", message_class, check_type)
        return param, param.name or "net"
    if isinstance(network, str) and ("{" in network or "\n" in network):
        param = prototxt.parse_net(network, "prototxt", message_class, check_type)
        return param, param.name or "prototxt"
    origin = os.fspath(network)
    return prototxt.parse_net(
        prototxt.read_text(network), origin, message_class, check_type
    ), origin


def arguments(
    args: tuple[Any, ...],
    weights: Any,
    phase: int | None,
    level: int,
    stages: Sequence[str] | None,
) -> tuple[Any, int, int, Sequence[str] | None]:
    """Sort out pycaffe's two positional forms: (phase, ...) and (weights, phase)."""
    rest = list(args)
    if rest and isinstance(rest[0], str | os.PathLike):
        weights = rest.pop(0)
    names = ["phase", "level", "stages", "weights"]
    given = dict(zip(names, rest, strict=False))
    if len(rest) > len(names):
        raise TypeError(f"Net takes a file, phase, level, stages and weights, not {len(args) + 1}")
    phase = given.get("phase", phase)
    if phase not in (caffe_pb2.TRAIN, caffe_pb2.TEST):
        raise TypeError(f"phase must be caffe.TRAIN or caffe.TEST, not {phase!r}")
    return (
        given.get("weights", weights),
        int(phase),
        given.get("level", level),
        given.get("stages", stages),
    )
