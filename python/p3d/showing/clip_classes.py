"""What the net says of every clip of a result."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from p3d import labels
from p3d.error import Error
from p3d.packing.stored import Stored


class ClipClasses(NamedTuple):
    """Clips along time, and the scores of the classes that are likeliest in the whole video.

    starts  first frame of every clip, (clips,); `length` frames each
    names   of the classes, likeliest first
    scores  (clips, classes)
    """

    starts: np.ndarray
    length: int
    names: list[str]
    scores: np.ndarray


def clip_classes(result: Stored, names: list[str] | None, count: int) -> ClipClasses:
    """Those of a result; without blob "prob" there are no classes, and scores are (clips, 0).

    `names` are those of all classes; by default the ones that were noted when it was extracted.
    """
    starts = np.array(result.meta.get("starts", []), int)
    if not len(starts):
        raise Error(f"{result.base}: says nothing of where its clips are; it cannot be shown")
    length = int(result.meta.get("recipe", {}).get("length", 16))
    prob = result.arrays().get("prob")
    pooled = result.meta.get("output", {}).get("pool", "keep") != "keep"
    if prob is None or pooled:
        return ClipClasses(starts, length, [], np.empty((len(starts), 0)))
    prob = prob.astype(np.float32).reshape(len(starts), -1, prob.shape[-1]).mean(axis=1)
    mean = prob.mean(axis=0)
    order = np.argsort(-mean, kind="stable")[:count]
    if names is not None:
        known = [name for name, _ in labels.best(mean, names, count)]
    else:
        noted = [name for name, _ in result.meta.get("top", [])]
        known = noted[:count] + [f"class {i}" for i in order[len(noted) :]]
    return ClipClasses(starts, length, known, prob[:, order])
