"""The order in which the items of a list are taken, epoch after epoch."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from p3d.data.seeds import generator


class Turn(NamedTuple):
    """An item's turn: the epoch, and the item's number in the list."""

    epoch: int
    item: int


class Order:
    """Position p, counted over all epochs from 0, is item p % count, in every epoch in another
    order if they are shuffled."""

    def __init__(self, count: int, shuffle: bool, seed: int) -> None:
        self.count, self.shuffle, self.seed = count, shuffle, seed
        self._epochs: dict[int, np.ndarray] = {}

    def turn(self, position: int) -> Turn:
        """Whose turn it is at a position."""
        epoch, place = divmod(position, self.count)
        return Turn(epoch, int(self._shuffled(epoch)[place]) if self.shuffle else place)

    def _shuffled(self, epoch: int) -> np.ndarray:
        if epoch not in self._epochs:
            for old in [e for e in self._epochs if abs(e - epoch) > 1]:
                del self._epochs[old]
            self._epochs[epoch] = generator(self.seed, epoch).permutation(self.count)
        return self._epochs[epoch]


def skipped(most: int, seed: int, count: int) -> int:
    """By how many items rand_skip makes a layer start later: less than `most`, and than `count`."""
    return int(generator(seed).integers(min(most, count))) if most else 0
