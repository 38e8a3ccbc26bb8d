"""Clips of a video, in one pass and in memory that does not grow with the video's length."""

from __future__ import annotations

import os
import warnings
from array import array
from collections import deque
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from p3d import _core
from p3d.error import Error
from p3d.video import frames, jpegs, preprocess
from p3d.video.decode import VideoFile
from p3d.video.flow import FlowOptions, FlowVideo
from p3d.video.recipe import Recipe, recipe_named
from p3d.video.resampled import Resampled
from p3d.video.source import Alive, Position, Source


def open_video(
    path: str | os.PathLike[str], modality: str = "frame", flow_threads: int = 0
) -> Source:
    """A video file, a folder of frames or of flow images, a pattern ``folder/img_%05d.jpg``, or an
    HDF5 file of JPEG images.

    `modality` is what the net wants: "frame" or "flow". With `flow_threads` flow is made of a video
    that has frames alone, by so many threads; with 0 that is an Error.
    """
    path = os.fspath(path)
    if modality == "flow" and flow_threads > 0:
        try:
            return _open(path, modality)
        except frames.NoFlow:
            return FlowVideo(_open(path, "frame"), FlowOptions(), flow_threads)
    return _open(path, modality)


def _open(path: str, modality: str) -> Source:
    if os.path.isdir(path):
        return frames.open_folder(path, modality)
    if path.lower().endswith(jpegs.EXTENSIONS):
        return jpegs.JpegFile(path, modality)
    if modality == "flow":
        if not os.path.exists(path) and not frames.is_pattern(path):
            raise Error(f"{path}: there is no such video or folder")
        frames.check_no_direction(path)
        raise frames.NoFlow(
            f"{path}: optical flow (2 channels, x and y) is wanted, and this is not a folder of "
            f"flow images; {frames.FLOW_CURE}"
        )
    if frames.is_pattern(path) and not os.path.exists(path):
        return frames.open_pattern(path)
    if path.lower().endswith(frames.EXTENSIONS) and os.path.isfile(path):
        raise Error(f"{path}: is one picture: name its folder, or a pattern such as %06d.jpg")
    return VideoFile(path)


class SeenClip(NamedTuple):
    """A clip of a video as a net sees it.

    number, crop  of the clip and of its crop, from 0
    frame, time   of its first frame: counted in the file, and in seconds where they are known
    values        float32 (c, l, h, w), the mean subtracted
    """

    number: int
    crop: int
    frame: int
    time: float | None
    values: np.ndarray


def clips(
    video: str | os.PathLike[str],
    recipe: str | Recipe = "author20",
    *,
    modality: str = "frame",
    crop: int | None = None,
    size: int | tuple[int, int] | None = None,
    **changes: Any,
) -> Iterator[SeenClip]:
    """The clips of a video, one after the other, in memory that does not grow with its length.

        for clip in p3d.clips("some.mp4", stride=8):
            net.blobs["data"].data[0] = clip.values

    `changes` are fields of the recipe: stride, clips, length, fps, crops, short.
    """
    chosen = recipe_named(recipe, **changes)
    if crop is not None or size is not None:
        chosen = chosen.at(crop=crop, size=size)
    source = open_video(video, modality, _core.num_threads())
    reader = ClipReader(source, chosen, count=True)
    for index, values in reader:
        number, view = divmod(index, chosen.views)
        where = reader.position(number)
        yield SeenClip(number, view, where.frame, where.time, values)


