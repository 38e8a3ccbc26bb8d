"""Features of videos: decode, make clips, run the net, collect blobs."""

from __future__ import annotations

import contextlib
import functools
import os
import time
import warnings
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from typing import Any

import cv2
import numpy as np

import p3d
from p3d import _core, gpu
from p3d.clip_batches import ClipBatches, Done, Refused, Row, Rows
from p3d.clip_net import ClipNet
from p3d.error import Error
from p3d.gpu_batches import GpuBatches
from p3d.labels import best, check_count
from p3d.loading import check_filled, load_net
from p3d.turn import Turn
from p3d.video.decoder import TIMEOUT
from p3d.video.decoding import Decoders
from p3d.video.gate import Gate
from p3d.video.reading import Clip, End, Reading
from p3d.video.recipe import Recipe, recipe_named

Video = str | os.PathLike[str] | np.ndarray


class ClipsWarning(UserWarning):
    """Clips that a net was not trained on, and nobody asked for."""


#: Clips per forward where nobody says how many. A GPU's arithmetic is busy with the largest; more
#: would make people wait, and take their memory.
USUAL_BATCH, LARGEST_BATCH = 4, 64


class Features(dict[str, np.ndarray]):
    """Blob name -> float32 array (clips, ...) of one video; with several crops (clips, crops, ...).

    Axes of size 1 at the end are dropped: pool5 of P3D-199 is (20, 2048). `meta` tells how they
    were made (frames, where clips start, recipe, mean, net...), ready for JSON.
    """

    meta: dict[str, Any]


