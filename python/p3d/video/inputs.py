"""From what a person names on the command line to single videos and the names of their outputs.

A video, a folder of frames and a pattern are one item each. Any other folder stands for the
videos and folders of frames below it. A ``.txt`` list has one path per line (numbers after it,
as in Caffe's lists, are ignored); a ``.csv`` has the paths in its first column.
"""

from __future__ import annotations

import csv
import os
import re
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from p3d.error import Error
from p3d.video import decode, frames


class Item(NamedTuple):
    """A video and the name of its output: a relative path without a suffix."""

    path: str
    name: str


def expand(named: Iterable[str], root: str | None = None) -> list[Item]:
    """The items in order, each video once.

    An output is named after its video: a file named directly gives its stem, a path out of a list
    or below a folder keeps the folders it is written with. With `root` every name is the path
    relative to that folder. Two videos with one name are an Error: neither may overwrite the other.
    """
    items: dict[str, Item] = {}
    owners: dict[str, str] = {}
    for path, name in _all(named):
        item = Item(path, _relative(path, root) if root else _stem(name))
        key = os.path.realpath(path)
        if key in items:
            continue
        items[key] = item
        if (other := owners.setdefault(item.name, path)) != path:
            raise Error(
                f"{other} and {path} would both be written as '{item.name}': keep their folders "
                "in the names with --root FOLDER, or extract them into two --out folders"
            )
    if not items:
        raise Error("there are no videos in what was named")
    return list(items.values())


def _all(named: Iterable[str]) -> Iterator[tuple[str, str]]:
    """(path, the part of it that names the output)."""
    for path in named:
        if os.path.isdir(path) and not _is_frames(path):
            yield from _below(path)
        elif path.lower().endswith((".txt", ".csv")) and os.path.isfile(path):
            for entry in _entries(path):
                yield _found(entry, path), _inside(entry)
        elif frames.is_pattern(path) and not os.path.exists(path):
            yield path, os.path.basename(os.path.dirname(os.path.abspath(path)))
        else:
            yield path, os.path.basename(os.path.abspath(path))


def _below(folder: str) -> Iterator[tuple[str, str]]:
    count = 0
    for current, folders, files in os.walk(folder):
        folders.sort()
        for name in list(folders):
            path = os.path.join(current, name)
            if _is_frames(path):
                folders.remove(name)
                count += 1
                yield path, os.path.relpath(path, folder)
        for name in sorted(files):
            if name.lower().endswith(decode.EXTENSIONS) and not name.startswith("."):
                path = os.path.join(current, name)
                count += 1
                yield path, os.path.relpath(path, folder)
    if count == 0:
        raise Error(f"{folder}: there are no videos and no numbered frames in it")


def _is_frames(folder: str) -> bool:
    try:
        if any(name.lower().endswith(decode.EXTENSIONS) for name in os.listdir(folder)):
            return False  # videos, perhaps with a numbered thumbnail beside them
        found = frames.look(folder)
    except (Error, OSError):
        return True  # it says what is wrong when its turn comes, and the others go on
    return bool(found.frame or found.flow or found.lone)


def _entries(file: str) -> list[str]:
    """The paths in a list, as they are written."""
    try:
        with open(file, encoding="utf-8-sig", newline="") as text:
            if file.lower().endswith(".csv"):
                rows = [row[0].strip() for row in csv.reader(text) if row and row[0].strip()]
                return rows[1:] if rows and _is_header(rows[0], file) else rows
            lines = [line.strip() for line in text]
    except (UnicodeDecodeError, csv.Error) as error:
        raise Error(f"{file}: not a list of videos in UTF-8, one per line ({error})") from error
    return [_without_numbers(line, file) for line in lines if line and line[0] != "#"]


def _is_header(first: str, file: str) -> bool:
    return "." not in first and "/" not in first and not os.path.exists(_found(first, file))


def _without_numbers(line: str, file: str) -> str:
    """`path start label` or `path label` without the numbers; a file may end in them itself."""
    for _ in range(2):
        if os.path.exists(_found(line, file)):
            break
        line = re.sub(r"\s+-?\d+$", "", line)
    return line


def _found(entry: str, file: str) -> str:
    """A path in a list is relative to the list's folder, or else to the current one."""
    beside = os.path.join(os.path.dirname(file), entry)
    return beside if os.path.exists(beside) else entry


def _inside(entry: str) -> str:
    """The path as it is written, if it leads downwards; else its last part."""
    path = os.path.normpath(entry)
    outside = os.path.isabs(path) or path.split(os.sep)[0] in ("..", ".")
    return os.path.basename(os.path.abspath(entry)) if outside else path


def _relative(path: str, root: str) -> str:
    relative = os.path.relpath(os.path.abspath(path), os.path.abspath(root))
    if relative.split(os.sep)[0] in ("..", "."):
        raise Error(f"{path}: is not below --root {root}")
    return _stem(relative)


def _stem(name: str) -> str:
    stem, extension = os.path.splitext(name)
    return stem if extension.lower() in (*decode.EXTENSIONS, ".npy") else name
