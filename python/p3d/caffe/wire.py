"""The bytes of protobuf files: numbers, and what stands before fields."""

from __future__ import annotations

from typing import IO


def tag(number: int) -> bytes:
    """What stands before a length-delimited field; its length follows."""
    return varint(number << 3 | 2)


def varint(value: int) -> bytes:
    """A number >= 0."""
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def read_varint(file: IO[bytes]) -> int | None:
    """The number that comes next; None at the end of the file, and where there is none."""
    value = 0
    for shift in range(0, 63, 7):
        byte = file.read(1)
        if not byte:
            return None
        value |= (byte[0] & 0x7F) << shift
        if byte[0] < 0x80:
            return value
    return None
