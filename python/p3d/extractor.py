"""Features of videos: decode, make clips, run the net, collect blobs."""

from __future__ import annotations

import contextlib
import difflib
import os
from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import cv2
import numpy as np

import p3d
from p3d.error import Error
from p3d.loading import check_filled, load_net
from p3d.video.ahead import ahead
from p3d.video.arrays import ClipArray
from p3d.video.clips import ClipReader, open_video
from p3d.video.recipe import Recipe, recipe_named

Video = str | os.PathLike[str] | np.ndarray


class Features(dict[str, np.ndarray]):
    """Blob name -> float32 array (clips, ...) of one video.

    Axes of size 1 at the end are dropped: pool5 of P3D-199 is (20, 2048). `meta` tells how they
    were made (frames, where clips start, recipe, mean, net...), ready for JSON.
    """

    meta: dict[str, Any]


class Extractor:
    """Runs one net over videos.

        extractor = p3d.Extractor("p3d_resnet_kinetics_iter_190000.caffemodel")
        features = extractor.extract("some.mp4")
        features["pool5"]  # (20, 2048), one row per clip

    weights  a .caffemodel (or .caffemodel.h5)
    net      a prototxt, or a name out of `p3d models`; by default the one that the weights fit;
             or a net that is loaded already: anything with the interface of pycaffe's Net
    blobs    which blobs to keep
    recipe   "author20", "squash", or a Recipe of your own
    batch    clips per forward
    crop     pixels on a side; by default what the net was written for
    size     short edge, or (h, w), to which frames are resized before they are cropped
    labels   class names: a file, or a list of the package; by default those of the weights
    relax_reshape  lets released prototxts, which are written for a crop of 160, take any crop

    Raises p3d.Error (a RuntimeError) with the file, the value and the cure.
    """

    def __init__(
        self,
        weights: str | os.PathLike[str] | None = None,
        net: Any = None,
        blobs: Sequence[str] = ("pool5",),
        recipe: str | Recipe = "author20",
        *,
        batch: int = 4,
        crop: int | None = None,
        size: int | tuple[int, int] | None = None,
        labels: str | os.PathLike[str] | None = None,
        relax_reshape: bool = False,
    ) -> None:
        if batch < 1:
            raise Error(f"a batch of {batch} clips is not possible: take 1 or more")
        chosen = recipe_named(recipe)
        loaded = load_net(weights, net, labels=labels, relax_reshape=relax_reshape)
        self.net, self.labels, self._about = loaded.net, loaded.labels, loaded.about
        self.batch = batch
        self.blobs = _known_blobs(blobs, list(self.net.blobs))
        check_filled(loaded, self.blobs)
        self._input, channels, length, side = _clip_input(self.net)
        self.modality = {2: "flow", 3: "frame"}[channels]
        if chosen is not recipe or crop or size:
            chosen = chosen.at(crop=crop or side, length=length, size=size)
        self.recipe = chosen
        self._shape = (channels, chosen.length, chosen.crop, chosen.crop)

    def extract(self, video: Video) -> Features:
        """The features of one video: a file, a folder of frames or flow images, or an array."""
        (result,) = self.extract_many([video])
        if isinstance(result, Exception):
            raise result
        return result

    def extract_many(
        self, videos: Iterable[Video], on_clips: Callable[[int], object] = lambda count: None
    ) -> Iterator[Features | Exception]:
        """Features of each video, in order; an exception in place of those that cannot be read.

        The next clips are decoded while the net runs, and clips of several videos may share a
        batch. `on_clips` is called with the number of clips after every forward.
        """
        waiting: list[_Clip] = []  # for the next forward
        ended: deque[_End] = deque()  # videos that are read to the end
        rows: _Rows = defaultdict(dict)

        def run() -> None:
            for one, row in zip(waiting, self._forward([c.values for c in waiting]), strict=True):
                rows[one.video][one.clip] = row
            on_clips(len(waiting))
            waiting.clear()

        with contextlib.closing(ahead(self._events(videos), self.batch)) as events:
            for event in events:
                if isinstance(event, _End):
                    ended.append(event)
                else:
                    waiting.append(event)
                if len(waiting) == self.batch:
                    run()
                while ended and (not waiting or waiting[0].video > ended[0].video):
                    yield self._finish(ended.popleft(), rows)
        if waiting:
            run()
        for end in ended:
            yield self._finish(end, rows)

    def top(self, features: Features, k: int = 5) -> list[tuple[str, float]]:
        """The likeliest classes of a video: blob "prob", averaged over its clips."""
        if "prob" not in features:
            raise Error('classes come from the blob "prob": extract that too')
        mean = features["prob"].reshape(len(features["prob"]), -1).mean(axis=0)
        names = self.labels or [f"class {index}" for index in range(len(mean))]
        if len(names) != len(mean):
            raise Error(f"there are {len(names)} class names for {len(mean)} outputs of the net")
        return [(names[i], float(mean[i])) for i in np.argsort(-mean, kind="stable")[:k]]

    def _events(self, videos: Iterable[Video]) -> Iterator[_Clip | _End]:
        """Runs in the decoding thread: every clip of every video, and every video's end."""
        for number, video in enumerate(videos):
            try:
                reader = self._open(video)
                for index, clip in reader:
                    yield _Clip(number, index, clip)
                yield _End(number, reader.record())
            except (Error, OSError, MemoryError, cv2.error) as error:
                yield _End(number, error)

    def _open(self, video: Video) -> ClipReader | ClipArray:
        if isinstance(video, np.ndarray) or os.fspath(video).endswith(".npy"):
            return ClipArray(video, self._shape)
        return ClipReader(open_video(video, self.modality), self.recipe)

    def _forward(self, clips: list[np.ndarray]) -> list[dict[str, np.ndarray]]:
        """Runs the net once; per clip, blob name -> a copy of its row."""
        data = self.net.blobs[self._input]
        if tuple(data.shape) != (len(clips), *self._shape):
            data.reshape(len(clips), *self._shape)
            self.net.reshape()
        for row, clip in zip(data.data, clips, strict=True):
            row[...] = clip
        tops = self.net.forward(blobs=list(self.blobs))
        for name in self.blobs:
            if tops[name].shape[:1] != (len(clips),):
                raise Error(f"blob '{name}' is {tops[name].shape}: its first axis is not the clips")
        return [{name: tops[name][i].copy() for name in self.blobs} for i in range(len(clips))]

    def _finish(self, end: _End, rows: _Rows) -> Features | Exception:
        clips = rows.pop(end.video, {})
        if isinstance(end.result, Exception):
            return end.result
        order = sorted(clips)
        features = Features(
            (name, _without_trailing_ones(np.stack([clips[i][name] for i in order])))
            for name in self.blobs
        )
        features.meta = {
            **end.result,
            **self._about,
            "blobs": {name: list(array.shape) for name, array in features.items()},
            "versions": {"caffe-p3d": p3d.__version__, "opencv": cv2.__version__},
        }
        return features


