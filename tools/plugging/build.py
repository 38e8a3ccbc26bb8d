"""The tree's build: what the copies need of it, and what it cannot do or does to them."""

from __future__ import annotations

import re

from .draft import Draft
from .refusal import Refusal

_TARGETS = "cmake/Targets.cmake"
_DEVICE = "include/caffe/util/device_alternate.hpp"
_CPUS = "include/caffe/util/cpu_info.hpp"
_BUILD_FILES = (
    "Makefile",
    "Makefile.config",
    "Makefile.config.example",
    "CMakeLists.txt",
    "src/caffe/CMakeLists.txt",
)
_STANDARD = re.compile(r"(-std=(?:c|gnu)\+\+|\bCMAKE_(?:CXX|CUDA)_STANDARD\s+)(?:11|0x)\b")


def prepare(draft: Draft) -> None:
    """Has the tree's build compile the copies, and notes what it will not compile.

    Raises Refusal where CMake would miss them.
    """
    _check_cmake(draft)
    _raise_standard(draft)
    _note_other_gpus(draft)
    _note_bound_threads(draft)


def _check_cmake(draft: Draft) -> None:
    text = draft.text(_TARGETS)
    if text and "file(GLOB_RECURSE srcs" not in text:
        raise Refusal(
            f"{_TARGETS} does not collect the sources of all folders under src/caffe "
            "(`file(GLOB_RECURSE srcs ${root}/src/caffe/*.cpp)`), so CMake would miss "
            f"src/caffe/p3d. Merge upstream's {_TARGETS} first."
        )


def _raise_standard(draft: Draft) -> None:
    """The kernels are C++14, and many a tree asks for C++11, which newer protobufs needed."""
    edited = []
    for name in [*_BUILD_FILES, *draft.tree.sources("cmake")]:
        if _STANDARD.search(draft.text(name)):
            draft.edit(name, lambda text: _STANDARD.sub(r"\g<1>14", text))
            edited.append(name)
    if edited:
        draft.notes.append(f"C++14 instead of C++11 in {', '.join(edited)}: the kernels need it")


def _note_other_gpus(draft: Draft) -> None:
    if re.search(r"\bhip_runtime\b|GREENTEA|OPENCL", draft.text(_DEVICE)):
        draft.notes.append(
            "this tree has a GPU half for HIP or OpenCL, and these layers have one for CUDA alone: "
            "build it with CPU_ONLY, other builds do not link"
        )


def _note_bound_threads(draft: Draft) -> None:
    """Intel's Caffe binds its main thread, and the kernels' threads would inherit that."""
    if "OpenMpManager" in draft.text(_CPUS):
        draft.notes.append(
            "this tree binds its main thread to one CPU, which leaves the layers that one: set "
            "OMP_NUM_THREADS to the number of cores when you run it, then it binds none"
        )
