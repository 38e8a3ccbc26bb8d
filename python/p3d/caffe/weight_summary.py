"""What is in a weight file: checksums, statistics of every blob, the net that it fits."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from typing import Any

import numpy as np

from p3d import models
from p3d.error import Error

from .trained_on import trained_on
from .weight_file import WeightFile, open_weights

# Checksums that people have reported of files as their authors published them.
PUBLISHED_MD5 = {
    "9f28383e1d1f09df8f7a78831c3fc202": "p3d_resnet_sports1m_iter_150000.caffemodel",
}

_CHUNK = 1 << 22


def summarize_weights(path: str | os.PathLike[str]) -> dict[str, Any]:
    """The contents of a .caffemodel or .caffemodel.h5 file as plain data.

    file, bytes, format, name    of the file and of the net in it
    md5, sha256, published       `published` says what is known about the md5, or is None
    fits                         the known net that has these weights, or None; then `nearest`
                                 and `differences` say what is next to it
    trained_on                   crop and length of the clips of a snapshot's data layer, or None
    layers                       name, type and blobs (shape, count, sum, min, max of each)
    values                       how many there are in all
    problems                     sentences about what is not as it should be
    """
    with open_weights(path) as file:
        problems: list[str] = []
        layers = [_layer(file, i, problems) for i in range(len(file.layers))]
        shapes = [
            (name, [shape for shape in blobs if shape is not None])
            for name, _, blobs in file.layers
        ]
        return {
            "file": os.fspath(path),
            "bytes": os.path.getsize(path),
            "format": file.format,
            "name": getattr(file, "name", ""),
            **_checksums(path),
            **_fits(shapes),
            "trained_on": trained_on(path),
            "layers": layers,
            "values": sum(blob["count"] for layer in layers for blob in layer["blobs"]),
            "problems": problems,
        }


def _layer(file: WeightFile, index: int, problems: list[str]) -> dict[str, Any]:
    name, type_, shapes = file.layers[index]
    blobs = []
    for j, shape in enumerate(shapes):
        if shape is None:
            continue
        blob: dict[str, Any] = {"index": j, "shape": list(shape), "count": 0}
        try:
            blob |= _statistics(file.read(index, j))
        except Error as error:
            problems.append(str(error))
        if blob.get("not_finite"):
            problems.append(
                f"layer '{name}', blob {j}: {blob['not_finite']} of {blob['count']} values are "
                "NaN or infinite"
            )
        blobs.append(blob)
    return {"name": name, "type": type_, "blobs": blobs}


def _statistics(values: np.ndarray) -> dict[str, Any]:
    """Of the finite values; `not_finite` counts the others."""
    finite = values
    if not np.isfinite(values).all():
        finite = values[np.isfinite(values)]
    return {
        "count": values.size,
        "sum": float(finite.sum(dtype=np.float64)),
        "min": float(finite.min()) if finite.size else None,
        "max": float(finite.max()) if finite.size else None,
        "not_finite": values.size - finite.size,
    }


def _checksums(path: str | os.PathLike[str]) -> dict[str, str | None]:
    md5, sha256 = hashlib.md5(usedforsecurity=False), hashlib.sha256()
    for chunk in _chunks(path):
        md5.update(chunk)
        sha256.update(chunk)
    return {
        "md5": md5.hexdigest(),
        "sha256": sha256.hexdigest(),
        "published": _published(os.path.basename(path), md5.hexdigest()),
    }


def _chunks(path: str | os.PathLike[str]) -> Iterator[bytes]:
    with open(path, "rb") as file:
        while chunk := file.read(_CHUNK):
            yield chunk


def _published(name: str, md5: str) -> str | None:
    if md5 in PUBLISHED_MD5:
        return f"this is {PUBLISHED_MD5[md5]} as it was published"
    for known, published in PUBLISHED_MD5.items():
        if name == published:
            return f"has this name, but the published file has the md5 {known}"
    return None


def _fits(layers: list[tuple[str, list[tuple[int, ...]]]]) -> dict[str, Any]:
    fit = models.fit(layers)
    if fit:
        known = {"net": str(fit), "model": fit.name, "modality": fit.modality, **fit.options()}
        return {"fits": known, "nearest": None, "differences": []}
    name, differences = models.nearest(layers)
    return {"fits": None, "nearest": name, "differences": differences}
