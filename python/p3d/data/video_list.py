"""The list of a VideoData layer: which videos, from which frame, of which class."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from typing import Any, NamedTuple

from p3d.data.text_list import Line, read_lines
from p3d.error import Error
from p3d.wording import shorten

_LINE = re.compile(r"(.*?\S)(?:\s+(-?\d+))?\s+(-?\d+)")
_MOST = 1 << 24  # to which a float32, such as a label of a blob, is exact


class Video(NamedTuple):
    """A line of the list; frames count from 0, and `start` is None where the line has none."""

    path: str
    start: int | None
    label: int


def read_videos(param: Any) -> list[Video]:
    """The lines "path label" and "path start_frame label" of `source`; without use_label a path
    may stand alone. Raises Error that names the line."""
    videos = [_parse(line, param) for line in read_lines(param.source)]
    _check_root(param.root_folder, videos[0].path)
    return videos


def _check_root(root: str, path: str) -> None:
    """Caffe puts the root before a path as it is: a folder needs its slash."""
    split = os.path.join(root, path.removeprefix(root))
    if root and split != path and not os.path.exists(path) and os.path.exists(split):
        raise Error(f"root_folder '{root}' has no / at its end, so that it makes {path}")


def _parse(line: Line, param: Any) -> Video:
    found = _LINE.fullmatch(line.text)
    if found is None and param.use_label:
        _refuse(line, param, 'is not "path label" or "path start_frame label", whole numbers')
    path, start, label = found.groups() if found else (line.text, None, "0")
    if start is not None and not 0 <= int(start) < _MOST:
        _refuse(line, param, "has an impossible start_frame: frames count from 0")
    most = param.num_classes or _MOST
    if not 0 <= int(label) < most and param.use_label:
        _refuse(line, param, f"has label {label}: labels are 0 to {most - 1}")
    return Video(param.root_folder + path, None if start is None else int(start), int(label))


def _refuse(line: Line, param: Any, why: str) -> None:
    raise Error(f"source {param.source}, line {line.number}: '{shorten(line.text)}' {why}")


def count_clips(videos: Sequence[Video], clips: int) -> list[int]:
    """How many clips each video has in phase TEST: a line with a start_frame is one clip."""
    return [1 if video.start is not None else clips for video in videos]
