"""GPUs: which there are, and the one that the embedded engine runs nets on.

The kernels for GPUs are a library beside the package, made by

    pip install . -C cmake.define.P3D_CUDA=ON

or the one that the environment variable P3D_CUDA_LIBRARY names. Convolutions of 16 bits and TF32
may be done by cuDNN or cuBLASLt there, where they are installed (`pip install 'caffe-p3d[cuda]'`);
what was chosen is kept in P3D_CACHE, or else in the user's cache folder.
"""

from __future__ import annotations

import functools
import os
import re
import sys
from dataclasses import dataclass
from pathlib import Path

from p3d import _core
from p3d.error import Error

VARIABLE = "P3D_CUDA_LIBRARY"
NAME = "libp3d_cuda.so"

# The one in use: one entry at most.
_used: list[int] = []


@dataclass(frozen=True)
class Gpu:
    """One GPU: sizes in bytes, GFLOP/s that its float32 multiply-add units can reach."""

    index: int
    name: str
    capability: tuple[int, int]
    memory: int
    free: int
    gflops: float


def library() -> Path | None:
    """The library with the kernels for GPUs, None where this installation has none."""
    given = os.environ.get(VARIABLE)
    path = Path(given) if given else Path(__file__).with_name(NAME)
    return path if given or path.exists() else None


@functools.cache
def load() -> None:
    """Loads that library, once. Raises Error, with the cure, where there is none."""
    path = library()
    if path is None:
        raise Error(
            "this installation of caffe-p3d has no kernels for GPUs: in its checkout, run "
            "`pip install . -C cmake.define.P3D_CUDA=ON`"
        )
    _core.load_gpu(str(path))
    _core.use_conv_libraries(_library_folders(), str(cache()))


def count() -> int:
    """How many GPUs this machine has; asking takes no memory on them."""
    load()
    return _core.gpu_count()


def gpus() -> list[Gpu]:
    """All GPUs of this machine. Raises Error, with the cure, where they cannot be asked."""
    load()
    return [_describe(index) for index in range(_core.gpu_count())]


def software() -> str:
    """What runs on the GPUs: versions of CUDA and of the driver."""
    load()
    return _core.gpu_software()


def libraries() -> str:
    """The versions of cuDNN and cuBLASLt, or why one is missing and what to install."""
    load()
    return _core.conv_libraries()


def choices() -> dict[str, str]:
    """What does the convolutions so far that could be a library's, by the convolution."""
    load()
    lines = (line.split("\t", 1) for line in _core.conv_choices().splitlines())
    return {form: choice for choice, form in lines}


def cache() -> Path:
    """The folder for what is kept from one process to the next."""
    given = os.environ.get("P3D_CACHE")
    if given:
        return Path(given)
    base = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    return Path(base) / "caffe-p3d"


def use(index: int) -> None:
    """Whatever runs on a GPU from now on runs on this one.

    Raises Error where there is no such GPU or the kernels do not fit it, and when nets hold values
    on another one already.
    """
    load()
    _check_precision(precision(), index)
    _core.use_gpu(index)
    _used[:] = [index]


def used() -> int | None:
    """The index of the GPU in use, None before one was chosen."""
    return _used[0] if _used else None


def run(on: bool) -> None:
    """Runs nets on the GPU in use, or the first, from now on; or on the processor again."""
    if on and not _used:
        use(0)
    _core.set_gpu_mode(on)


def set_precision(name: str) -> None:
    """How nets compute from now on.

    float32   without shortcuts: GPUs give the processor's results up to rounding
    tf32      convolutions and inner products take 11 binary digits of floats (TensorFloat-32)
    bf16      values between layers have 16 bits, 8 binary digits (bfloat16)
    fp16      values between layers have 16 bits, 11 binary digits, and end at 65504

    The processor knows float32 and bf16. In phase TEST convolutions, and MAX pooling of what they
    make, take and leave 16 bits, all other layers floats. In phase TRAIN convolutions and their
    gradients round what they multiply; values between layers are floats, but 16 bits where
    convolutions, and sums behind them, alone read them. That pays where the processor multiplies
    bfloat16 (`processor_has_bf16`); elsewhere it takes longer than float32. InnerProduct and
    Deconvolution, tf32 and fp16 are float32 there.

    Sums, weights, their gradients and what solvers do with them are float32 always. Nets that
    share weights and run in several threads have to be at rest meanwhile: the weights are rounded
    for one precision at a time. Raises Error for another name, and for bf16 where the GPU in use
    has no units for it.
    """
    if _used:
        _check_precision(name, _used[0])
    _core.set_precision(name)


def precision() -> str:
    """What set_precision said last, "float32" at first."""
    return _core.precision()


def actual_precision() -> str:
    """What nets compute in now, where they run: "float32" or "bf16", or on a GPU any name that
    set_precision takes."""
    said = precision()
    return said if _core.gpu_mode() or said == "bf16" else "float32"


def processor_has_bf16(isa: str = "") -> bool:
    """Whether this processor multiplies bfloat16 (AVX512_BF16: AMD's from Zen 4 on, Intel's Cooper
    Lake and from Sapphire Rapids on, these as matrices, too: AMX), and the instruction set, by
    default the one in use, lets it."""
    return _core.multiplies_bf16(isa)


def parse(device: str) -> int | None:
    """The index in "cuda:0" or "cuda" (the first); None for "cpu". Raises Error for other text."""
    match = re.fullmatch(r"cpu|cuda(?::(\d+))?", device)
    if match is None:
        raise Error(
            f"there is no device '{device}': it is cpu, cuda or cuda:N with N from 0; p3d train "
            "takes several, cuda:0,1 or cuda:all"
        )
    return None if device == "cpu" else int(match[1] or 0)


def several(device: str) -> list[int]:
    """The GPUs in "cuda:0,1" or "cuda:all", or the one of what `parse` takes; none for "cpu"."""
    if device == "cuda:all":
        return list(range(count()))
    if re.fullmatch(r"cuda:\d+(,\d+)+", device) is None:
        index = parse(device)
        return [] if index is None else [index]
    found = [int(number) for number in device[len("cuda:") :].split(",")]
    if len(set(found)) < len(found):
        raise Error(f"device {device} names a GPU twice")
    return found


def current() -> Gpu:
    """The GPU in use; only after one was chosen."""
    return _describe(_used[0])


def describe() -> str:
    """The GPU in use in words."""
    gpu = current()
    return f"GPU {gpu.index} ({gpu.name}), {precision()}, {software()}"


def _check_precision(name: str, index: int) -> None:
    if name != "bf16":
        return
    gpu = _describe(index)
    if gpu.capability < (8, 0):
        has = ".".join(map(str, gpu.capability))
        raise Error(
            f"bf16 needs a GPU of compute capability 8.0 or newer, GPU {index} ({gpu.name}) has "
            f"{has}; take fp16 or float32"
        )


def _describe(index: int) -> Gpu:
    name, major, minor, memory, free, gflops = _core.describe_gpu(index)
    return Gpu(index, name, (major, minor), memory, free, gflops)


def _library_folders() -> list[str]:
    """Where pip puts NVIDIA's libraries, for every folder that Python imports from."""
    found = (path for base in sys.path for path in Path(base or ".").glob("nvidia/*/lib"))
    return [str(path) for path in found]
