"""Which net a weights file belongs to, from names and shapes alone.

Weights of one net come in several dresses: BN blobs as (1, C), (C,) or (1, C, 1, 1), inner products
in four axes, a fine-tuned last layer of another name and size, res5 in 2-D or 3-D. Kinds A, B and C
have the same weights; a file that also lists its layers without weights, as Caffe's snapshots do,
tells A from the others.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from p3d.models.registry import ENTRIES, entry, options

Shape = tuple[int, ...]
Shapes = dict[str, list[Shape]]


@dataclass(frozen=True)
class Fit:
    """A known net and what the weights change about it.

    `head` and `classes` are the last layer's name and size; `head` is None where the file ends
    before it (features only; `classes` then is the published number). `labels` names the list that
    ships with the package, if one belongs to the head.
    """

    name: str
    head: str | None
    classes: int
    kinds: str
    any_length: bool
    numbered: bool
    flow: bool
    labels: str | None

    @property
    def modality(self) -> str:
        return "flow" if self.flow else "frame"

    def options(self) -> dict[str, Any]:
        """Keyword arguments for `prototxt`."""
        return {
            "classes": self.classes,
            "head": self.head,
            "kinds": self.kinds,
            "any_length": self.any_length,
            "numbered": self.numbered,
        }

    def __str__(self) -> str:
        known = entry(self.name).defaults
        changed = []
        if self.head is None:
            changed.append("without a last layer")
        elif (self.head, self.classes) != (known.head, known.classes):
            changed.append(f"{self.classes} classes in {self.head!r}")
        if self.kinds != known.kinds:
            changed.append(f"kinds {self.kinds}")
        if self.any_length:
            changed.append("any length")
        if self.numbered != known.numbered:
            changed.append("units numbered" if self.numbered else "units lettered")
        return f"{self.name} ({', '.join(changed)})" if changed else self.name


Layers = Iterable[tuple[str, Sequence[Sequence[int] | None]]]


def fit(layers: Layers) -> Fit | None:
    """The known net that has exactly these weights, or None.

    layers: (layer name, blob shapes) in the order of the file; layers without blobs may be there.
    """
    found = _read(layers)
    for name in _likely(found):
        for numbered in _numberings(name):
            head = _head(found, name, numbered)
            if not _differences(found, _expected(name, numbered), head):
                return _fit(found, name, numbered, head)
    return None


def nearest(layers: Layers) -> tuple[str, list[str]]:
    """The known net with the fewest differences, and those differences, one line each."""
    found = _read(layers)
    candidates = []
    for name in _likely(found):
        for numbered in _numberings(name):
            head = _head(found, name, numbered)
            candidates.append((name, _differences(found, _expected(name, numbered), head)))
    return min(candidates, key=lambda c: len(c[1]))


def _fit(found: Shapes, name: str, numbered: bool, head: str | None) -> Fit:
    known = entry(name)
    classes = _matrix(found[head][0])[0] if head else known.defaults.classes
    own = (head, classes) == (known.defaults.head, known.defaults.classes)
    return Fit(
        name=name,
        head=head,
        classes=classes,
        kinds=_kinds(found, name, numbered),
        any_length=len(found["res5a_branch1"][0]) == 5,
        numbered=numbered,
        flow=known.flow,
        labels=known.labels if own else None,
    )


def _read(layers: Layers) -> Shapes:
    """A shape of None, a blob that a file does not store, is no shape that fits."""
    return {name: [tuple(map(int, s or ())) for s in shapes] for name, shapes in layers}


def _likely(found: Shapes) -> list[str]:
    """All nets, those first whose own last layer is in the file."""
    return sorted(ENTRIES, key=lambda name: entry(name).defaults.head not in found)


def _numberings(name: str) -> tuple[bool, bool]:
    usual = entry(name).defaults.numbered
    return usual, not usual


@cache
def _expected(name: str, numbered: bool) -> Shapes:
    return entry(name).build(options(name, numbered=numbered)).blobs


def _head(found: Shapes, name: str, numbered: bool) -> str | None:
    """The last layer: the published one if it is there, else the only stranger that could be it."""
    published: str = entry(name).defaults.head
    if found.get(published):
        return published
    expected = _expected(name, numbered)
    features = expected[published][0][1]
    strangers = [
        layer
        for layer, shapes in found.items()
        if layer not in expected and shapes and _matrix(shapes[0])[1:] == (features,)
    ]
    return strangers[0] if len(strangers) == 1 else None


def _differences(found: Shapes, expected: Shapes, head: str | None) -> list[str]:
    """What keeps the weights from being this net; the last layer may have any size."""
    *trunk, published = expected
    lines = [f"{name!r} is missing" for name in trunk if not found.get(name)]
    for name in trunk:
        got, want = found.get(name, []), expected[name]
        if got and not _alike(got, want):
            lines.append(f"{name!r} has blobs {_show(got)}, expected {_show(want)}")
    if head and _matrix(found[head][0])[1:] != (expected[published][0][1],):
        lines.append(f"{head!r} has blobs {_show(found[head])}")
    lines += [
        f"{name!r} is not part of it"
        for name, shapes in found.items()
        if shapes and name not in expected and name != head
    ]
    return lines


def _alike(got: list[Shape], want: list[Shape]) -> bool:
    return len(got) == len(want) and all(map(_same, got, want))


def _same(got: Shape, want: Shape) -> bool:
    """Equal but for axes of extent 1 where Caffe files are known to differ."""
    if len(want) < 4:  # BN
        return tuple(d for d in got if d != 1) == tuple(d for d in want if d != 1)
    return _flat_kernel(got) == _flat_kernel(want)


def _flat_kernel(shape: Shape) -> Shape:
    """(O, I, 1, k, k) as the 2-D (O, I, k, k) that it is."""
    return shape[:2] + shape[3:] if len(shape) == 5 and shape[2] == 1 else shape


def _matrix(shape: Shape) -> Shape:
    """Legacy files give an inner product four axes: (1, 1, O, I)."""
    return shape[2:] if len(shape) == 4 and shape[:2] == (1, 1) else shape


def _show(shapes: list[Shape]) -> str:
    return " ".join("x".join(map(str, shape)) for shape in shapes)


def _kinds(found: Shapes, name: str, numbered: bool) -> str:
    """The published cycle unless the file's layers without weights speak for another one."""
    published: str = entry(name).defaults.kinds
    serial = [layer for layer in found if layer.endswith("_branch2b_t_relu")]
    summed = [layer for layer in found if layer.endswith("_branch2b_st")]
    if not serial and not summed:
        return published
    for kinds in (published, "A", "B"):
        text = entry(name).build(options(name, kinds=kinds, numbered=numbered)).text()
        if all(f'"{layer}"' in text for layer in serial + summed):
            return kinds
    return published
