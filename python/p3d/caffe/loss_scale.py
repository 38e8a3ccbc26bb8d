"""The factor on a loss that keeps gradients within the range of fp16."""

from __future__ import annotations

import math
from typing import Any

from p3d import _core
from p3d.error import Error

_FIRST, _PATIENCE = 2.0**13, 1000


class LossScale:
    """Grows while all gradients are finite and shrinks when one is not (dynamic loss scaling,
    Micikevicius et al., Mixed Precision Training, ICLR 2018).

    Powers of two, so that it shows in gradients only where they would get lost without it. Stays 1
    unless nets run on a GPU in fp16.
    """

    def __init__(self) -> None:
        self._scale = _FIRST
        self._steps = 0  # since it changed

    @property
    def value(self) -> float:
        """What the loss is multiplied by before the next backward."""
        return self._scale if _is_used() else 1.0

    def accept(self) -> None:
        """A step's gradients were finite."""
        if not _is_used():
            return
        self._steps += 1
        if self._steps == _PATIENCE:
            self._set(2 * self._scale)

    def refuse(self) -> bool:
        """They were not. False where the scale is not the reason."""
        if self.value == 1:
            return False
        self._set(self._scale / 2)
        return True

    def save(self, place: Any) -> None:
        """Into a SolverPlace, where the scale is used."""
        if _is_used():
            place.loss_scale, place.loss_scale_steps = self._scale, self._steps

    def restore(self, place: Any) -> None:
        """From a SolverPlace; one that knows nothing of it changes nothing."""
        if not place.HasField("loss_scale"):
            return
        if not 0 < place.loss_scale < math.inf:
            raise Error(f"a loss_scale of {place.loss_scale} is not possible: the state is damaged")
        self._scale, self._steps = place.loss_scale, place.loss_scale_steps

    def _set(self, scale: float) -> None:
        self._scale, self._steps = scale, 0


def _is_used() -> bool:
    return _core.gpu_mode() and _core.precision() == "fp16"
