"""The nets as text: `prototxt("p3d199-kinetics")` prints what `prototxt/` holds.

names()                    what there is
describe(name)             one line about a net
prototxt(name, ...)        the deploy net, for other classes, crops, lengths... if asked
blobs(name, ...)           the shapes of its weights
fit(layers)                which net a list of weights belongs to
"""

from __future__ import annotations

from p3d.models.fit import Fit, fit, nearest
from p3d.models.net import Net, Shape
from p3d.models.registry import ENTRIES, entry, options

__all__ = ["Fit", "blobs", "describe", "fit", "names", "nearest", "prototxt"]

Crop = int | tuple[int, int]


def names() -> list[str]:
    """The nets there are, the deepest first."""
    return list(ENTRIES)


def describe(name: str) -> str:
    """One line: depth, data, classes, input."""
    known = entry(name)
    height, width = known.defaults.crop
    shape = f"{known.channels}x{known.defaults.length}x{height}x{width}"
    return f"{known.summary}, clips {shape}"


def prototxt(
    name: str,
    *,
    classes: int | None = None,
    head: str | None = None,
    crop: Crop | None = None,
    length: int | None = None,
    batch: int | None = None,
    kinds: str | None = None,
    any_length: bool | None = None,
    numbered: bool | None = None,
) -> str:
    """The deploy prototxt of a named net. What is None stays as published.

    classes     outputs of the last layer; `head` is its name (rename it, as always in Caffe, to
                fine-tune from weights that have another number of classes)
    crop        height and width of a frame, one number or (height, width); at least 3
    length      frames of a clip; more than 16 need `any_length`
    batch       clips
    kinds       the cycle of unit kinds, any word of the letters A, B and C
    any_length  res5 stays 3-D (1x1x1 and 1x3x3 kernels) and pool5 averages over l, h and w; up
                to 16 frames this is the same function, with the same weights
    numbered    units of res3 and res4 are a, b1, b2... instead of a, b, c...
    """
    return _net(
        name,
        classes=classes,
        head=head,
        crop=crop,
        length=length,
        batch=batch,
        kinds=kinds,
        any_length=any_length,
        numbered=numbered,
    ).text()


def blobs(name: str, **changes: object) -> dict[str, list[Shape]]:
    """Layer name -> shapes of its blobs, in the net's order; same options as `prototxt`."""
    return _net(name, **changes).blobs


def _net(name: str, crop: object = None, **changes: object) -> Net:
    square = (crop, crop) if isinstance(crop, int) else crop
    return entry(name).build(options(name, crop=square, **changes))
