"""What is written of a video: which form, numbers of which kind."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from p3d.error import Error

KINDS = ("npy", "npz")
POOLS = ("keep", "avg", "max")


@dataclass(frozen=True)
class Output:
    """The options of an output.

    kind  "npy", one blob a file, or "npz", several by name
    pool  "keep" keeps a row per clip (and crop); "avg" and "max" leave one array per video
    l2    every array that is left is divided by its Euclidean length
    half  float16 instead of float32
    top   how many classes are noted, where blob "prob" is extracted
    """

    kind: str = "npy"
    pool: str = "keep"
    l2: bool = False
    half: bool = False
    top: int = 5

    def __post_init__(self) -> None:
        if self.kind not in KINDS or self.pool not in POOLS:
            raise Error(f"outputs are {' or '.join(KINDS)}, pooled by {', '.join(POOLS)}")
        if self.top < 0:
            raise Error(f"{self.top} classes of each video cannot be noted: take 0 or more")

    def numbers(self, row: np.ndarray) -> np.ndarray:
        """One array as it is written."""
        if self.l2:
            length = float(np.sqrt(np.square(row, dtype=np.float64).sum()))
            row = (row / length if length > 0 else row).astype(np.float32)
        if not self.half:
            return row.astype(np.float32, copy=False)
        with np.errstate(over="ignore"):
            small = row.astype(np.float16)
        if np.isinf(small).any() and not np.isinf(row).any():
            raise Error(
                f"values up to {np.abs(row).max():.4g} do not fit into float16: leave --float16 "
                "away, or scale them with --l2"
            )
        return small

    def record(self) -> dict[str, Any]:
        """What tells one output from another, ready for JSON."""
        return asdict(self)
