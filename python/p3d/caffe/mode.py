"""pycaffe's module functions: mode, device, seed, logging, ranks, Timer."""

from __future__ import annotations

import functools
import logging
import operator
import time

from p3d import _core, gpu, nccl
from p3d.error import Error

_logger = logging.getLogger("p3d")
_MOST_SOLVERS = 1024  # somebody waits for each
_ranks = {"count": 1, "rank": 0, "multiprocess": False}


def set_mode_cpu() -> None:
    """Run nets on the processor, as they do unless told otherwise."""
    gpu.run(False)


def set_mode_gpu() -> None:
    """Run nets on the GPU of set_device, or the first.

    Where caffe-p3d was installed without its kernels for GPUs, nets run on the processor and one
    warning says so: scripts run unchanged. Otherwise raises Error if no GPU can be used.
    """
    if _has_gpu():
        gpu.run(True)


def set_precision(name: str) -> None:
    """Choose how nets compute: "float32", "tf32", "bf16" or "fp16" (not in pycaffe).

    On the processor "bf16" alone differs from "float32": see p3d.gpu.set_precision. Raises Error
    for another name.
    """
    gpu.set_precision(name)


def set_device(device: int) -> None:
    """Choose a GPU for set_mode_gpu; as there, only a warning where there are no kernels.

    Raises Error for a GPU that does not exist, and when nets hold values on another one.
    """
    if _has_gpu():
        gpu.use(device)


def _has_gpu() -> bool:
    if gpu.library() is not None:
        return True
    _warn()
    return False


@functools.cache
def _warn() -> None:
    _logger.warning("caffe-p3d was installed without kernels for GPUs: nets run on the CPU")


def set_random_seed(seed: int) -> None:
    """Make fillers, dropout, stochastic pooling and data repeatable from here on."""
    _core.set_random_seed(seed)


def layer_type_list() -> list[str]:
    """The layer types that a prototxt may name."""
    return list(_core.layer_types())


def init_log(level: int = 0, stderr: bool = True) -> None:
    """Send messages from ``level`` on (0 info, 1 warning, 2 error) to standard error."""
    if stderr and not _logger.handlers:
        _logger.addHandler(logging.StreamHandler())
    _logger.setLevel([logging.INFO, logging.WARNING, logging.ERROR][min(max(level, 0), 2)])


def log(message: str) -> None:
    """Write one line to the log at level info."""
    _logger.info(message)


def has_nccl() -> bool:
    """Whether several GPUs can train together: there are kernels for them, and NCCL."""
    try:
        nccl.load()
    except Error:
        return False
    return True


def solver_count() -> int:
    """The number of solvers that train together."""
    return _ranks["count"]


def set_solver_count(count: int) -> None:
    """Set what solver_count returns; raises Error for a number that no machine has."""
    if not 1 <= operator.index(count) <= _MOST_SOLVERS:
        raise Error(f"set_solver_count takes 1 to {_MOST_SOLVERS} solvers, not {count}")
    _ranks["count"] = operator.index(count)


def solver_rank() -> int:
    """This process's place among the solvers, from 0."""
    return _ranks["rank"]


def set_solver_rank(rank: int) -> None:
    """Set what solver_rank returns; raises Error for what is no rank."""
    if not 0 <= operator.index(rank) < _MOST_SOLVERS:
        raise Error(f"set_solver_rank takes 0 to {_MOST_SOLVERS - 1}, not {rank}")
    _ranks["rank"] = operator.index(rank)


def set_multiprocess(multiprocess: bool) -> None:
    """Say whether every solver has a process of its own."""
    _ranks["multiprocess"] = multiprocess


class Timer:
    """A stopwatch: start(), stop(), ms."""

    def __init__(self) -> None:
        self._start = 0.0
        self._spent = 0.0

    def start(self) -> None:
        """Start, from 0."""
        _core.finish()
        self._start = time.perf_counter()

    def stop(self) -> None:
        """Stop; ``ms`` then has the time since start, that of a GPU included."""
        _core.finish()
        self._spent = time.perf_counter() - self._start

    @property
    def ms(self) -> float:
        """Milliseconds between the last start and stop."""
        return self._spent * 1e3
