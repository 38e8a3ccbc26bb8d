"""Which Caffe runs the nets of this process.

    embedded   the engine of this package, the default
    upstream   the `import caffe` of a real Caffe that our layers were built into

`use`, or else the environment variable P3D_BACKEND, chooses; the first thing of p3d.caffe that
needs the choice, such as p3d.caffe.Net, settles it. $P3D_DEVICE ("cuda:0") then is where nets run
until somebody says otherwise (default: the processor).
"""

from __future__ import annotations

import importlib
import os
from types import ModuleType

from p3d.error import Error

_MODULES = {"embedded": "p3d.caffe.embedded", "upstream": "p3d.caffe.upstream"}

# The choice that was made by `use`, and the module it led to: one entry each at most.
_chosen: list[str] = []
_settled: list[tuple[str, ModuleType]] = []


def use(name: str) -> None:
    """Runs all nets of this process on "embedded" or "upstream".

    Has to come before anything that depends on it. Raises Error if it comes too late, or if there
    is no Caffe that can be imported and has our layers.
    """
    choose(name)
    interface()


def choose(name: str) -> None:
    """As `use`, but nothing is imported before a net is made."""
    _check(name)
    if _settled and _settled[0][0] != name:
        raise Error(
            f"nets run on the backend {_settled[0][0]} in this process already: call "
            f"p3d.caffe.use('{name}') before anything else of p3d.caffe, or set P3D_BACKEND={name}"
        )
    _chosen[:] = [name]


def current() -> str:
    """The backend that is in use, or will be."""
    if _settled:
        return _settled[0][0]
    name = _chosen[0] if _chosen else os.environ.get("P3D_BACKEND") or "embedded"
    _check(name)
    return name


def is_settled() -> bool:
    """Whether anything has needed the choice yet."""
    return bool(_settled)


def interface() -> ModuleType:
    """The module with pycaffe's Net, Layer, Timer and functions. Settles the choice.

    Its Net is pycaffe's and beyond that takes the text of a prototxt or a NetParameter for a file,
    takes `relax_reshape` and `origin`, loads weights by the rules of p3d.caffe.weights, and has

        name, param       the net's name; the NetParameter that runs, splits inserted
        planned           whether several layers run as one step
        run_by_layer()    from here on they do not
        profile()         one forward: per step its layers, type, kernel, macs and ms

    and the module has, beyond pycaffe's functions, `describe()`: one line on what runs the nets.
    """
    if not _settled:
        name = current()
        _settled.append((name, importlib.import_module(_MODULES[name])))
        try:
            if device := os.environ.get("P3D_DEVICE"):
                set_device(device)
            if precision := os.environ.get("P3D_PRECISION"):
                set_precision(precision)
        except Error:
            _settled.clear()
            raise
    return _settled[0][1]


def set_num_threads(count: int) -> None:
    """The number of threads that nets run with; for upstream only before it is imported."""
    if current() == "embedded":
        from p3d import _core

        _core.set_num_threads(count)
        return
    if _settled and os.environ.get("P3D_NUM_THREADS") != str(count):
        raise Error(
            "a real Caffe takes its number of threads when it is imported: set P3D_NUM_THREADS "
            "and OPENBLAS_NUM_THREADS before"
        )
    for library in ("P3D", "OPENBLAS", "MKL", "OMP"):
        os.environ[f"{library}_NUM_THREADS"] = str(count)


def set_device(name: str) -> None:
    """Runs nets on "cpu", "cuda" (the first GPU) or "cuda:N". Settles the backend.

    Raises Error for other names and where that GPU cannot be used, with the cure.
    """
    from p3d import gpu

    index = gpu.parse(name)
    if index is None:
        interface().set_mode_cpu()
    elif current() == "embedded":
        gpu.use(index)
        gpu.run(True)
    else:
        interface().set_device(index)
        interface().set_mode_gpu()


def set_precision(name: str) -> None:
    """How nets compute (see p3d.gpu.set_precision). Settles the backend.

    Raises Error for a precision that does not exist or that the backend does not have.
    """
    if hasattr(interface(), "set_precision"):
        interface().set_precision(name)
    elif name != "float32":
        raise Error(f"a real Caffe computes in float32, not in {name}; take the backend 'embedded'")


def _check(name: str) -> None:
    if name not in _MODULES:
        raise Error(f"there is no backend '{name}'; there are {', '.join(_MODULES)}")
