"""The learning rate of a solver, by lr_policy."""

from __future__ import annotations

import copy
import logging
import math
from collections.abc import Callable
from itertools import pairwise
from typing import Any

from p3d.error import Error
from p3d.wording import did_you_mean

log = logging.getLogger("p3d")


class LearningRate:
    """The rate at each iteration.

    param: SolverParameter.
    drops: what SolverState calls current_step: drops so far (step, multistep, plateau).
    minimum_loss, last_event: plateau's: the least loss, and the iteration of that or of the last
    drop.
    """

    def __init__(self, param: Any, origin: str) -> None:
        if param.lr_policy not in _POLICIES:
            hint = did_you_mean(param.lr_policy, _POLICIES) or f"; there are {', '.join(_POLICIES)}"
            raise Error(f"{origin}: there is no lr_policy '{param.lr_policy}'{hint}")
        _check(param, origin)
        self._param = param
        self.drops = 0
        self.minimum_loss = math.inf
        self.last_event = 0

    @property
    def follows_loss(self) -> bool:
        """Whether the rates depend on the losses."""
        return bool(self._param.lr_policy == "plateau")

    def advance(self, iteration: int) -> None:
        """Counts the drops that are due at this iteration."""
        param = self._param
        if param.lr_policy == "step":
            self.drops = self._counted(iteration) // param.stepsize
        elif param.lr_policy == "multistep":
            due = self.drops < len(param.stepvalue) and iteration >= param.stepvalue[self.drops]
            self.drops += due
        elif param.lr_policy == "plateau" and iteration - self.last_event >= self._window():
            self.drops += 1
            self.last_event = iteration

    def note(self, iteration: int, loss: float) -> None:
        """Takes the loss of an iteration into account, before its update."""
        if loss < self.minimum_loss:
            self.minimum_loss, self.last_event = loss, iteration

    def ahead(self, iteration: int) -> float:
        """The rate that an iteration will have, before `advance`; counts nothing."""
        then = copy.copy(self)
        then.advance(iteration)
        return then.at(iteration)

    def at(self, iteration: int) -> float:
        """The rate of an iteration, after `advance`; infinite where it is beyond all numbers."""
        param = self._param
        if iteration < param.warmup_iter:
            share = iteration / param.warmup_iter
            return param.warmup_start_lr + share * (param.base_lr - param.warmup_start_lr)
        try:
            return _POLICIES[param.lr_policy](param, self._counted(iteration), self.drops)
        except ArithmeticError:
            return math.inf

    def save(self, place: Any) -> None:
        """Into a SolverPlace, what SolverState has no field for: plateau's."""
        if math.isfinite(self.minimum_loss):
            place.minimum_loss, place.last_event = self.minimum_loss, self.last_event

    def restore(self, place: Any) -> None:
        """From a SolverPlace; one that knows nothing of it changes nothing."""
        if place.HasField("minimum_loss"):
            self.minimum_loss, self.last_event = place.minimum_loss, place.last_event

    def _window(self) -> float:
        windows = self._param.plateau_winsize
        return windows[self.drops] if self.drops < len(windows) else math.inf

    def _counted(self, iteration: int) -> int:
        return max(0, iteration - self._param.warmup_iter)


def _dropped(param: Any, iteration: int, drops: int) -> float:
    return param.base_lr * param.gamma**drops


def _poly(param: Any, iteration: int, drops: int) -> float:
    left = 1 - iteration / (param.max_iter - param.warmup_iter)
    if not param.power.is_integer():  # of what is negative beyond max_iter: no number
        left = max(left, 0)
    return param.base_lr * left**param.power


def _sigmoid(param: Any, iteration: int, drops: int) -> float:
    exponent = -param.gamma * (iteration - param.stepsize)
    return param.base_lr / (1 + math.exp(min(exponent, 700)))


def _cosine(param: Any, iteration: int, drops: int) -> float:
    share = min(iteration / (param.max_iter - param.warmup_iter), 1)
    return param.min_lr + (param.base_lr - param.min_lr) * (1 + math.cos(math.pi * share)) / 2


# From SolverParameter, the iteration after the warm-up, and the drops.
_POLICIES: dict[str, Callable[[Any, int, int], float]] = {
    "fixed": lambda param, iteration, drops: param.base_lr,
    "step": _dropped,
    "exp": lambda param, iteration, drops: param.base_lr * param.gamma**iteration,
    "inv": lambda param, iteration, drops: (
        param.base_lr * (1 + param.gamma * iteration) ** -param.power
    ),
    "multistep": _dropped,
    "poly": _poly,
    "sigmoid": _sigmoid,
    "plateau": _dropped,
    "cosine": _cosine,
}

_NEEDS_GAMMA = ("step", "exp", "inv", "multistep", "sigmoid", "plateau")


def _check(param: Any, origin: str) -> None:
    policy = param.lr_policy
    if policy in _NEEDS_GAMMA and param.gamma < 0:
        raise Error(f"{origin}: lr_policy '{policy}' needs a gamma of 0 or more, not {param.gamma}")
    if policy in ("step", "sigmoid") and param.stepsize < 1:
        raise Error(f"{origin}: lr_policy '{policy}' needs a stepsize of 1 or more")
    if policy in ("poly", "cosine") and param.max_iter <= param.warmup_iter:
        raise Error(f"{origin}: lr_policy '{policy}' needs a max_iter beyond the warm-up")
    if policy == "plateau" and not param.plateau_winsize:
        raise Error(f"{origin}: lr_policy 'plateau' needs a plateau_winsize for each drop")
    if policy == "plateau" and min(param.plateau_winsize) < 1:
        least = min(param.plateau_winsize)
        raise Error(f"{origin}: plateau_winsize is {least}; it has to be 1 or more")
    if policy == "multistep" and any(b <= a for a, b in pairwise(param.stepvalue)):
        values = ", ".join(map(str, param.stepvalue))
        log.warning(
            "%s: stepvalue is %s, which does not grow: as in Caffe, one that is past already "
            "drops the rate an iteration after the one before",
            origin,
            values,
        )
