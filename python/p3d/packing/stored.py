"""Results of `p3d extract` on disk."""

from __future__ import annotations

import os
import zipfile
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import numpy as np

from p3d.error import Error
from p3d.jobs.done import read_meta


class Stored(NamedTuple):
    """One result: its name below the folder, BASE of its files, what BASE.json says."""

    name: str
    base: str
    meta: dict[str, Any]

    def arrays(self) -> dict[str, np.ndarray]:
        """Blob -> array."""
        blobs = list(self.meta["blobs"])
        try:
            if os.path.exists(f"{self.base}.npz"):
                with open(f"{self.base}.npz", "rb") as file:
                    stored = np.load(file, allow_pickle=False)
                    return {blob: stored[blob] for blob in blobs}
            return {blobs[0]: np.load(f"{self.base}.npy", allow_pickle=False)}
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
            raise Error(f"{self.base}: damaged ({error}); run p3d extract once more") from error

    def scores(self) -> np.ndarray:
        """Blob "prob", averaged over clips and crops: (classes,)."""
        arrays = self.arrays()
        if "prob" not in arrays:
            raise Error(f"{self.base}: has no classes; extract with --blobs pool5,prob")
        prob = arrays["prob"].astype(np.float32)
        mean: np.ndarray = prob.reshape(-1, prob.shape[-1]).mean(axis=0)
        return mean


def utf8(name: str) -> str:
    """A name of a file as text; bytes in it that are no UTF-8 are written out, \\xff."""
    return os.fsencode(name).decode("utf-8", "backslashreplace")


def one(path: str) -> Stored:
    """The result that a person names by one of its files, or without a suffix."""
    base, suffix = os.path.splitext(path)
    base = base if suffix in (".npy", ".npz", ".json") else path
    meta = read_meta(base)
    if "blobs" not in meta:
        there = os.path.exists(f"{base}.json")
        why = f"{base}.json " + ("does not belong to one" if there else "is not there")
        why = "it is a folder: name a file in it" if os.path.isdir(path) else why
        raise Error(f"{path}: no result of p3d extract ({why})")
    return Stored(os.path.basename(base), base, meta)


def results(paths: Iterable[str]) -> Iterator[Stored]:
    """All results in folders and below, and those that are named, in order."""
    for path in paths:
        if not os.path.isdir(path):
            yield one(path)
            continue
        for current, folders, files in os.walk(path):
            folders.sort()
            for file in sorted(files):
                base = os.path.join(current, file[: -len(".json")])
                if file.endswith(".json") and "blobs" in (meta := read_meta(base)):
                    yield Stored(os.path.relpath(base, path), base, meta)
