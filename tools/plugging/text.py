"""Editing the text of a file without touching what is not edited.

Edits see and write text with plain newlines and ASCII of their own. Whatever else the file has
(CRLF, both kinds mixed, any encoding, a byte order mark) comes out as it went in.
"""

from __future__ import annotations

import difflib
import re
from typing import Callable

Change = Callable[[str], str]


def plain(data: bytes) -> str:
    """A file's text with plain newlines; every byte is a character and comes back as that byte."""
    return data.decode("latin-1").replace("\r\n", "\n")


def edit(data: bytes, change: Change) -> bytes:
    """`data` changed; new lines end as most of the file's lines do."""
    old = data.decode("latin-1")
    new = change(plain(data))
    if new == plain(data):
        return data
    crlf = old.count("\r\n")
    if crlf == 0:
        return new.encode("latin-1")
    if crlf == old.count("\n"):
        return new.replace("\n", "\r\n").encode("latin-1")
    return _with_mixed_ends(old, new, "\r\n" if 2 * crlf > old.count("\n") else "\n")


def _with_mixed_ends(old: str, new: str, usual: str) -> bytes:
    before = lines(old)
    after = lines(new)
    unedited = [line.replace("\r\n", "\n") for line in before]
    out: list[str] = []
    matcher = difflib.SequenceMatcher(None, unedited, after, autojunk=False)
    for kind, a, end, b, b_end in matcher.get_opcodes():
        if kind == "equal":
            out += before[a:end]
        else:
            out += [line.replace("\n", usual) for line in after[b:b_end]]
    return "".join(out).encode("latin-1")


def lines(text: str) -> list[str]:
    """Lines with their ends. Unlike str.splitlines it knows no end but the newline."""
    parts = text.split("\n")
    return [part + "\n" for part in parts[:-1]] + parts[-1:] * bool(parts[-1])


def without_comments(text: str) -> str:
    """C++ or proto text with blanks for comments: every offset and line stays where it was."""
    return _COMMENT.sub(lambda m: m[0] if m[0][0] in "\"'" else _BLANK.sub(" ", m[0]), text)


_BLANK = re.compile(r"[^\n]")
_COMMENT = re.compile(
    r"//[^\n]*|/\*.*?\*/|\"(?:\\.|[^\"\\\n])*\"|'(?:\\.|[^'\\\n])*'",
    re.DOTALL,
)


def line_of(text: str, offset: int) -> int:
    """The number of the line that holds an offset, from 1."""
    return text.count("\n", 0, offset) + 1
