"""The nets as text: `prototxt("p3d199-kinetics")` is what `prototxt/` holds.

names()                    what there is
hint(name)                 the end of an error: which of them somebody may have meant
describe(name)             one line about a net
prototxt(name, ...)        the deploy net, for other classes, crops, lengths... if asked
train_val(name, ...)       the same net with data layers, loss and accuracy
solver(name, ...)          how to train it, in the authors' way
blobs(name, ...)           the shapes of its weights
fit(layers)                which net a list of weights belongs to
"""

from __future__ import annotations

from typing import Any

from p3d.models import training
from p3d.models.feed import Feed
from p3d.models.fit import Fit, fit, nearest
from p3d.models.net import Net, Shape
from p3d.models.registry import ENTRIES, entry, hint, options

__all__ = [
    "Fit",
    "blobs",
    "describe",
    "fit",
    "hint",
    "names",
    "nearest",
    "prototxt",
    "solver",
    "train_val",
]

Crop = int | tuple[int, int]

#: Clips at once in training: 16 of them make an update.
BATCH = 8


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
    units: tuple[int, int, int, int] | None = None,
    width: int | None = None,
    scratch: bool | None = None,
) -> str:
    """The deploy prototxt of a named net. What is None stays as published.

    classes     outputs of the last layer; `head` is its name (rename it, as always in Caffe, to
                fine-tune from weights that have another number of classes)
    crop        height and width of a frame, one number or (height, width); at least 3
    length      frames of a clip; more than 16 need `any_length`
    batch       clips
    kinds       the cycle of unit kinds, any word of the letters A, B, C and S
    any_length  res5 stays 3-D (1x1x1 and 1x3x3 kernels) and pool5 averages over l, h and w; up
                to 16 frames this is the same function, with the same weights
    numbered    units of res3 and res4 are a, b1, b2... instead of a, b, c...
    units       how many there are in res2, res3, res4 and res5
    width       channels of conv1, 64 as published; all others follow
    scratch     every BN learns and weights start from msra, to train without start weights
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
        units=units,
        width=width,
        scratch=scratch,
    ).text()


def train_val(
    name: str,
    *,
    data: str | None = None,
    batch: int | None = None,
    mirror: bool = True,
    tested: int | None = None,
    **changes: Any,
) -> str:
    """The train_val prototxt of a named net, for the clips in the folder `data`.

    data     holds train.txt, test.txt (lines `path label`) and what they list; None: as `solver`'s
             net has it, "data/<data set>"
    batch    clips at once; None: 8
    mirror   flip half of the clips; not where left and right are different classes
    tested   videos of a test, as for `solver`: few go through in batches that count each once
    changes  as for `prototxt`
    """
    known = entry(name)
    folder = data or f"data/{known.dataset}{'-flow' * known.flow}"
    chosen = _options(name, batch=BATCH if batch is None else batch, **changes)
    tested_at_once = training.test_batch(chosen.batch, tested)
    feed = Feed(folder.rstrip("/"), chosen.batch, tested_at_once, mirror)
    return known.build_training(chosen, feed).text()


def solver(
    name: str,
    *,
    folder: str | None = None,
    batch: int | None = None,
    trained: int | None = None,
    tested: int | None = None,
) -> str:
    """The solver prototxt for the train_val.prototxt in `folder` (None: where ours is kept).

    batch    clips that the net takes at once; None: 8
    trained  videos of a list of one's own, seen as often as UCF-101's; None: the data set's
    tested   videos of a test; None: as many as the data set's test list has
    """
    folder = (folder or f"prototxt/train/{name}").rstrip("/")
    return training.solver(name, folder, BATCH if batch is None else batch, trained, tested)


def blobs(name: str, **changes: object) -> dict[str, list[Shape]]:
    """Layer name -> shapes of its blobs, in the net's order; same options as `prototxt`."""
    return _net(name, **changes).blobs


def _net(name: str, **changes: object) -> Net:
    return entry(name).build(_options(name, **changes))


def _options(name: str, crop: object = None, **changes: object) -> Any:
    square = (crop, crop) if isinstance(crop, int) else crop
    return options(name, crop=square, **changes)