class ClipReader:
    """Iterates over (index, clip) of one video; a clip is float32 (c, l, h, w).

    With several crops the views of clip i have the indices i * views, i * views + 1, ...

    Where clips start may depend on the number of frames, which only decoding tells. Counting first
    would decode everything twice, and keeping every frame would need memory without bound. So the
    estimate (exact for almost every file) is taken, and at the end of the video it is compared
    with the truth. If it was wrong, all clips come again from index 0 on, made with the true
    number: **they replace the earlier ones.** Only frames of unfinished clips are kept, resized
    and as bytes.
    """

    def __init__(
        self, source: Source, recipe: Recipe, alive: Alive = lambda: None, count: bool = False
    ) -> None:
        """`alive` is called for every frame, wanted or not.

        With `count` frames are counted by decoding where clips depend on their number, so that no
        clip comes twice.
        """
        self.source = source if recipe.fps is None else _at_rate(source, recipe.fps)
        self.recipe = recipe
        self.frames = 0  # the true number, known at the end
        self._alive, self._count = alive, count
        self._starts = array("q")  # of the clips so far: frame in the file
        self._times = array("d")  # and second; nan where it is not known

    def __iter__(self) -> Iterator[tuple[int, np.ndarray]]:
        for index, pixels in self.pixels():
            yield index, preprocess.pixel_values(self.source.modality).of(pixels)

    def pixels(self) -> Iterator[tuple[int, np.ndarray]]:
        """The same as bytes, before the mean is subtracted: uint8 (c, l, h, w)."""
        believed = None
        if self.recipe.needs_count and self._count:
            believed = sum(1 for _ in self.source.frames(lambda _: False))
        elif self.recipe.needs_count:
            believed = self.source.estimate(self._alive)
        for _ in range(3):
            yield from self._read(believed)
            if believed is None or self.frames == believed:
                return
            exact = self.recipe.fps is None  # with it the guess rests on the header's frame rate
            if exact and self.frames < 0.95 * believed - 2:
                warnings.warn(
                    f"{self.source.path}: only {self.frames} of {believed} frames can be decoded; "
                    "the file is damaged",
                    stacklevel=2,
                )
            believed = self.frames
        raise Error(f"{self.source.path}: decodes to another number of frames every time")

    def record(self) -> dict[str, Any]:
        """Where the clips came from, ready for JSON; complete at the end of the video.

        "starts" and "times" are the first frame of every clip, counted in the file from 0, and its
        second by the file's timestamps. With --fps "frames" are those at that rate, and
        "frames_of_file" the file's; "fps" is always the file's.
        """
        modality = self.source.modality
        timed = len(self._times) > 0 and not np.isnan(self._times).any()
        return {
            "video": os.path.abspath(self.source.path),
            "modality": modality,
            "frames": self.frames,
            **self.source.record(),
            "starts": self._starts.tolist(),
            **({"times": self._times.tolist()} if timed else {}),
            "looped": self.frames < self.recipe.length and self.recipe.short == "loop",
            "short": self.frames < self.recipe.length,
            "recipe": self.recipe.record(),
            "channels": preprocess.CHANNELS[modality],
            "mean": list(preprocess.MEAN[modality]),
        }

    def position(self, clip: int) -> Position:
        """That of the first frame of a clip that was given."""
        time = self._times[clip]
        return Position(self._starts[clip], None if np.isnan(time) else time)

    def _read(self, believed: int | None) -> Iterator[tuple[int, np.ndarray]]:
        """One pass that takes `believed` for the number of frames and sets `self.frames`."""
        self._starts, self._times = array("q"), array("d")
        window = _Window(self.recipe.starts(believed), self.recipe.length, believed)
        count = 0

        def wants(frame: int) -> bool:  # of a source that looks ahead, long before it is given
            self._alive()
            return window.wants(frame)

        for frame in self.source.frames(wants):
            self._alive()
            if frame is not None and window.wants(count):
                window.kept[count] = _Kept(self.recipe.picture(frame), self.source.position)
            count += 1
            for start in window.finished(count):
                yield from self._clip(start, believed or count, window)
        self.frames = count
        if believed is None and count < self.recipe.length:
            yield from self._clip(0, count, window)

    def _clip(self, start: int, frames: int, window: _Window) -> Iterator[tuple[int, np.ndarray]]:
        """The views of one clip."""
        try:
            chosen = [window.kept[int(i)] for i in self.recipe.frames_of(start, frames)]
        except Error as error:
            raise Error(f"{self.source.path}: {error}") from error
        first = len(self._starts) * self.recipe.views
        self._starts.append(chosen[0].position.frame)
        time = chosen[0].position.time
        self._times.append(float("nan") if time is None else time)
        pictures = [one.picture for one in chosen]
        yield from enumerate(self.recipe.seen(pictures, self.source.modality), first)


def _at_rate(source: Source, fps: float) -> Source:
    return source.at_rate(fps) if isinstance(source, FlowVideo) else Resampled(source, fps)


class _Kept(NamedTuple):
    picture: np.ndarray
    position: Position


class _Window:
    """The clips that a pass is in the middle of, and the pictures that it keeps for them."""

    def __init__(self, starts: Iterator[int], length: int, frames: int | None) -> None:
        self.kept: dict[int, _Kept] = {}
        self._starts, self._frames = starts, frames
        self._length = length if frames is None else min(length, frames)
        self._next = next(starts, None)
        self._begun: deque[int] = deque()  # in order, so the last one ends last

    def wants(self, frame: int) -> bool:
        """Whether a clip has this frame; frames are asked about in order."""
        while self._next is not None and self._next <= frame:
            self._begun.append(self._next)
            self._next = next(self._starts, None)
        return bool(self._begun) and frame < self._begun[-1] + self._length

    def finished(self, count: int) -> Iterator[int]:
        """The clips that `count` frames complete; what no other clip needs is dropped."""
        while self._begun and self._begun[0] + self._length <= count:
            yield self._begun.popleft()
            first = self._begun[0] if self._begun else count if self._next is None else self._next
            for frame in [frame for frame in self.kept if frame < first]:
                del self.kept[frame]