class _Clip(NamedTuple):
    """A clip of a video, both counted from 0."""

    video: int
    clip: int
    values: np.ndarray


class _End(NamedTuple):
    """A video is read to its end: the record of its reader, or what went wrong."""

    video: int
    result: dict[str, Any] | Exception


_Rows = dict[int, dict[int, dict[str, np.ndarray]]]  # video -> clip -> blob -> row


def _clip_input(net: Any) -> tuple[str, int, int, int]:
    """Name, channels, length and (shorter) side of the net's input for clips."""
    shapes = {name: tuple(net.blobs[name].shape) for name in net.inputs}
    for name, shape in shapes.items():
        if len(shape) == 5 and shape[1] in (2, 3):
            return name, shape[1], shape[2], min(shape[3:])
    raise Error(
        f"the net has no input for clips: (n, c, l, h, w) with c = 3 for frames or 2 for flow; "
        f"its inputs are {shapes}"
    )


def _known_blobs(wanted: Sequence[str], known: list[str]) -> tuple[str, ...]:
    wanted = (wanted,) if isinstance(wanted, str) else tuple(dict.fromkeys(wanted))
    for name in wanted:
        if name not in known:
            close = difflib.get_close_matches(name, known, n=3) or known[-3:]
            raise Error(f"the net has no blob '{name}'; it has {', '.join(close)}, ...")
    if not wanted:
        raise Error("no blob was asked for: name one or more, such as pool5")
    return wanted


def _without_trailing_ones(array: np.ndarray) -> np.ndarray:
    shape = list(array.shape)
    while len(shape) > 2 and shape[-1] == 1:
        shape.pop()
    return array.reshape(shape)
