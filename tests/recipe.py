"""The inputs and weights that the golden data was made with (see golden/README.md)."""

from __future__ import annotations

import re
import zlib
from pathlib import Path

import numpy as np

Array = np.ndarray

GOLDEN = Path(__file__).parent / "golden"


def golden(case: str) -> dict[str, Array]:
    """The arrays of golden/<case>.npz."""
    with np.load(GOLDEN / f"{case}.npz") as file:
        return dict(file)


def rng_for(key: str) -> np.random.Generator:
    return np.random.Generator(np.random.PCG64(zlib.crc32(key.encode())))


def crc32(array: Array) -> int:
    return zlib.crc32(np.ascontiguousarray(array).tobytes())


def fill_params(name: str, index: int, shape: tuple[int, ...], scaled: bool = True) -> Array:
    """Blob `index` of layer `name`: BN (1, C), inner product (O, I), bias (C,), else convolution.

    `scaled` keeps deep nets in range by the slopes of bn_conv1, bn*_branch2c and bn*_branch1.
    """
    rng = rng_for(f"{name}/{index}")
    if len(shape) == 2 and shape[0] == 1 and not name.startswith("fc"):
        value = _bn(rng, name, index, shape, scaled)
    elif len(shape) == 1:
        value = rng.normal(0.0, 0.1, shape)
    elif len(shape) == 2:
        value = rng.normal(0.0, 0.01, shape)
    else:
        value = rng.normal(0.0, np.sqrt(2.0 / np.prod(shape[1:])), shape)
    return np.ascontiguousarray(value, dtype=np.float32)


def _bn(rng: np.random.Generator, name: str, index: int, shape: tuple[int, ...], scaled: bool):
    if index == 3:
        return rng.uniform(0.5, 1.5, shape)
    if index != 0:
        return rng.normal(0.0, 0.1, shape)
    factors = {r"bn_conv1": 0.02, r"bn\w+_branch2c": 0.2, r"bn\w+_branch1": 0.4}
    factor = next((f for rx, f in factors.items() if re.fullmatch(rx, name)), 1.0)
    return rng.uniform(0.8, 1.2, shape) * (factor if scaled else 1.0)


def normal_input(key: str, shape: tuple[int, ...], std: float = 1.0) -> Array:
    return rng_for(key).normal(0.0, std, shape).astype(np.float32)


def waves_input(shape: tuple[int, ...]) -> Array:
    """A smooth moving clip (N, C, L, H, W) of amplitude 90 plus N(0, 10)."""
    _, channels, *axes = shape
    t, y, x = np.meshgrid(*map(np.arange, axes), indexing="ij")
    speeds = [(3, 2, 20), (-5, 1, 33), (2, 7, -12)][:channels]
    waves = [90 * np.sin(2 * np.pi * (x * fx + y * fy + t * ft) / 160.0) for fx, fy, ft in speeds]
    noise = rng_for("p3d199/waves").normal(0.0, 10.0, shape)
    return (np.stack(waves)[None] + noise).astype(np.float32)
