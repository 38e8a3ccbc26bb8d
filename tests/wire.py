"""Protocol-buffer bytes made by hand, for files that no library writes any more.

A message is a bytes object; `field(number, value)` makes one field of it and `+` joins them.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence

import numpy as np


def varint(value: int) -> bytes:
    value &= (1 << 64) - 1
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes(out) + bytes([value])


def field(number: int, value: int | str | bytes) -> bytes:
    """A varint for an int, else a length and the bytes."""
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    payload = value.encode() if isinstance(value, str) else value
    return varint(number << 3 | 2) + varint(len(payload)) + payload


def floats(values: Iterable[float], packed: bool = True, number: int = 5, code: str = "f") -> bytes:
    """A repeated float field (or double, with number 8 and code "d")."""
    pieces = [struct.pack("<" + code, value) for value in values]
    if packed:
        return field(number, b"".join(pieces))
    wire = 5 if code == "f" else 1
    return b"".join(varint(number << 3 | wire) + piece for piece in pieces)


def doubles(values: Iterable[float], packed: bool = True) -> bytes:
    return floats(values, packed, number=8, code="d")


def shape(dims: Sequence[int]) -> bytes:
    return field(7, field(1, b"".join(map(varint, dims))))


def old_shape(num: int, channels: int, height: int, width: int) -> bytes:
    return field(1, num) + field(2, channels) + field(3, height) + field(4, width)


def blob(array: np.ndarray) -> bytes:
    """A BlobProto as upstream writes it today."""
    return shape(array.shape) + field(5, np.ascontiguousarray(array, "<f4").tobytes())


def layer(name: str | bytes, type_: str, *blobs: bytes) -> bytes:
    """A field of NetParameter: LayerParameter as of today."""
    return field(100, field(1, name) + field(2, type_) + b"".join(field(7, b) for b in blobs))


def v1_layer(name: str, type_: int, *blobs: bytes) -> bytes:
    inside = field(2, "bottom") + field(4, name) + field(5, type_)
    return field(2, inside + b"".join(field(6, b) for b in blobs))


def v0_layer(name: str, type_: str, *blobs: bytes) -> bytes:
    inside = field(1, name) + field(2, type_) + b"".join(field(50, b) for b in blobs)
    return field(2, field(1, inside) + field(2, "bottom"))


def net(*layers: bytes, name: str = "n") -> bytes:
    return field(1, name) + b"".join(layers)
