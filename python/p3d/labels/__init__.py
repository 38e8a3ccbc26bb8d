"""Class names: lists that ship with the package, and a person's own files.

`kinetics400` is in the alphabetical order of the names, the order of the published P3D weights.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from importlib import resources
from pathlib import Path

import numpy as np

from p3d.error import Error

__all__ = ["best", "check_count", "load", "names"]

_MAX_BYTES = 1 << 24


def names() -> list[str]:
    """The lists that ship with the package."""
    files = resources.files(__name__).iterdir()
    return sorted(f.name[: -len(".txt")] for f in files if f.name.endswith(".txt"))


def load(name_or_path: str | os.PathLike[str]) -> list[str]:
    """The class names, in the order of the net's outputs.

    A file holds one name per line in UTF-8; lines may be numbered throughout from 0 or 1, as in
    "1 ApplyEyeMakeup". Empty lines at the end are no names. Errors name the file.
    """
    if str(name_or_path) in names():
        text = resources.files(__name__).joinpath(f"{name_or_path}.txt").read_text("utf-8")
    else:
        text = _read(Path(name_or_path))
    lines = [line.strip() for line in text.rstrip().splitlines()]
    if not any(lines):
        raise Error(f"{name_or_path}: the file of class names is empty")
    return _without_numbers(lines)


def best(scores: np.ndarray, names: Sequence[str] | None, count: int) -> list[tuple[str, float]]:
    """The classes of the highest scores with these, highest first; without names by number."""
    names = names or [f"class {index}" for index in range(scores.size)]
    check_count(names, scores.size)
    order = np.argsort(-scores.ravel(), kind="stable")[:count]
    return [(names[i], float(scores.flat[i])) for i in order]


def check_count(names: Sequence[str], classes: int | None) -> None:
    """Raises Error where the net has another number of classes; None: it has none."""
    if classes not in (None, len(names)):
        raise Error(f"there are {len(names)} class names for {classes} outputs of the net")


def _read(path: Path) -> str:
    if not path.is_file():
        shipped = ", ".join(names())
        raise Error(f"{path}: no such file of class names, and no list of the package ({shipped})")
    with path.open("rb") as file:
        data = file.read(_MAX_BYTES + 1)
    if len(data) > _MAX_BYTES:
        raise Error(f"{path}: too long for class names, one per line ({_MAX_BYTES} bytes at most)")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise Error(f"{path}: not a text file in UTF-8 with one class name per line") from error


def _without_numbers(lines: list[str]) -> list[str]:
    for first in (0, 1):
        pairs = [line.split(maxsplit=1) for line in lines]
        if all(len(p) == 2 and p[0] == str(i) for i, p in enumerate(pairs, first)):
            return [name for _, name in pairs]
    return lines
