"""A part of the videos for each of several machines, which need not know of each other.

Whether a video belongs to a part depends on its output's name alone, so that parts stay the same
when videos are added or runs repeated.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterable, Iterator
from os import fsencode

from p3d.error import Error
from p3d.video.inputs import Item


def parse(text: str) -> tuple[int, int]:
    """ "3/10", the third part of ten, as (3, 10)."""
    match = re.fullmatch(r"(\d+)/(\d+)", text)
    if match is None or not 1 <= int(match[1]) <= int(match[2]):
        raise Error(f"--shard {text}: write 1/10 to 10/10 for the parts of ten")
    return int(match[1]), int(match[2])


def part(items: Iterable[Item], shard: tuple[int, int]) -> Iterator[Item]:
    """The items of one part."""
    index, parts = shard
    return (item for item in items if zlib.crc32(fsencode(item.name)) % parts == index - 1)