class Extractor:
    """Runs one net over videos.

        extractor = p3d.Extractor("p3d_resnet_kinetics_iter_190000.caffemodel")
        features = extractor.extract("some.mp4")
        features["pool5"]  # (20, 2048), one row per clip

    Threads may share it: each call decodes for itself, and the net runs one batch after the other.
    Forks may, too, which wait until the net is through. Pickled it is its arguments: a process that
    gets it loads the weights anew.

    weights  a .caffemodel (or .caffemodel.h5)
    net      a prototxt, or a name out of `p3d models`; by default the one that the weights fit;
             or a net that is loaded already: anything with the interface of pycaffe's Net
    blobs    which blobs to keep
    recipe   "author20", "squash", or a Recipe of your own
    stride, clips, fps, length, crops, short  change the recipe, see p3d.video.Recipe: `stride`
             makes a clip every so many frames, `clips` so many of every video
    batch    clips per forward, fewer where a GPU has no room for them; by default 4, on a GPU as
             many as it has room for, up to 64
    crop     pixels on a side; by default what the net was written for
    size     short edge, or (h, w), to which frames are resized before they are cropped
    labels   class names: a file, or a list of the package; by default those of the weights
    relax_reshape  lets released prototxts, which are written for a crop of 160, take any crop
    decoders  child processes that decode, so that no file can hurt this one; 0 decodes here
    timeout  seconds without a new frame after which a decoder is ended, and its video an error

    Raises p3d.Error (a RuntimeError) with the file, the value and the cure.
    """

    def __init__(
        self,
        weights: str | os.PathLike[str] | None = None,
        net: Any = None,
        blobs: Sequence[str] = ("pool5",),
        recipe: str | Recipe = "author20",
        *,
        stride: int | None = None,
        clips: int | None = None,
        fps: float | None = None,
        length: int | None = None,
        crops: str | None = None,
        short: str | None = None,
        batch: int | None = None,
        crop: int | None = None,
        size: int | tuple[int, int] | None = None,
        labels: str | os.PathLike[str] | None = None,
        relax_reshape: bool = False,
        decoders: int = 1,
        timeout: float = TIMEOUT,
    ) -> None:
        self._arguments = {name: given for name, given in locals().items() if name != "self"}
        if batch is not None and batch < 1:
            raise Error(f"a batch of {batch} clips is not possible: take 1 or more")
        chosen = recipe_named(
            recipe, stride=stride, clips=clips, fps=fps, crops=crops, short=short, length=length
        )
        loaded = load_net(weights, net, labels=labels, relax_reshape=relax_reshape, length=length)
        self.net, self.labels, self.about = loaded.net, loaded.labels, loaded.about
        self.batch = batch
        net_of_clips = self._clip_net = ClipNet(self.net, blobs)
        self._batches = GpuBatches(net_of_clips.start)
        self.blobs, self.modality = net_of_clips.blobs, net_of_clips.modality
        check_filled(loaded, self.blobs)
        if labels is not None and self.labels is not None:
            check_count(self.labels, net_of_clips.classes())
        if not isinstance(recipe, Recipe) or crop is not None or size is not None:
            chosen = chosen.at(
                crop=net_of_clips.side if crop is None else crop,
                length=length or net_of_clips.length,
                size=size,
            )
        self.recipe = chosen
        if not isinstance(recipe, Recipe):
            _compare_with_training(self.about, chosen, crop=crop, length=length)
        self._shape = (net_of_clips.channels, chosen.length, chosen.crop, chosen.crop)
        self._decoders = Decoders(decoders, timeout)
        self._turn = Turn()  # of the net
        self.seconds = {"net": 0.0, "waiting for frames": 0.0}

    def __reduce__(self) -> tuple[Any, ...]:
        return functools.partial(type(self), **self._arguments), ()

    def __repr__(self) -> str:
        blobs = ", ".join(self.blobs)
        return (
            f"<Extractor of {blobs} by {self.about['net']}, recipe {self.recipe.name}, clips "
            f"{'x'.join(map(str, self._shape))}>"
        )

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
        rows: dict[int, list[dict[str, np.ndarray]]] = {}
        ready: dict[int, Features | Exception] = {}
        in_hand = self.clips_at_once() * (2 if _core.gpu_mode() else 1)
        gate = Gate(videos, in_hand + 2 * self._decoders.count)
        stream = self.stream(gate, on_clips)
        with contextlib.closing(stream), contextlib.closing(gate):
            for event in stream:
                if isinstance(event, Row):
                    if event.number == 0:
                        rows[event.video] = []
                    rows[event.video].append(event.values)
                    continue
                ready[event.video] = self._features(event.result, rows.pop(event.video, []))
                while (result := ready.pop(gate.yielded, None)) is not None:
                    gate.release()
                    yield result

    def stream(
        self, videos: Iterable[Video], on_clips: Callable[[int], object] = lambda count: None
    ) -> Generator[Row | Done, None, None]:
        """Rows as the net makes them, and the ends of videos, counted from 0.

        Rows of one video come in order, its end after them; those of several videos may mix.
        Memory does not grow with the length of videos or with their number.
        """
        most = self.clips_at_once()
        batches = ClipBatches(self._start, most, on_clips)

        def readings() -> Iterator[Reading]:
            for number, video in enumerate(videos):
                batches.open(number, "array" if isinstance(video, np.ndarray) else os.fspath(video))
                yield self._reading(video)

        events = self._decoders.events(readings(), most)
        with contextlib.closing(events):
            for video, event in self._timed(events):
                if event is None:
                    yield from batches.rest()
                elif isinstance(event, End):
                    yield from batches.end(Done(video, self._meta(event.result)))
                else:
                    yield from batches.add(video, event)
        yield from batches.all()

    def check(self, videos: Iterable[Video]) -> Generator[Done, None, None]:
        """Decodes every frame and runs no net: the record of each video, or what is wrong."""
        one = Recipe("check", size=16, crop=16, length=1, clips=1, sampling="even")
        readings = (self._reading(video)._replace(recipe=one) for video in videos)
        with contextlib.closing(
            self._decoders.events(readings, self.batch or USUAL_BATCH)
        ) as events:
            for video, event in self._timed(events):
                if isinstance(event, End):
                    yield Done(video, event.result)

    def top(self, features: Features, k: int = 5) -> list[tuple[str, float]]:
        """The likeliest classes of a video: blob "prob", averaged over its clips and crops."""
        if "prob" not in features:
            raise Error('classes come from the blob "prob": extract that too')
        prob = features["prob"]
        return best(prob.reshape(-1, prob.shape[-1]).mean(axis=0), self.labels, k)

    def clips_at_once(self) -> int:
        """`batch`, or the one that is chosen where nobody named one."""
        if self.batch is not None:
            return self.batch
        with self._turn:
            fits = self._clip_net.gpu_batch(self._shape)
        return USUAL_BATCH if fits is None else max(1, min(fits, LARGEST_BATCH))

    def _start(self, clips: list[np.ndarray]) -> Rows:
        """Begins a run of the net, whose rows the function returned gives. Where the size of clips
        is the video's, so is what the net has against it, which is told then; else it would have it
        against all videos."""
        try:
            with self._net_in_turn():
                rows = self._batches.start(clips)
        except RuntimeError as error:
            failure = self._failure(clips, error)

            def fail() -> list[dict[str, np.ndarray]]:
                raise failure

            return fail

        def wait() -> list[dict[str, np.ndarray]]:
            try:
                with self._net_in_turn():
                    return rows()
            except RuntimeError as error:
                raise self._failure(clips, error) from error

        return wait

    @contextlib.contextmanager
    def _net_in_turn(self) -> Iterator[None]:
        """Inside, no other thread has the net; how long it takes is noted."""
        with self._turn:
            start = time.perf_counter()
            try:
                yield
            finally:
                self.seconds["net"] += time.perf_counter() - start

    def _failure(self, clips: list[np.ndarray], error: RuntimeError) -> Exception:
        if self.recipe.crops != "full":
            return error
        h, w = clips[0].shape[2:]
        return Refused(f"the net takes no frames of {w}x{h}: {error}")

    @property
    def precision(self) -> str:
        """What the net computes in now, see p3d.gpu.set_precision."""
        return gpu.actual_precision()

    @property
    def decoding_seconds(self) -> float:
        """Seconds that child processes worked, all together."""
        return self._decoders.busy

    def close(self) -> None:
        """Ends the decoders; they start again when they are needed."""
        self._decoders.stop()

    def _reading(self, video: Video) -> Reading:
        source = video if isinstance(video, np.ndarray) else os.fspath(video)
        threads = max(1, _core.num_threads() // self._decoders.count)
        return Reading(source, self.modality, self.recipe, self._shape, threads)

    def _timed(
        self, events: Iterator[tuple[int, Clip | End] | None]
    ) -> Iterator[tuple[int, Clip | End | None]]:
        """The events, and notes how long they were waited for; (-1, None) when nothing came."""
        while True:
            start = time.perf_counter()
            try:
                event = next(events)
            except StopIteration:
                return
            finally:
                self.seconds["waiting for frames"] += time.perf_counter() - start
            yield event or (-1, None)

    def _meta(self, result: dict[str, Any] | Exception) -> dict[str, Any] | Exception:
        if isinstance(result, Exception):
            return result
        versions = {"caffe-p3d": p3d.__version__, "opencv": cv2.__version__}
        return {**result, **self.about, "precision": self.precision, "versions": versions}

    def _features(
        self, result: dict[str, Any] | Exception, rows: list[dict[str, np.ndarray]]
    ) -> Features | Exception:
        if isinstance(result, Exception):
            return result
        features = Features()
        views = self.recipe.views
        for name in self.blobs:
            stacked = np.stack([row[name] for row in rows])
            shape = (-1, views) if views > 1 and "recipe" in result else (-1,)
            features[name] = stacked.reshape(*shape, *stacked.shape[1:])
        shapes = {name: list(array.shape) for name, array in features.items()}
        features.meta = {**result, "blobs": shapes}
        return features


def _compare_with_training(about: dict[str, Any], recipe: Recipe, **given: int | None) -> None:
    """Warns where clips are not those that the net was trained on, and nobody asked for these."""
    trained = {
        name: value
        for name, value in about.get("trained_on", {}).items()
        if given[name] is None and value != getattr(recipe, name)
    }
    if recipe.crops == "full":
        trained.pop("crop", None)
    if not trained:
        return
    then = " and ".join(f"{name} {value}" for name, value in trained.items())
    here = " and ".join(f"{getattr(recipe, name)}" for name in trained)
    arguments = ", ".join(f"{name}={value}" for name, value in trained.items())
    options = " ".join(f"--{name} {value}" for name, value in trained.items())
    warnings.warn(
        f"{about['weights']}: trained on clips of {then}, not {here} as here; {arguments} "
        f"({options}) makes such",
        ClipsWarning,
        stacklevel=3,
    )
