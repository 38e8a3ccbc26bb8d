"""failed.jsonl: the videos that failed and why, one JSON object a line.

During a run lines are only appended, whole lines by single writes, so a run that is killed loses
none. At its end the lines of videos that were tried again are dropped. Memory: nine bytes for each
line that was there before.
"""

from __future__ import annotations

import contextlib
import glob
import json
import os
from collections.abc import Iterator
from typing import Any

import numpy as np

from p3d.atomic import append, make_folder, replacing
from p3d.video.inputs import Item, name_hash


def path_of(out: str, shard: str | None = None) -> str:
    """The file of an output folder; every shard has its own."""
    part = f".{shard.replace('/', '-of-')}" if shard else ""
    return os.path.join(out, f"failed{part}.jsonl")


def items(out: str, shard: str | None = None) -> Iterator[Item]:
    """The videos that failed; without a shard those of all of them. Some may come twice."""
    files = [path_of(out, shard)] if shard else sorted(glob.glob(_every(out)))
    for file, end in [(file, _size(file)) for file in files]:
        for line in _lines(file, end):  # what fails again meanwhile is no news
            with contextlib.suppress(ValueError, KeyError, TypeError):  # a line that was cut off
                failure = json.loads(line)
                yield Item(failure["video"], failure["name"])


class Failures:
    """Takes the failures of one run."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.count = 0
        self._old = np.unique(np.fromiter(map(_key, _lines(path)), np.uint64))
        self._tried = np.zeros(self._old.shape, bool)
        self._end = _size(path)

    def add(self, item: Item, error: str) -> None:
        """Appends a line."""
        self.count += 1
        self.settle(item)
        failure = {"video": os.path.abspath(item.path), "name": item.name, "error": error}
        make_folder(os.path.dirname(self.path))
        append(self.path, json.dumps(failure))

    def settle(self, item: Item) -> None:
        """An earlier failure of this video is history."""
        place = np.searchsorted(self._old, key := name_hash(item.name))
        if place < len(self._old) and self._old[place] == key:
            self._tried[place] = True

    def close(self) -> None:
        """Drops the lines that are history; a file without lines goes."""
        if not self._tried.any():
            return
        history = set(self._old[self._tried].tolist())
        with replacing(self.path) as file:
            at = 0
            for line in _lines(self.path):
                if at >= self._end or _key(line) not in history:
                    file.write(line)
                at += len(line)
            empty = file.tell() == 0
        if empty:
            os.unlink(self.path)


def _every(out: str) -> str:
    return os.path.join(glob.escape(out), "failed*.jsonl")


def _lines(path: str, end: int | None = None) -> Iterator[bytes]:
    """The lines of a file, if there is one, that begin before byte `end`."""
    at = 0
    with contextlib.suppress(FileNotFoundError), open(path, "rb") as file:
        for line in file:
            if end is not None and at >= end:
                return
            at += len(line)
            yield line


def _size(path: str) -> int:
    return os.path.getsize(path) if os.path.exists(path) else 0


def _key(line: bytes) -> int:
    try:
        failure: Any = json.loads(line)
        return name_hash(failure["name"])
    except (ValueError, KeyError, TypeError):
        return 0
