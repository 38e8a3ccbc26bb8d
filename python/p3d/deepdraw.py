"""The clip that a class, or a channel of a blob, likes best: DeepDraw, for clips.

Gradient ascent from noise on the net's input: a clip is changed so that the channel's mean grows,
and kept natural by a blur that fades and by moving it a little, at random, before each step. So
class visualisation is done since Simonyan et al., "Deep Inside Convolutional Networks" (2014); the
P3D authors showed such clips and published no code.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import cv2
import numpy as np

from p3d.clip_net import clip_input, known_blobs
from p3d.error import Error
from p3d.video.preprocess import MEAN


class Schedule(NamedTuple):
    """How a clip is drawn; pairs are first and last values, between which they fall evenly.

    steps   of the ascent
    step    how far it goes, in grey levels (0..255), of the average value
    blur    sigma of the Gaussian after each step, in pixels
    time    sigma of the blur along time, in frames, for a pixel of `blur`
    shift   by how much of its sides a clip is moved at most
    """

    steps: int = 200
    step: tuple[float, float] = (8.0, 2.0)
    blur: tuple[float, float] = (1.5, 0.5)
    time: float = 0.6
    shift: float = 0.06

    def at(self, number: int) -> tuple[float, float]:
        """`step` and `blur` of a step, counted from 0."""
        done = number / max(1, self.steps - 1)
        step, blur = (first + (last - first) * done for first, last in (self.step, self.blur))
        return step, blur


USUAL = Schedule()


class Drawn(NamedTuple):
    """pixels: uint8 (l, h, w, c), as frames are; scores: of the channel, before each step and at
    the end, (steps + 1,)."""

    pixels: np.ndarray
    scores: np.ndarray


def draw(
    net: Any,
    blob: str,
    channel: int,
    schedule: Schedule = USUAL,
    seed: int = 1,
    on_step: Callable[[float], object] = lambda score: None,
) -> Drawn:
    """The clip for one channel of a blob of `net`, as p3d.loading.load_net(backward=True) gives
    it. It is the first of the net's batch, where that has more; those are 0.

    `on_step` gets the score, the channel's mean, before each step. Raises Error if the blob has no
    such channel or nothing of the clip reaches it.
    """
    name, channels, _, _ = clip_input(net)
    shape = net.blobs[name].shape[1:]
    ascent = _Ascent(net, name, blob, channel)
    mean = np.reshape(MEAN["flow" if channels == 2 else "frame"], (channels, 1, 1, 1))
    random = np.random.default_rng(seed)
    clip = random.normal(0, 8, shape).astype(np.float32)
    scores = []
    for number in range(schedule.steps):
        step, blur = schedule.at(number)
        share = random.uniform(-schedule.shift, schedule.shift, 2)
        shift = np.rint(share * shape[2:]).astype(int)
        score, uphill = ascent.at(np.roll(clip, shift, (2, 3)))
        scores.append(score)
        on_step(score)
        clip += np.roll(uphill, -shift, (2, 3)) * np.float32(step)
        clip = np.clip(_blurred(clip, blur, blur * schedule.time), -mean, 255 - mean)
    scores.append(ascent.score_of(clip))
    pixels = np.rint(clip + mean).astype(np.uint8)
    return Drawn(np.ascontiguousarray(pixels.transpose(1, 2, 3, 0)), np.array(scores))


def class_scores(net: Any) -> str:
    """The blob with the scores of classes: what goes into the last Softmax."""
    for layer in reversed(list(net.layer_dict)):
        if net.layer_dict[layer].type in ("Softmax", "SoftmaxWithLoss"):
            return str(net.bottom_names[layer][0])
    raise Error("the net has no Softmax, so no classes: name a blob and a channel")


def channels_of(net: Any, blob: str) -> int:
    """How many channels a blob has. Raises Error if there is no such blob, or it has none."""
    known_blobs([blob], list(net.blobs))
    shape = tuple(net.blobs[blob].shape)
    if len(shape) < 2:
        raise Error(f"blob '{blob}' is {shape}: it has no channels")
    return int(shape[1])


def channel_named(what: str, names: Sequence[str] | None) -> int:
    """The number of a class by its name, in the order of `names`; numbers are taken as they are."""
    if names is not None and what in names:
        return names.index(what)
    if what.isdecimal() and len(what) < 10:
        return int(what)
    if names is None:
        raise Error(f"'{what}' is no number from 0, and classes have no names without --labels")
    close = difflib.get_close_matches(what, names, n=3, cutoff=0.4)
    hint = f"did you mean {', '.join(close)}?" if close else f"they are {', '.join(names[:3])}, ..."
    raise Error(f"there is no class '{what}'; {hint}")


class _Ascent:
    """The score of clips, and where it grows."""

    def __init__(self, net: Any, data: str, blob: str, channel: int) -> None:
        if not 0 <= channel < (count := channels_of(net, blob)):
            raise Error(f"blob '{blob}' has no channel {channel}: it has {count}, counted from 0")
        self._net, self._data, self._blob, self._channel = net, data, blob, channel
        layers = list(net.layer_dict)
        end = max(i for i, name in enumerate(layers) if blob in net.top_names[name]) + 1
        self._layer = layers[end - 1]
        net.blobs[data].data[...] = 0
        # What later layers read is of no consequence, nor what an earlier backward left there.
        made = {top for name in layers[:end] for top in net.top_names[name]}
        for read in {bottom for name in layers[end:] for bottom in net.bottom_names[name]} & made:
            net.blobs[read].diff[...] = 0

    def score_of(self, clip: np.ndarray) -> float:
        self._net.blobs[self._data].data[0] = clip
        self._net.forward(end=self._layer)
        return float(self._net.blobs[self._blob].data[0, self._channel].mean())

    def at(self, clip: np.ndarray) -> tuple[float, np.ndarray]:
        """The score and its gradient, scaled to 1 on average."""
        score = self.score_of(clip)
        diff = self._net.blobs[self._blob].diff
        diff[...] = 0
        diff[0, self._channel] = 1
        self._net.backward(start=self._layer)
        gradient = self._net.blobs[self._data].diff[0]
        size = float(np.abs(gradient).mean())
        if not np.isfinite(size) or size == 0:
            raise Error(
                f"the gradient of channel {self._channel} of '{self._blob}' is {size} for the clip"
                ": nothing can be drawn (a dead channel, a saturated one such as of prob, or "
                "weights that are not trained?)"
            )
        return score, gradient / np.float32(size)


def _blurred(clip: np.ndarray, space: float, time: float) -> np.ndarray:
    """Gaussians over (h, w) and over l of a clip (c, l, h, w)."""
    shape = clip.shape
    frames = [cv2.GaussianBlur(frame, (0, 0), space) for frame in clip.reshape(-1, *shape[2:])]
    courses = np.reshape(frames, (shape[0], shape[1], -1))  # of every pixel, along time
    side = 2 * int(3 * time + 0.5) + 1
    courses = np.stack([cv2.GaussianBlur(each, (1, side), 1, sigmaY=time) for each in courses])
    return courses.reshape(shape)
