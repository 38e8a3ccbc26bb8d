"""The loss that a solver shows, and that a rate may follow: the mean over the last iterations."""

from __future__ import annotations

from typing import Any


class SmoothedLoss:
    """The mean over `average_loss` iterations, or as many as there were.

    param: SolverParameter.
    """

    def __init__(self, param: Any) -> None:
        self._param = param
        self._losses: dict[int, float] = {}  # by iteration

    def add(self, iteration: int, loss: float) -> float:
        """The mean with the loss of this iteration, which may be told again."""
        self._losses[iteration] = loss
        for old in [i for i in self._losses if i <= iteration - self._param.average_loss]:
            del self._losses[old]
        return sum(self._losses.values()) / len(self._losses)

    def save(self, place: Any, iteration: int) -> None:
        """Into a SolverPlace, those before this iteration."""
        place.loss.extend(loss for i, loss in self._losses.items() if i < iteration)

    def restore(self, place: Any, iteration: int) -> None:
        """From a SolverPlace of this iteration."""
        self._losses = dict(enumerate(place.loss, iteration - len(place.loss)))
