"""A recipe says how a video becomes clips: size, crops, length, and which frames."""

from __future__ import annotations

import operator
from collections.abc import Iterator
from dataclasses import asdict, dataclass, fields, replace
from typing import Any

import numpy as np

from p3d.error import Error
from p3d.video import preprocess, sampling

_MOST = 4096  # pixels on a side, and frames of a clip


@dataclass(frozen=True)
class Recipe:
    """How a video becomes clips.

    size      short edge, or (h, w), to which frames are resized
    crop      pixels on a side of what is cut out of them
    crops     "centre", "five" or "ten" (see preprocess.views), or "full": nothing is cut off
    length    frames of a clip
    sampling  the rule of `p3d.video.sampling`: "author20" and "even" make `clips` clips of a
              video, "dense" one every `stride` frames
    fps       frames are first taken at this rate, by their timestamps; None takes every frame
    short     what a video shorter than a clip gets: "loop", "repeat-last" or "error"
    """

    name: str
    size: int | tuple[int, int]
    crop: int = 160
    length: int = 16
    clips: int = 20
    crops: str = "centre"
    sampling: str = "author20"
    stride: int = 16
    fps: float | None = None
    short: str = "loop"

    def __post_init__(self) -> None:
        for name in ("crop", "length", "clips", "stride"):
            object.__setattr__(self, name, _whole(name, getattr(self, name)))
        object.__setattr__(self, "size", _size(self.size))
        short = self.size if isinstance(self.size, int) else min(self.size)
        if self.crops not in preprocess.VIEWS:
            raise Error(f"there are no crops '{self.crops}': {', '.join(preprocess.VIEWS)}")
        _check_range("crop", self.crop, _MOST)
        fits = self.crops == "full" or self.crop <= short
        if not (fits and 1 <= short <= _MOST):
            raise Error(
                f"a crop of {self.crop} pixels does not fit into a size of {self.size} "
                f"(both are 1 to {_MOST})"
            )
        if self.sampling not in ("author20", "even", "dense"):
            raise Error(f"there is no rule '{self.sampling}': author20, even, dense")
        if self.short not in sampling.SHORT:
            raise Error(f"short videos may {', '.join(sampling.SHORT)}, not '{self.short}'")
        _check_range("clip length", self.length, _MOST)
        _check_range("number of clips", self.clips, 100_000)
        _check_range("stride", self.stride, 1_000_000)
        if self.fps is not None and not 0.001 <= self.fps <= 1000:
            raise Error(f"{self.fps} frames per second: take 0.001 to 1000")

    @property
    def needs_count(self) -> bool:
        """Whether the starts of clips depend on the number of frames."""
        return self.sampling != "dense"

    @property
    def views(self) -> int:
        """How many crops a clip is seen in."""
        return preprocess.VIEWS[self.crops]

    def starts(self, frames: int | None) -> Iterator[int]:
        """First frame of every clip, in order; None, not known, needs a rule that allows it."""
        if self.sampling == "dense":
            return sampling.dense(frames, self.length, self.stride)
        assert frames is not None
        if self.sampling == "even":
            return sampling.even(frames, self.length, self.clips)
        return iter(sampling.author20(frames, self.length, self.clips))

    def frames_of(self, start: int, frames: int) -> np.ndarray:
        """The frames of a clip of a video of so many frames, (length,)."""
        return sampling.frame_indices(start, self.length, frames, self.short)

    def frames_of_clips(self, frames: int) -> list[np.ndarray]:
        """The frames of every clip of a video of so many frames, each (length,), in order."""
        return [self.frames_of(start, frames) for start in self.starts(frames)]

    def picture(self, frame: np.ndarray) -> np.ndarray:
        """uint8 (h, w, c) -> resized, and cropped where one crop is all that is wanted."""
        if self.crops == "centre":
            return preprocess.resize_and_crop(frame, self.size, self.crop)
        return preprocess.resize(frame, self.size)

    def seen(self, pictures: list[np.ndarray], modality: str) -> Iterator[np.ndarray]:
        """The views of a clip of such pictures, each uint8 (c, l, h, w)."""
        yield from preprocess.views(
            preprocess.planes(pictures), self.crop, self.crops, modality == "flow"
        )

    def at(self, crop: int | None = None, length: int | None = None, size: Any = None) -> Recipe:
        """The recipe for another crop or length; `size` grows with the crop unless it is given."""
        crop = self.crop if crop is None else crop
        if size is None:
            size = crop if self.crops == "full" else _scaled(self.size, crop, self.crop)
        return replace(self, size=size, crop=crop, length=length or self.length)

    def record(self) -> dict[str, Any]:
        """What features must be kept with to be reproduced, ready for JSON."""
        known = {**asdict(self), "resize": preprocess.RESIZE}
        for unused in ("stride",) if self.needs_count else ("clips",):
            del known[unused]
        if isinstance(self.size, tuple):
            known["size"] = list(self.size)
        return known


def _whole(what: str, value: Any) -> int:
    """NumPy's too, which JSON would not take."""
    try:
        return operator.index(value)
    except TypeError:
        raise Error(f"{what} is {value!r}: give a whole number") from None


def _size(size: Any) -> int | tuple[int, int]:
    if not isinstance(size, (tuple, list)):
        return _whole("size", size)
    if len(size) != 2:
        raise Error(f"size is {size!r}: give the short edge, or (height, width)")
    return (_whole("size", size[0]), _whole("size", size[1]))


def _check_range(what: str, value: int, most: int) -> None:
    if not 1 <= value <= most:
        raise Error(f"a {what} of {value} is not possible: take 1 to {most}")


def _scaled(size: int | tuple[int, int], crop: int, before: int) -> int | tuple[int, int]:
    """`size` in the proportion of the crops, rounded up."""
    if isinstance(size, int):
        return -(-size * crop // before)
    return (-(-size[0] * crop // before), -(-size[1] * crop // before))


RECIPES = {
    # The authors' code for features: short edge 162, 20 clips.
    "author20": Recipe("author20", size=162),
    # The resize of training (182 x 242, aspect not kept). Nobody published where its test clips
    # start, so they start where author20's do: the two recipes differ in geometry alone.
    "squash": Recipe("squash", size=(182, 242)),
}


def recipe_named(name: str | Recipe, **changes: Any) -> Recipe:
    """A recipe by its name; `changes` are fields of it, those that are None stay.

    `stride` asks for the rule "dense", `clips` for "even".
    """
    if isinstance(name, str) and name not in RECIPES:
        raise Error(f"there is no recipe '{name}': choose one of {', '.join(RECIPES)}")
    recipe = name if isinstance(name, Recipe) else RECIPES[name]
    wanted = {key: value for key, value in changes.items() if value is not None}
    if strange := wanted.keys() - {field.name for field in fields(Recipe)}:
        raise TypeError(f"a recipe has no {', '.join(sorted(strange))}")
    if "stride" in wanted and "clips" in wanted:
        raise Error("clips are taken by --stride or by their number (--clips), not by both")
    if "stride" in wanted or "clips" in wanted:
        wanted.setdefault("sampling", "dense" if "stride" in wanted else "even")
    return replace(recipe, **wanted) if wanted else recipe
