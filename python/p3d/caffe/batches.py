"""Any number of items through a net, a batch at a time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np

Arrays = dict[str, np.ndarray]


def batches(arrays: Arrays, size: int) -> Iterator[Arrays]:
    """Parts of `size` rows of all arrays; the last is filled up with zeros."""
    count = items(arrays)
    for begin in range(0, count, size):
        missing = max(0, begin + size - count)
        yield {
            name: _with_zeros(np.asarray(array[begin : begin + size]), missing)
            for name, array in arrays.items()
        }


def _with_zeros(rows: np.ndarray, count: int) -> np.ndarray:
    return np.concatenate([rows, np.zeros((count, *rows.shape[1:]), rows.dtype)]) if count else rows


def items(arrays: Arrays) -> int:
    """How many rows the arrays have, by the first of them."""
    return len(next(iter(arrays.values()), ()))


class Rows:
    """Copies of results of batch after batch, by name."""

    def __init__(self) -> None:
        self._rows: dict[str, list[np.ndarray]] = {}

    def add(self, results: Mapping[str, np.ndarray]) -> None:
        """Of one more batch."""
        for name, values in results.items():
            self._rows.setdefault(name, []).extend(values.copy())

    def first(self, count: int) -> Arrays:
        """The first `count` rows, which leaves out what came of zeros."""
        return {name: np.asarray(values)[:count] for name, values in self._rows.items()}
