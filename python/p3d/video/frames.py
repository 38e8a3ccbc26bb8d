"""Folders of frames and of flow images: which files belong together is found by looking.

Files that differ in one number only are a sequence: ``000001.jpg``, ``img_00001.jpg``,
``frame_0000000001.png``, ``00001_x.jpg``. Two sequences, or two sub-folders, whose names end in
x and y (or u and v) are optical flow: ``flow_x_00001.jpg`` with ``flow_y_00001.jpg``,
``flow_x/00001.jpg`` with ``flow_y/00001.jpg``. Two folders may also be a pair:
``flow_x/dive/00001.jpg`` with ``flow_y/dive/00001.jpg``.
"""

from __future__ import annotations

import os
import re
import warnings
from collections.abc import Callable, Collection, Iterator
from itertools import pairwise
from typing import Any, NamedTuple

import cv2
import numpy as np

from p3d.error import Error
from p3d.video import decode
from p3d.video.file_check import check_file
from p3d.video.opencv_name import opencv_name
from p3d.video.source import Alive, Position

EXTENSIONS = (".bmp", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp")
VIDEOS = (*decode.EXTENSIONS, ".hdf5")  # a .h5 in a folder may be anything

FLOW_CURE = (
    "`p3d flow VIDEO --out flow` makes flow images, TV-L1, in a folder of the video's name: name "
    "that folder"
)
_NAMES = f" (img_00001.jpg, img_00002.jpg, ...; also {', '.join(EXTENSIONS)})"
_OTHER = dict(zip("xyuvXYUV", "yxvuYXVU", strict=True))
_NUMBERED = re.compile(r"(.*?)(\d+)(\D*)")
_COMPONENT = re.compile(r"(?:^|[^A-Za-z0-9]|flow)([xyuv])(?=[^A-Za-z0-9]|$)", re.IGNORECASE)


class NoFlow(Error):
    """Flow is wanted of what has none; it may have frames, which flow can be made of."""


class Sequence(NamedTuple):
    """Numbered images of one kind."""

    label: str  # img_*.jpg
    files: dict[int, str]  # number -> path, in order of the numbers


class Listing(NamedTuple):
    """What a folder holds; `lone` names flow in one direction without the other."""

    frame: list[Sequence]
    flow: list[tuple[Sequence, Sequence]]
    lone: list[str]


class FrameFolder:
    """A sequence of colour (or grey) images as a video."""

    modality = "frame"

    def __init__(self, path: str, sequence: Sequence) -> None:
        self.path = path
        self.position = Position(0, None)
        self._sequence = sequence
        _report_gaps(path, sequence)

    def estimate(self, alive: Alive = lambda: None) -> int:
        """The number of files."""
        return len(self._sequence.files)

    def frames(self, wanted: Callable[[int], bool]) -> Iterator[np.ndarray | None]:
        """See Source. Files of unwanted frames are not opened."""
        for index, file in enumerate(self._sequence.files.values()):
            self.position = Position(index, None)
            yield read_image(file, cv2.IMREAD_COLOR) if wanted(index) else None

    def record(self) -> dict[str, Any]:
        """The pattern of the file names and the number of the first one."""
        return {"files": self._sequence.label, "first": next(iter(self._sequence.files))}


class FlowFolder:
    """Two sequences of grey images, flow in x and in y, as a video with two channels."""

    modality = "flow"

    def __init__(self, path: str, x: Sequence, y: Sequence) -> None:
        self.path = path
        self.position = Position(0, None)
        self._x, self._y = x, y
        if alone := sorted(x.files.keys() ^ y.files.keys()):
            raise Error(
                f"{path}: {x.label} and {y.label} are not the same frames; "
                f"only one of them has number {alone[0]}"
            )
        _report_gaps(path, x)

    def estimate(self, alive: Alive = lambda: None) -> int:
        """The number of pairs."""
        return len(self._x.files)

    def frames(self, wanted: Callable[[int], bool]) -> Iterator[np.ndarray | None]:
        """See Source. Channel 0 is x, channel 1 is y."""
        for index, (number, file) in enumerate(self._x.files.items()):
            self.position = Position(index, None)
            yield self._pair(file, self._y.files[number]) if wanted(index) else None

    def record(self) -> dict[str, Any]:
        """The patterns of the file names and the number of the first pair."""
        return {"files": [self._x.label, self._y.label], "first": next(iter(self._x.files))}

    @staticmethod
    def _pair(x: str, y: str) -> np.ndarray:
        images = [read_image(x, cv2.IMREAD_GRAYSCALE), read_image(y, cv2.IMREAD_GRAYSCALE)]
        if images[0].shape != images[1].shape:
            raise Error(f"{x} and {y} differ in size: {images[0].shape} and {images[1].shape}")
        return np.dstack(images)


def is_video(name: str) -> bool:
    """Whether a file that is found in a folder is taken for a video."""
    return name.lower().endswith(VIDEOS) and not name.startswith(".")


def has_videos(folder: str) -> bool:
    """Whether there are videos in a folder; numbered images beside them are thumbnails."""
    return any(map(is_video, os.listdir(folder)))


def look(folder: str) -> Listing:
    """Sorts what is in a folder (and in its sub-folders of flow) into sequences."""
    own = {sequence.label: sequence for sequence in _sequences(folder)}
    below: dict[str, Sequence] = {}
    with os.scandir(folder) as entries:
        folders = [entry.name for entry in entries if entry.is_dir()]
    for name in sorted(filter(_COMPONENT.search, folders)):
        for sequence in _sequences(os.path.join(folder, name)):
            label = f"{name}/{sequence.label}"
            below[label] = Sequence(label, sequence.files)
    flow, lone, used = [], [], set()
    for label, sequence in {**own, **below}.items():
        other, letter = _counterpart(label, own.keys() | below.keys())
        if other:
            used.add(label)
            if letter in "xu":
                flow.append((sequence, {**own, **below}[other]))
        elif letter in ("x", "y") or (letter and "flow" in label.lower()):
            lone.append(label)
    return Listing([s for s in own.values() if s.label not in used | {*lone}], flow, lone)


def open_folder(folder: str, modality: str) -> FrameFolder | FlowFolder:
    """The frames ("frame") or the flow images ("flow") in a folder."""
    found = look(folder)
    if modality == "flow":
        if not found.flow and (other := counterpart(folder)):
            pair = [_only(each, look(each).frame, "frame", "") for each in (folder, other)]
            first_is_x = not is_second_of_pair(folder)
            return FlowFolder(folder, *(pair if first_is_x else pair[::-1]))
        if not found.flow and found.lone:
            raise Error(f"{folder}: holds {found.lone[0]} but not the other direction of the flow")
        return FlowFolder(folder, *_only(folder, found.flow, modality, "; " + FLOW_CURE))
    hint = ""
    if found.flow:
        hint = ": it holds optical flow, which needs weights for flow (2 input channels)"
    return FrameFolder(folder, _only(folder, found.frame, modality, hint))


def counterpart(folder: str) -> str:
    """The folder with the other direction of the flow, if there is one: flow_x/a for flow_y/a."""
    path = os.path.abspath(folder)
    for match in reversed(list(_COMPONENT.finditer(path))):
        at = match.start(1)
        other = path[:at] + _OTHER[path[at]] + path[at + 1 :]
        around = os.sep.join(path[:at].split(os.sep)[-2:])  # flow_x, or flow/x
        if "flow" in around.lower() and os.path.isdir(other):
            return other
    return ""


def is_second_of_pair(folder: str) -> bool:
    """Whether a folder is the y, or v, of two that are flow together."""
    other = counterpart(folder)
    return bool(other) and os.path.abspath(folder) > other


def open_pattern(pattern: str) -> FrameFolder:
    """The frames that a pattern as for printf names: ``folder/img_%05d.jpg``."""
    folder, name = os.path.split(pattern)
    label = re.sub(r"%0?\d*d", "*", name, count=1)
    for sequence in _sequences(folder or "."):
        if sequence.label == label:
            return FrameFolder(pattern, sequence)
    raise Error(f"{pattern}: there is no such file")


def is_pattern(path: str) -> bool:
    """Whether a path has a place for a number, like ``img_%05d.jpg``."""
    return re.search(r"%0?\d*d[^/]*$", path) is not None


def check_no_direction(path: str) -> None:
    """Raises Error for a pattern of flow in x or y, ``flow_x_%05d.jpg``: flow of it is nonsense."""
    name = os.path.basename(path)
    letters = {match[1].lower() for match in _COMPONENT.finditer(name)}
    if is_pattern(path) and letters & set("xyuv" if "flow" in name else "xy"):
        raise Error(f"{path}: this is flow in one direction; name the folder, with both")


def _only(folder: str, found: list[Any], modality: str, hint: str) -> Any:
    kind = "flow images (x and y)" if modality == "flow" else "numbered frames"
    if not found:
        if modality == "frame" and not hint and not has_videos(folder):
            kind = f"videos and no {kind}"
        text = f"{folder}: there are no {kind} in it{hint or _NAMES}; {_contents(folder)}"
        raise (NoFlow if modality == "flow" else Error)(text)
    if len(found) > 1:
        names = ", ".join(s.label if isinstance(s, Sequence) else s[0].label for s in found)
        raise Error(
            f"{folder}: more than one set of {kind} in it ({names}): "
            f"name one as {os.path.join(folder, 'img_%05d.jpg')}, or move the others away"
        )
    return found[0]


def _contents(folder: str) -> str:
    """A few of the names in a folder without frames."""
    names = sorted(os.listdir(folder))
    if not names:
        return "it is empty"
    return f"it holds {', '.join(names[:3])}{', ...' if len(names) > 3 else ''}"


def _sequences(folder: str) -> list[Sequence]:
    groups: dict[str, dict[int, str]] = {}
    prefix = os.path.join(folder, "")
    for name in sorted(os.listdir(folder)):
        match = _NUMBERED.fullmatch(name)
        hidden = name.startswith(".")  # such as ._img_00001.jpg, which macOS leaves on other disks
        if match is None or hidden or not name.lower().endswith(EXTENSIONS):
            continue
        files = groups.setdefault(f"{match[1]}*{match[3]}", {})
        number = int(match[2])
        if number in files:
            both = f"{os.path.basename(files[number])} and {name}"
            raise Error(f"{folder}: {both} have the same number; remove one of them")
        files[number] = prefix + name
    return [Sequence(label, dict(sorted(files.items()))) for label, files in groups.items()]


def _counterpart(label: str, labels: Collection[str]) -> tuple[str, str]:
    """The label of the flow in the other direction ("" if it is missing) and its own letter."""
    stem, extension = os.path.splitext(label)
    letters = [match.start(1) for match in _COMPONENT.finditer(stem)]
    # One letter may be the direction (v_dive_flow_x_*), or all of them (flow_x/flow_x_*).
    candidates = [*([place] for place in letters), letters]
    for places in candidates:
        other = "".join(_OTHER.get(c, c) if i in places else c for i, c in enumerate(stem))
        if letters and other + extension in labels:
            return other + extension, stem[places[0]].lower()
    return "", stem[letters[-1]].lower() if letters else ""


def read_image(path: str, mode: int) -> np.ndarray:
    """The image in a file, as cv2.imread gives it. Raises Error if there is none."""
    try:
        with opencv_name(path) as name:
            image = cv2.imread(name, mode)
    except cv2.error as error:
        raise Error(f"{path}: {error.err}") from error
    if image is None:
        check_file(path)
        raise Error(f"{path}: the image is damaged or cut off, or is none that OpenCV knows")
    return image


def _report_gaps(path: str, sequence: Sequence) -> None:
    numbers = list(sequence.files)
    first, last = numbers[0], numbers[-1]
    if last - first + 1 == len(numbers):
        return
    missing = last - first + 1 - len(numbers)
    gaps = [(a + 1, b - 1) for a, b in pairwise(numbers) if b > a + 1]
    text = ", ".join(str(a) if a == b else f"{a}-{b}" for a, b in gaps[:5])
    more = ", ..." if len(gaps) > 5 else ""
    warnings.warn(
        f"{path}: {missing} frames are missing between {first} and {last} of {sequence.label} "
        f"({text}{more}); the clips go on over the gaps",
        stacklevel=3,
    )
