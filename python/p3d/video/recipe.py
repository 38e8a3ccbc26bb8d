"""A recipe says how a video becomes clips: size, crop, length, number of clips."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from p3d.error import Error
from p3d.video import preprocess, sampling


@dataclass(frozen=True)
class Recipe:
    """`size` is the short edge or (h, w) before the centre crop of `crop` x `crop` pixels."""

    name: str
    size: int | tuple[int, int]
    crop: int = 160
    length: int = 16
    clips: int = 20

    def frames_of_clips(self, frames: int) -> list[np.ndarray]:
        """The frames of every clip of a video of so many frames, each (length,), in order."""
        starts = sampling.author20(frames, self.length, self.clips)
        return [sampling.frame_indices(start, self.length, frames) for start in starts]

    def picture(self, frame: np.ndarray) -> np.ndarray:
        """uint8 (h, w, c) -> uint8 (crop, crop, c)."""
        return preprocess.resize_and_crop(frame, self.size, self.crop)

    def at(self, crop: int | None = None, length: int | None = None, size: Any = None) -> Recipe:
        """The recipe for another crop or length; `size` grows with the crop unless it is given."""
        crop = crop or self.crop
        if size is None:
            size = _scaled(self.size, crop, self.crop)
        short = size if isinstance(size, int) else min(size)
        if not 1 <= crop <= short or max(crop, short) > 4096:
            raise Error(f"a crop of {crop} pixels does not fit into a size of {size}")
        return replace(self, size=size, crop=crop, length=length or self.length)

    def record(self) -> dict[str, Any]:
        """What features must be kept with to be reproduced, ready for JSON."""
        return {**asdict(self), "resize": preprocess.RESIZE}


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


def recipe_named(name: str | Recipe) -> Recipe:
    """A recipe by its name."""
    if isinstance(name, Recipe):
        return name
    if name not in RECIPES:
        raise Error(f"there is no recipe '{name}': choose one of {', '.join(RECIPES)}")
    return RECIPES[name]
