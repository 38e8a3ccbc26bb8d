"""From what a person names on the command line to single videos and the names of their outputs.

A video, a folder of frames and a pattern for frames are one item each. Any other folder stands for
the videos and folders of frames below it (one without any is an item, which cannot be read), a glob
for what it matches. A ``.txt`` list has one path per line (numbers after it, as in Caffe's lists,
are ignored), and after a tab the name of the output if a person chooses; a ``.csv`` has the paths
in its first column, and names in a column with the heading name, output or feature_path. ``-`` is
such a list on standard input.

Everything is found while it is asked for, so that memory does not grow with the number of videos.
"""

from __future__ import annotations

import glob
import hashlib
import os
import sys
from array import array
from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy as np

from p3d.error import Error
from p3d.video import frames
from p3d.video.lists import Entry, entries

STDIN = "-"


class Item(NamedTuple):
    """A video and the name of its output: a relative path without a suffix."""

    path: str
    name: str


def items(named: Iterable[str], root: str | None = None) -> Iterator[Item]:
    """The videos in order.

    An output is named after its video: a file named directly gives its stem, a path out of a list,
    below a folder or matched by a glob keeps the folders it is written with. With `root` every
    name is the path relative to that folder. Names that a list gives stay as they are. Nothing at
    all is an Error.
    """
    none = True
    for path in named:
        for found, name, given in _all(path):
            none = False
            if given:
                yield Item(found, _inner(name, found))
            else:
                yield Item(found, _relative(found, root) if root else _stem(name))
    if none:
        raise Error("there are no videos in what was named")


def count(named: list[str], root: str | None = None) -> int | None:
    """How many items there are; None with standard input, which can be read only once.

    Two videos with one name are an Error, for neither may overwrite the other. Memory: eight bytes
    per item.
    """
    if STDIN in named:
        return None
    hashes = array("Q", (name_hash(item.name) for item in items(named, root)))
    ordered = np.sort(np.frombuffer(hashes, np.uint64))
    twice = set(ordered[1:][ordered[1:] == ordered[:-1]].tolist())
    owners: dict[str, str] = {}
    for item in items(named, root) if twice else ():
        if name_hash(item.name) not in twice:
            continue
        owner = owners.setdefault(item.name, item.path)
        if os.path.realpath(owner) != os.path.realpath(item.path):
            raise Error(
                f"{owner} and {item.path} would both be written as '{item.name}': "
                f"{_cure(owner, item.path)}"
            )
    return len(hashes)


def _cure(one: str, other: str) -> str:
    """What to do about two videos of one name."""
    if os.path.dirname(one) == os.path.dirname(other):
        return "rename one of them, or name the outputs in a list, lines of path, tab and name"
    return (
        "keep their folders in the names with --root FOLDER, name the outputs in a list, or "
        "extract them into two --out folders"
    )


_Found = tuple[str, str, bool]  # path, what names the output, whether a person chose that name


def _all(path: str) -> Iterator[_Found]:
    if path == STDIN:
        yield from _listed(entries(sys.stdin, "standard input", commas=False))
    elif os.path.isdir(path) and not _is_frames(path):
        yield from _below(path)
    elif path.lower().endswith((".txt", ".csv")) and os.path.isfile(path):
        with open(path, encoding="utf-8-sig", newline="") as text:
            yield from _listed(entries(text, path, commas=path.lower().endswith(".csv")))
    elif os.path.exists(path):
        yield path, os.path.basename(os.path.abspath(path)), False
    elif frames.is_pattern(path):
        yield path, os.path.basename(os.path.dirname(os.path.abspath(path))), False
    elif glob.has_magic(path):
        yield from _matched(path)
    else:
        yield path, os.path.basename(os.path.abspath(path)), False


def _listed(found: Iterable[Entry]) -> Iterator[_Found]:
    for entry in found:
        yield entry.path, entry.name or _inside(entry.written), bool(entry.name)


def _matched(pattern: str) -> Iterator[_Found]:
    """What a glob matches; names are relative to its longest folder without magic."""
    fixed = pattern
    while glob.has_magic(fixed):
        fixed = os.path.dirname(fixed)
    matches = sorted(glob.iglob(pattern, recursive=True))
    folders = {path for path in matches if os.path.isdir(path)}
    for path in matches:
        relative = os.path.relpath(path, fixed or ".")
        if path not in folders or _is_frames(path):
            yield path, relative, False
        elif "**" not in pattern:  # which matches what is in them, too
            for found, name, _ in _below(path):
                empty = found == path
                yield found, relative if empty else os.path.join(relative, name), False
    if not matches:
        raise Error(f"{pattern}: matches nothing, and there is no such file")


def _below(folder: str) -> Iterator[_Found]:
    none = True
    for current, folders, files in os.walk(folder):
        folders.sort()
        for name in list(folders):
            path = os.path.join(current, name)
            if _is_frames(path):
                folders.remove(name)
                if frames.is_second_of_pair(path):
                    continue  # the flow in y comes with that in x
                none = False
                yield path, os.path.relpath(path, folder), False
        for name in sorted(files):
            if frames.is_video(name):
                path = os.path.join(current, name)
                none = False
                yield path, os.path.relpath(path, folder), False
    if none:  # it says so when its turn comes, and the others go on
        yield folder, os.path.basename(os.path.abspath(folder)), False


def _is_frames(folder: str) -> bool:
    try:
        if frames.has_videos(folder):
            return False
        found = frames.look(folder)
    except (Error, OSError):
        return True  # it says what is wrong when its turn comes, and the others go on
    return bool(found.frame or found.flow or found.lone)


def _inside(entry: str) -> str:
    """The path as it is written, if it leads downwards; else its last part."""
    path = os.path.normpath(entry)
    outside = os.path.isabs(path) or path.split(os.sep)[0] in ("..", ".")
    return os.path.basename(os.path.abspath(entry)) if outside else path


def _inner(name: str, video: str) -> str:
    """A name that a person chose, without the suffix of a result."""
    stem, extension = os.path.splitext(os.path.normpath(name))
    path = stem if extension.lower() in (".npy", ".npz", ".json") else os.path.normpath(name)
    if os.path.isabs(path) or path.split(os.sep)[0] in ("..", "."):
        raise Error(f"{video}: is to be written as '{name}', which is not below --out")
    return path


def _relative(path: str, root: str) -> str:
    relative = os.path.relpath(os.path.abspath(path), os.path.abspath(root))
    if relative.split(os.sep)[0] in ("..", "."):
        raise Error(f"{path}: is not below --root {root}")
    return _stem(relative)


def _stem(name: str) -> str:
    stem, extension = os.path.splitext(name)
    return stem if extension.lower() in (*frames.VIDEOS, ".h5", ".npy") else name


def name_hash(name: str) -> int:
    """Eight bytes that stand for an output's name in lists of millions."""
    return int.from_bytes(hashlib.blake2b(os.fsencode(name), digest_size=8).digest(), "little")
