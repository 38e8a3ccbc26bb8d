"""Clips of a video, in one pass and in memory that does not grow with the video's length."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np

from p3d.error import Error
from p3d.video import frames, preprocess
from p3d.video.decode import VideoFile
from p3d.video.recipe import Recipe
from p3d.video.source import Source


def open_video(path: str | os.PathLike[str], modality: str = "frame") -> Source:
    """A video file, a folder of frames or of flow images, or a pattern ``folder/img_%05d.jpg``.

    `modality` is what the net wants: "frame" or "flow".
    """
    path = os.fspath(path)
    if os.path.isdir(path):
        return frames.open_folder(path, modality)
    if modality == "flow":
        if not os.path.exists(path):
            raise Error(f"{path}: there is no such folder")
        raise Error(
            f"{path}: these weights want optical flow (2 channels, x and y), and this is not a "
            f"folder of flow images; {frames.FLOW_CURE}"
        )
    if frames.is_pattern(path) and not os.path.exists(path):
        return frames.open_pattern(path)
    return VideoFile(path)


class ClipReader:
    """Iterates over (index, clip) of one video; a clip is float32 (c, l, h, w).

    Where clips start depends on the number of frames, which only decoding tells. Counting first
    would decode everything twice, and keeping every frame would need memory without bound. So the
    estimate (exact for almost every file) is taken, and at the end of the video it is compared
    with the truth. If it was wrong, all clips come again, made with the true number: **a clip
    whose index was seen before replaces the earlier one.** Only frames of unfinished clips are
    kept, cropped and as bytes.
    """

    def __init__(self, source: Source, recipe: Recipe) -> None:
        self.source = source
        self.recipe = recipe
        self.frames = 0  # the true number, known at the end

    def __iter__(self) -> Iterator[tuple[int, np.ndarray]]:
        believed = self.source.estimate()
        for _ in range(3):
            yield from self._read(believed)
            if self.frames == believed:
                return
            if self.frames < 0.95 * believed - 2:
                warnings.warn(
                    f"{self.source.path}: only {self.frames} of {believed} frames can be decoded; "
                    "the file is damaged",
                    stacklevel=2,
                )
            believed = self.frames
        raise Error(f"{self.source.path}: decodes to another number of frames every time")

    def record(self) -> dict[str, Any]:
        """Where the clips came from, ready for JSON; complete at the end of the video."""
        modality = self.source.modality
        return {
            "video": os.path.abspath(self.source.path),
            "modality": modality,
            "frames": self.frames,
            **self.source.record(),
            "starts": [int(clip[0]) for clip in self.recipe.frames_of_clips(self.frames)],
            "looped": self.frames < self.recipe.length,
            "recipe": self.recipe.record(),
            "channels": preprocess.CHANNELS[modality],
            "mean": list(preprocess.MEAN[modality]),
        }

    def _read(self, believed: int) -> Iterator[tuple[int, np.ndarray]]:
        """One pass that takes `believed` for the number of frames and sets `self.frames`."""
        clips = self.recipe.frames_of_clips(believed)
        needed = {int(frame) for clip in clips for frame in clip}
        kept: dict[int, np.ndarray] = {}
        done = count = 0
        for frame in self.source.frames(needed.__contains__):
            if frame is not None:
                kept[count] = self.recipe.picture(frame)
            count += 1
            while done < len(clips) and clips[done].max() < count:
                yield done, self._clip([kept[int(i)] for i in clips[done]])
                done += 1
                first = min((int(clip.min()) for clip in clips[done:]), default=count)
                kept = {i: picture for i, picture in kept.items() if i >= first}
        self.frames = count

    def _clip(self, pictures: list[np.ndarray]) -> np.ndarray:
        return preprocess.to_clip(pictures, preprocess.MEAN[self.source.modality])
