"""What the data layers of the embedded engine have in common."""

from __future__ import annotations

import json
import operator
from collections.abc import Sequence
from typing import Any

from p3d.caffe.proto import caffe_pb2
from p3d.caffe.prototxt import parse_message
from p3d.caffe.python_layer import Layer
from p3d.error import Error


class DataLayer(Layer):
    """A layer of a type of its own; `param` is its part of the prototxt, a LayerParameter.

    Its tops get their shapes in `setup`. Layers with a place in their data can be asked for it by
    `save_state`, and put there by `load_state`: the next forward gives the next batch.
    """

    def __init__(self, param_str: str, phase: int) -> None:
        super().__init__(param_str, phase)
        self.param = parse_message(param_str, caffe_pb2.LayerParameter, "layer")

    def reshape(self, bottom: Sequence[Any], top: Sequence[Any]) -> None:
        """The shapes are the data's, not the bottoms'."""


def check_tops(top: Sequence[Any], least: int, most: int) -> None:
    """Raises Error unless there are so many tops."""
    if not least <= len(top) <= most:
        wanted = str(least) if least == most else f"{least} or {most}"
        raise Error(f"takes {wanted} tops, not {len(top)}")


def check_batch(param: Any) -> int:
    """The batch_size of a data layer's message."""
    if param.batch_size < 1:
        raise Error("batch_size has to be 1 or more")
    return param.batch_size


def pack_state(**state: int) -> bytes:
    """A layer's state in bytes."""
    return json.dumps(state).encode()


def unpack_state(state: bytes, *names: str, **same: int) -> list[int]:
    """These numbers of what pack_state packed; raises Error if it is none, or where it differs from
    `same`."""
    try:
        found = json.loads(state)
        for name, value in same.items():
            if found[name] != value:
                raise Error(
                    f"its data are others than those of the snapshot ({name} {found[name]} there, "
                    f"{value} here); take the snapshot's weights with --weights to start anew"
                )
        numbers = [operator.index(found[name]) for name in names]
    except (ValueError, KeyError, TypeError) as error:
        raise Error(f"this is no state of a data layer ({error!r})") from None
    if min(numbers) < 0:
        raise Error(f"this is no state of a data layer: {min(numbers)} is no place")
    return numbers
