"""The kinds of solvers: which rule of the engine each one is, and with which numbers."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

from p3d.error import Error

Numbers = dict[str, float]


class Kind(NamedTuple):
    """A `type` of solver.

    rule: the engine's rule (see layers/kernels/update.hpp).
    numbers: its arguments from (SolverParameter, rate, updates so far).
    """

    rule: str
    numbers: Callable[[Any, float, int], Numbers]


def numbers(kind: str, param: Any, rate: float, updates: int) -> Numbers:
    """The arguments of Updater.apply, for an lr_mult and decay_mult of 1."""
    decayed = {} if kind == "AdamW" else {"decay": param.weight_decay}
    return {**KINDS[kind].numbers(param, rate, updates), **decayed}


def check(kind: str, param: Any, origin: str) -> None:
    """Raises Error for what a solver of this type cannot use."""
    if kind in ("AdaGrad", "RMSProp") and param.momentum:
        raise Error(f"{origin}: {kind} has no momentum; leave out momentum: {param.momentum:g}")
    if param.dampening and kind != "SGD":
        raise Error(f"{origin}: dampening is for the solver type SGD, not {kind}")
    for name in ("momentum", "momentum2", "rms_decay", "dampening"):
        if not 0 <= getattr(param, name) < 1:
            raise Error(
                f"{origin}: {name} is {getattr(param, name):g}; it has to be from 0 to below 1"
            )
    if param.delta < 0:
        raise Error(f"{origin}: delta is {param.delta:g}; it has to be 0 or more")
    if param.regularization_type not in ("L1", "L2"):
        raise Error(
            f"{origin}: there is no regularization_type '{param.regularization_type}'; there are "
            "L1 and L2"
        )


def _sgd(param: Any, rate: float, updates: int) -> Numbers:
    taken = 1 - param.dampening if updates else 1
    return {"gain": rate * taken, "momentum": param.momentum}


def _nesterov(param: Any, rate: float, updates: int) -> Numbers:
    return {"gain": rate, "momentum": param.momentum}


def _adagrad(param: Any, rate: float, updates: int) -> Numbers:
    return {"gain": rate, "delta": param.delta}


def _rmsprop(param: Any, rate: float, updates: int) -> Numbers:
    return {"gain": rate, "decay2": param.rms_decay, "delta": param.delta}


def _adadelta(param: Any, rate: float, updates: int) -> Numbers:
    return {"gain": rate, "momentum": param.momentum, "delta": param.delta}


def _adam(param: Any, rate: float, updates: int) -> Numbers:
    first, second = 1 - param.momentum ** (updates + 1), 1 - param.momentum2 ** (updates + 1)
    return {
        "gain": rate * math.sqrt(second) / first,
        "momentum": param.momentum,
        "decay2": param.momentum2,
        "delta": param.delta,
    }


def _adamw(param: Any, rate: float, updates: int) -> Numbers:
    return {**_adam(param, rate, updates), "shrink": rate * param.weight_decay}


KINDS = {
    "SGD": Kind("SGD", _sgd),
    "Nesterov": Kind("Nesterov", _nesterov),
    "AdaGrad": Kind("AdaGrad", _adagrad),
    "RMSProp": Kind("RMSProp", _rmsprop),
    "AdaDelta": Kind("AdaDelta", _adadelta),
    "Adam": Kind("Adam", _adam),
    "AdamW": Kind("Adam", _adamw),
}
