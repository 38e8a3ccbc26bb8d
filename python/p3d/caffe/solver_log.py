"""A solver's lines in the log, in the words of upstream's, which people's parsers know.

Numbers are written as C++ streams write them: six digits.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

log = logging.getLogger("p3d")


def outputs(net: Any) -> Iterator[tuple[str, float, np.ndarray]]:
    """(name, loss weight, values) of the net's outputs."""
    weights = net.blob_loss_weights
    for name in net.outputs:
        yield name, weights[name], net.blobs[name].data.ravel().copy()


def progress(iteration: int, per_second: float, seconds: float, display: int, loss: float) -> None:
    """Iteration 20 (5.1 iter/s, 3.9s/20 iters), loss = 0.69"""
    log.info(
        "Iteration %d (%g iter/s, %gs/%d iters), loss = %g",
        iteration,
        per_second,
        seconds,
        display,
        loss,
    )


def scores(kind: str, results: Iterable[tuple[str, float, np.ndarray]]) -> None:
    """Train net output #0: loss = 0.69 (* 1 = 0.69 loss)"""
    lines = [(name, w, value) for name, w, values in results for value in values.tolist()]
    for number, (name, weight, value) in enumerate(lines):
        loss = f" (* {weight:g} = {weight * value:g} loss)" if weight else ""
        log.info("    %s net output #%d: %s = %g%s", kind, number, name, value, loss)
