"""Lists of files, one per line, as data layers name them in `source`."""

from __future__ import annotations

from typing import NamedTuple

from p3d.error import Error


class Line(NamedTuple):
    """A line that is not empty, without blanks around it; numbers count from 1."""

    number: int
    text: str


def read_lines(path: str) -> list[Line]:
    """All lines. Names of files need not be UTF-8. No file and no line are an Error."""
    if not path:
        raise Error("needs a source, a file with a line for each item")
    try:
        with open(path, encoding="utf-8-sig", errors="surrogateescape") as file:
            lines = [Line(number, text.strip()) for number, text in enumerate(file, 1)]
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise Error(f"source {path} cannot be read: {reason}") from None
    found = [line for line in lines if line.text]
    if not found:
        raise Error(f"source {path} is empty: it needs a line for each item")
    if any("\0" in line.text for line in found):
        utf16 = found[0].text.startswith(_UTF16)
        kind = "UTF-16, as PowerShell's > writes it: save it as UTF-8" if utf16 else "no text"
        raise Error(f"source {path} is {kind}")
    return found


_UTF16 = ("\udcff\udcfe", "\udcfe\udcff")  # the byte order marks, as surrogateescape reads them
