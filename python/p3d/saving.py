"""Features as files: one .npy or .npz per video, and a .json that says where they come from."""

from __future__ import annotations

import json
import os
import zipfile
from collections.abc import Mapping
from typing import IO, Any

import numpy as np

from p3d.atomic import replacing
from p3d.error import Error


def save(
    base: str, features: Mapping[str, np.ndarray], meta: dict[str, Any], kind: str | None = None
) -> str:
    """Writes `base`.npy (one blob) or `base`.npz (several, by name) and `base`.json.

    `kind` ("npy" or "npz") asks for one of them. Each file is written whole or not at all, the
    .json last. Returns the path of the features.
    """
    kind = kind or ("npy" if len(features) == 1 else "npz")
    if kind == "npy" and len(features) > 1:
        raise Error(f"a .npy file holds one blob, not {len(features)}: use --format npz")
    os.makedirs(os.path.dirname(base) or ".", exist_ok=True)
    path = f"{base}.{kind}"
    with replacing(path) as file:
        if kind == "npy":
            np.save(file, next(iter(features.values())), allow_pickle=False)
        else:
            _write_npz(file, features)
    with replacing(f"{base}.json", "w") as file:
        pairs = [f"  {json.dumps(key)}: {json.dumps(value)}" for key, value in meta.items()]
        file.write("{\n" + ",\n".join(pairs) + "\n}\n")  # one line each: a person reads it too
    return path


def _write_npz(file: IO[bytes], features: Mapping[str, np.ndarray]) -> None:
    """As np.savez, which cannot store blobs called "file" or "allow_pickle"."""
    with zipfile.ZipFile(file, "w") as archive:
        for name, array in features.items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                np.lib.format.write_array(member, array, allow_pickle=False)
