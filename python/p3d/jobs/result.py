"""The files of one video, from its first row to their place on the disk."""

from __future__ import annotations

import json
import os
import zipfile
from typing import Any

import numpy as np

from p3d import labels
from p3d.atomic import NewFile, make_folder, replacing, writing
from p3d.error import Error
from p3d.jobs.output import KINDS, Output
from p3d.jobs.rows import RowFile, checksum


class Result:
    """BASE.npy or BASE.npz, and BASE.json, of one video.

    Whatever happens at whatever moment, BASE.json with the checksum of the other file says that
    both are whole (see p3d.jobs.done): it is written first and names a file that is on the disk
    already, but for its renaming.
    """

    def __init__(self, base: str, output: Output, views: int, names: list[str] | None) -> None:
        """`views` is the number of crops of a clip, `names` are those of the classes."""
        self._base, self._output, self._views, self._names = base, output, views, names
        self._place = f"{base}.{output.kind}"
        self._columns: dict[str, _Column] = {}

    def add(self, number: int, row: dict[str, np.ndarray]) -> None:
        """Rows come in order; number 0 starts again."""
        if not self._columns:
            make_folder(os.path.dirname(self._base) or ".")
            for place, blob in enumerate(row):
                part = "" if self._output.kind == "npy" else f".{place}"
                self._columns[blob] = _Column(f"{self._base}{part}.npy", self._output)
        with writing(self._place):
            for blob, values in row.items():
                if number == 0:
                    self._columns[blob].restart()
                self._columns[blob].add(values)

    def finish(self, meta: dict[str, Any]) -> dict[str, Any]:
        """Puts the files where they belong; returns what was written of them."""
        if not self._columns:
            raise Error(f"{meta.get('video')}: has no clips")
        views = self._views if "recipe" in meta else 1
        with writing(self._place):
            shapes = {blob: list(column.finish(views)) for blob, column in self._columns.items()}
        meta = {**meta, "blobs": shapes, "output": self._output.record()}
        if "prob" in self._columns and self._output.top > 0:
            meta["top"] = labels.best(self._columns["prob"].mean(), self._names, self._output.top)
        if self._output.kind == "npy":
            (column,) = self._columns.values()
            new = column.rows.new
        else:
            new = self._npz()
        try:
            with writing(self._place):
                new.sync()
            meta["file"] = checksum(new.file)
            with replacing(f"{self._base}.json", "w") as file:
                file.write(_lines(meta))
            new.commit()
        except BaseException:
            new.abandon()
            raise
        self.abandon()
        self._remove_other_kinds()
        return meta

    def abandon(self) -> None:
        """Leaves nothing that is not in its place."""
        for column in self._columns.values():
            column.rows.abandon()

    def _npz(self) -> NewFile:
        """As np.savez, which cannot store blobs called "file" or "allow_pickle"."""
        new = NewFile(self._place, "w+b")
        try:
            with writing(self._place), zipfile.ZipFile(new.file, "w") as archive:
                for blob, column in self._columns.items():
                    member = zipfile.ZipInfo(f"{blob}.npy")  # without the time: same bytes always
                    with archive.open(member, "w", force_zip64=True) as file:
                        column.rows.copy_to(file)
        except BaseException:
            new.abandon()
            raise
        return new

    def _remove_other_kinds(self) -> None:
        """An .npz beside a new .npy would be features of an earlier recipe."""
        for kind in KINDS:
            if kind != self._output.kind and os.path.exists(f"{self._base}.{kind}"):
                os.unlink(f"{self._base}.{kind}")


class _Column:
    """One blob: its rows, or what pooling leaves of them."""

    def __init__(self, path: str, output: Output) -> None:
        self.rows = RowFile(path)
        self._output = output
        self.restart()

    def restart(self) -> None:
        self.rows.restart()
        self._count = 0
        self._sum: np.ndarray | None = None
        self._max: np.ndarray | None = None

    def add(self, row: np.ndarray) -> None:
        self._count += 1
        if self._sum is None or self._max is None:
            self._sum, self._max = row.astype(np.float64), row.copy()
        else:
            self._sum += row
            np.maximum(self._max, row, out=self._max)
        if self._output.pool == "keep":
            self.rows.add(self._output.numbers(row))

    def mean(self) -> np.ndarray:
        assert self._sum is not None
        return (self._sum / self._count).astype(np.float32)

    def finish(self, views: int) -> tuple[int, ...]:
        """The shape of the array."""
        if self._output.pool == "keep":
            return self.rows.finish((self._count // views, views) if views > 1 else (self._count,))
        pooled = self.mean() if self._output.pool == "avg" else self._max
        assert pooled is not None
        self.rows.add(self._output.numbers(pooled))
        return self.rows.finish(())


def _lines(meta: dict[str, Any]) -> str:
    """One line each: a person reads it too."""
    pairs = [f"  {json.dumps(key)}: {json.dumps(value)}" for key, value in meta.items()]
    return "{\n" + ",\n".join(pairs) + "\n}\n"
