"""A hundred thousand damaged caffemodels: each is read or refused, never anything else."""

from __future__ import annotations

from pathlib import Path

import cpp
import fuzzing
import numpy as np
import pytest
import wire

GOLDEN = Path(__file__).parents[1] / "golden"
CASES = 50_000


@pytest.fixture(scope="module")
def seeds(tmp_path_factory) -> list[Path]:
    """Files of every generation and encoding."""
    folder = tmp_path_factory.mktemp("seeds")
    w = np.arange(24, dtype="f4").reshape(2, 3, 2, 2)
    old, dims, values = wire.old_shape(*w.shape), wire.shape(w.shape), w.ravel()
    pieces = wire.floats(values[:20]) + wire.floats(values[20:], packed=False)
    handmade = {
        "v0": wire.v0_layer("a", "conv", old + wire.floats(values), wire.blob(w)),
        "v1": wire.v1_layer("a", 4, old + wire.floats(values, packed=False), wire.blob(w)),
        "pieces": wire.layer("a", "Convolution", dims + pieces + wire.floats(values, number=6)),
        "doubles": wire.layer("a", "Convolution", wire.doubles(values) + dims)
        + wire.layer("b", "BN", dims + wire.doubles(values, packed=False)),
    }
    for name, layers in handmade.items():
        (folder / name).write_bytes(wire.net(layers))
    return [
        GOLDEN / "tiny/tiny_seeded.caffemodel",
        GOLDEN / "solvers/sgd_iter_20.caffemodel",
        *map(folder.joinpath, handmade),
    ]


def test_damaged_caffemodels(seeds):
    program = cpp.sanitized("fuzz") / "fuzz_caffemodel"
    fuzzing.check(
        lambda first, count: cpp.run(program, first, count, *seeds),
        CASES,
        f"{program} CASE 1 {' '.join(map(str, seeds))}",
    )


def test_the_sanitizers_are_awake(seeds):
    done = cpp.run(cpp.sanitized("fuzz") / "fuzz_caffemodel", "overrun", 1, *seeds)
    assert done.returncode != 0
    assert "heap-buffer-overflow" in done.stderr
    assert "failed in case 0" in done.stderr
