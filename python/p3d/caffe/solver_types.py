"""The types of solvers, and which of them a prototxt names."""

from __future__ import annotations

from typing import Any

from p3d.caffe import solver_file
from p3d.caffe.solver import Solver
from p3d.error import Error
from p3d.wording import did_you_mean


class SGDSolver(Solver):
    """Stochastic gradient descent with momentum, and dampening if the solver has one."""


class NesterovSolver(Solver):
    """Nesterov's accelerated gradient."""

    type = "Nesterov"


class AdaGradSolver(Solver):
    """AdaGrad."""

    type = "AdaGrad"


class RMSPropSolver(Solver):
    """RMSProp."""

    type = "RMSProp"


class AdaDeltaSolver(Solver):
    """AdaDelta."""

    type = "AdaDelta"


class AdamSolver(Solver):
    """Adam."""

    type = "Adam"


class AdamWSolver(Solver):
    """Adam with the weight decay beside the gradient, not in it."""

    type = "AdamW"


_CLASSES = {
    made.type: made
    for made in (
        SGDSolver,
        NesterovSolver,
        AdaGradSolver,
        RMSPropSolver,
        AdaDeltaSolver,
        AdamSolver,
        AdamWSolver,
    )
}


def get_solver(solver: Any) -> Solver:
    """The solver of the type that its prototxt names."""
    param, origin = solver_file.load(solver)
    if param.type not in _CLASSES:
        hint = did_you_mean(param.type, _CLASSES) or f"; there are {', '.join(_CLASSES)}"
        raise Error(f"{origin}: there is no solver type '{param.type}'{hint}")
    return _CLASSES[param.type](solver)
