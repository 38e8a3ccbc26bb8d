"""Lists of videos, line by line."""

from __future__ import annotations

import csv
import os
import re
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from p3d.error import Error

_NAMES = ("name", "output", "feature_path", "feature", "features")
_NUMBER = re.compile(r"\s+-?\d+$")
_VIDEOS = ("video_path", "video", "path", "file", "filename", "input")


class Entry(NamedTuple):
    """A line: the path as it is written, where it was found, the name of its output or ""."""

    written: str
    path: str
    name: str


def entries(text: Iterable[str], file: str, commas: bool) -> Iterator[Entry]:
    """The entries of an open list, .csv or .txt; `file` is its path."""
    try:
        yield from _rows(text, file) if commas else _lines(text, file)
    except (UnicodeDecodeError, csv.Error) as error:
        raise Error(f"{file}: not a list of videos in UTF-8, one per line ({error})") from error


def _lines(text: Iterable[str], file: str) -> Iterator[Entry]:
    for line in text:
        written, _, name = line.strip().partition("\t")
        if written and written[0] != "#":
            written = _without_numbers(written.strip(), file)
            name = name.strip()
            yield Entry(written, _found(written, file), "" if name.isdigit() else name)


def _rows(text: Iterable[str], file: str) -> Iterator[Entry]:
    video, name = 0, -1
    for number, row in enumerate(row for row in csv.reader(text) if row and any(row)):
        cells = [cell.strip() for cell in row]
        if number == 0 and _is_header(cells[0], file):
            heads = [cell.lower() for cell in cells]
            video = next((heads.index(word) for word in _VIDEOS if word in heads), 0)
            name = next((heads.index(word) for word in _NAMES if word in heads), -1)
        elif len(cells) > video and cells[video]:
            written = _without_numbers(cells[video], file)
            given = cells[name] if 0 <= name < len(cells) else ""
            yield Entry(written, _found(written, file), given)


def _is_header(first: str, file: str) -> bool:
    return "." not in first and "/" not in first and not os.path.exists(_found(first, file))


def _without_numbers(line: str, file: str) -> str:
    """`path start label` or `path label` without the numbers; a file may end in them itself."""
    for _ in range(2):
        numbered = _NUMBER.search(line)
        if numbered is None or os.path.exists(_found(line, file)):
            break
        line = line[: numbered.start()]
    return line


def _found(entry: str, file: str) -> str:
    """A path in a list is relative to the list's folder, or else to the current one."""
    beside = os.path.join(os.path.dirname(file), entry)
    return beside if os.path.exists(beside) else entry
