"""What a VideoData layer has at a position: one clip, made from the position alone."""

from __future__ import annotations

import itertools
import time
import zlib
from bisect import bisect_right
from typing import Any, NamedTuple

import cv2
import numpy as np

from p3d.data import clip_choice, jitter
from p3d.data.clip_frames import read_frames
from p3d.data.framing import Framing, Window
from p3d.data.order import Order
from p3d.data.seeds import generator
from p3d.data.video_list import Video, count_clips, read_videos
from p3d.error import Error
from p3d.video.clips import open_video
from p3d.video.source import Alive


class Clip(NamedTuple):
    """What belongs to a clip besides its pixels.

    window, frame  what was cut out of the resized frames, and their (h, w)
    decode, edit   seconds of processor time: frames, and what was done to them
    """

    label: int
    flip: bool
    window: Window
    frame: tuple[int, int]
    decode: float
    edit: float


class Bad(NamedTuple):
    """A video that cannot be read, and why."""

    reason: str


class ListedClips:
    """Reads the clips of a list in a layer's order.

    Everything random about a clip is drawn from (seed, epoch, item): a clip does not depend on who
    reads it, or when.
    """

    def __init__(self, param: Any, train: bool, seed: int) -> None:
        """`param` is the layer's VideoDataParameter; the list is read now."""
        _check(param)
        self._param, self._train = param, train
        self.videos = read_videos(param)
        self._framing = Framing(param, train)
        self._jitter = jitter.is_wanted(param) and train
        counts = [1] * len(self.videos) if train else count_clips(self.videos, param.num_clips)
        self._ends = list(itertools.accumulate(counts))  # of each video's items
        self.order = Order(self._ends[-1], param.shuffle, seed)
        channels = 2 if param.use_flow else 3
        self.shape = (channels, param.new_length, *self._framing.size)
        # What a position means depends on the list, not on where its videos were moved.
        listed = [(v.path.removeprefix(param.root_folder), v.start, v.label) for v in self.videos]
        text = repr((listed, self._ends[-1]))
        self.fingerprint = zlib.crc32(text.encode(errors="surrogateescape"))

    def restart(self, seed: int) -> None:
        """Another seed from here on."""
        self.order = Order(self.order.count, self.order.shuffle, seed)

    def video(self, position: int) -> int:
        """The number of the video that a position is a clip of."""
        return bisect_right(self._ends, self.order.turn(position).item)

    def read(self, position: int, pixels: np.ndarray, alive: Alive = lambda: None) -> Clip | Bad:
        """The clip at a position; its pixels go to uint8 (c, l, h, w), before the mean.

        `alive` is called for every frame that is decoded.
        """
        number = self.video(position)
        try:
            return self._read(position, number, pixels, alive)
        except Error as error:
            return Bad(str(error))
        except Exception as error:  # OpenCV's own, and what nobody thought of: this video's fault
            text = error.err if isinstance(error, cv2.error) else f"{type(error).__name__}: {error}"
            return Bad(f"{self.videos[number].path}: cannot be read ({text})")

    def _read(self, position: int, number: int, pixels: np.ndarray, alive: Alive) -> Clip:
        began = time.process_time()
        epoch, item = self.order.turn(position)
        random = generator(self.order.seed, epoch, item + 1)
        video, clip = self.videos[number], item - (self._ends[number - 1] if number else 0)
        frames = self._frames(video, clip, random.random(), alive)
        decoded = time.process_time()
        flip = bool(self._train and self._param.mirror and random.integers(2))
        resized = [self._framing.resized(frame) for frame in frames]
        h, w = resized[0].shape[:2]
        window = self._framing.window(h, w, random)
        cut = [self._framing.cut(frame, window, flip) for frame in resized]
        if self._jitter:
            cut = jitter.apply(cut, jitter.draw(self._param, random))
        _to_planes(cut, pixels)
        spent = (decoded - began, time.process_time() - decoded)
        return Clip(video.label, flip, window, (h, w), *spent)

    def _frames(self, video: Video, clip: int, share: float, alive: Alive) -> list[np.ndarray]:
        length, rate = self._param.new_length, self._param.sampling_rate
        span = clip_choice.span(length, rate)

        def choose(frames: int) -> np.ndarray:
            start = self._start(video, clip, frames, span, share)
            return clip_choice.frames_of(start, length, rate, frames)

        source = open_video(video.path, "flow" if self._param.use_flow else "frame")
        frames = read_frames(source, choose, alive)
        if len({frame.shape for frame in frames}) > 1:
            raise Error(f"{video.path}: its frames are not all of one size")
        return frames

    def _start(self, video: Video, clip: int, frames: int, span: int, share: float) -> int:
        given = self._param.HasField("use_temporal_jitter")
        jitters = self._param.use_temporal_jitter if given else video.start is None
        if self._train and jitters:
            return clip_choice.random_start(frames, span, share)
        if video.start is not None:
            return clip_choice.given_start(frames, video.start, video.path)
        clips = 1 if self._train else self._param.num_clips
        return clip_choice.even_start(frames, span, clip, clips)


def _to_planes(frames: list[np.ndarray], pixels: np.ndarray) -> None:
    """uint8 frames (h, w, c) -> (c, l, h, w)."""
    pairs = [n for channel in range(len(pixels)) for n in (channel, channel)]
    for index, frame in enumerate(frames):
        cv2.mixChannels([frame], list(pixels[:, index]), pairs)


def _check(param: Any) -> None:
    for name in ("batch_size", "new_length", "sampling_rate", "num_clips"):
        if not 1 <= getattr(param, name) <= 1 << 16:
            raise Error(f"{name} {getattr(param, name)} is not possible: take 1 to 65536")
    if not 0 <= param.max_bad_share <= 1:
        raise Error(f"max_bad_share {param.max_bad_share} is no share: take 0 to 1")
