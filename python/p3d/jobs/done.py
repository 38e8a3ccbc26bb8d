"""What is complete already: made of this video by this recipe with these weights, and whole."""

from __future__ import annotations

import hashlib
import json
import os
from typing import Any

from p3d.error import Error
from p3d.jobs.output import KINDS, Output
from p3d.jobs.rows import checksum

LAYOUT = 1
"""To be raised when the same recipe would give other numbers, so that old results are redone."""


def made_by(extractor: Any, output: Output) -> str:
    """A digest of all that the numbers of a result depend on, but for the video."""
    parts = {
        "layout": LAYOUT,
        "weights": extractor.about.get("weights_sha256"),
        "net": extractor.about.get("net_sha256"),
        "blobs": list(extractor.blobs),
        "recipe": extractor.recipe.record(),
        "output": output.record(),
        "classes": extractor.labels if "prob" in extractor.blobs else None,
    }
    if extractor.precision != "float32":
        parts["precision"] = extractor.precision
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def stamp(video: str) -> list[int] | None:
    """Size and time of the last change of a video, by which another one of its name is known."""
    try:
        known = os.stat(video)
    except OSError:  # a pattern, or gone
        return None
    return [0 if os.path.isdir(video) else known.st_size, known.st_mtime_ns]


def is_done(base: str, video: str, made: str, kind: str) -> bool:
    """Whether the files of `base` are this video's, by this recipe, and whole.

    A video that is gone since leaves its features valid.
    """
    meta = read_meta(base)
    if meta.get("made_by") != made or meta.get("video") != os.path.abspath(video):
        return False
    if (now := stamp(video)) is not None and now != meta.get("stamp"):
        return False
    try:
        with open(f"{base}.{kind}", "rb") as file:
            return checksum(file) == meta.get("file")
    except OSError:
        return False


def check_free(base: str, video: str) -> None:
    """Error if `base` already has the features of another video, or of an unknown one."""
    if not any(os.path.exists(f"{base}.{kind}") for kind in KINDS):
        return
    owner = read_meta(base).get("video")
    if owner != os.path.abspath(video):
        whose = f"those of {owner}" if owner else "files of unknown origin"
        raise Error(
            f"{video}: its features would overwrite {whose} ({base}.*); "
            "choose another --out, keep folders with --root, or allow it with --overwrite"
        )


def read_meta(base: str) -> dict[str, Any]:
    """What `base`.json says; nothing, if it is no such file."""
    try:
        with open(f"{base}.json", encoding="utf-8") as file:
            meta = json.load(file)
    except (OSError, ValueError):
        return {}
    return meta if isinstance(meta, dict) else {}
