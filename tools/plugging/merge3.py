"""Three texts into one: two people's changes of the same text."""

from __future__ import annotations

import difflib
from typing import List, Tuple

from .text import lines

_Hunk = Tuple[int, int, List[str]]  # lines [begin, end) of the base become these


def merge3(base: bytes, one: bytes, other: bytes) -> bytes | None:
    """`base` with the changes that made `one` of it and those that made `other` of it.

    None where the two touch the same or neighbouring lines in different ways.
    """
    old = lines(base.decode("latin-1"))
    ours = _hunks(old, one)
    hunks = sorted(ours + [hunk for hunk in _hunks(old, other) if hunk not in ours])
    out: list[str] = []
    at = 0
    for i, (begin, end, new) in enumerate(hunks):
        if i and begin <= hunks[i - 1][1]:
            return None
        out += old[at:begin] + new
        at = end
    return "".join(out + old[at:]).encode("latin-1")


def _hunks(old: list[str], data: bytes) -> list[_Hunk]:
    new = lines(data.decode("latin-1"))
    matcher = difflib.SequenceMatcher(None, old, new, autojunk=False)
    return [
        (begin, end, new[a:b])
        for kind, begin, end, a, b in matcher.get_opcodes()
        if kind != "equal"
    ]
