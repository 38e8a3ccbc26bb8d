"""--check: what this machine has to build a tree with, what would fail, and the cure."""

from __future__ import annotations

import os
import re
import shutil
import sys
import sysconfig
from typing import Callable, NamedTuple

from .modernize import EDITS
from .probe import compiler, has_header, has_library, macros, module, output, version
from .tree import Tree


class Finding(NamedTuple):
    """One line of the report."""

    name: str
    found: str  # the version, or "missing"
    fault: str = ""  # what would fail
    cure: str = ""
    cmake: str = ""  # options that a build on this machine needs
    config: str = ""  # the same for Makefile.config


def check(tree: Tree) -> int:
    """Prints the report. Returns 1 if a build would fail as things are, else 0."""
    findings = [probe(tree) for probe in _PROBES]
    for finding in findings:
        print(f"{finding.name:14}  {finding.found:32}  {'FAILS' if finding.fault else 'ok'}")
        if finding.fault:
            print(f"{'':14}  {finding.fault}\n{'':14}  -> {finding.cure}")
    print("\nOptions that suit this machine:")
    print("  cmake .. " + " ".join(f.cmake for f in findings if f.cmake))
    print("or in Makefile.config\n  " + "\n  ".join(f.config for f in findings if f.config))
    faults = sum(bool(finding.fault) for finding in findings)
    print(f"\n{faults or 'Nothing'} would fail.")
    return 1 if faults else 0


def _needs(tree: Tree, *ids: str) -> bool:
    """Whether one of these repairs would change the tree."""
    return any(
        change(tree.text(name)) != tree.text(name)
        for edit in EDITS
        if edit.id in ids
        for name, change in edit.changes_in(tree)
    )


def _missing(name: str, package: str, **options: str) -> Finding:
    """Something that is not there but need not be, if there are options to do without."""
    if options:
        return Finding(name, f"missing ({package})", **options)
    return Finding(name, "missing", f"{name} is needed", f"apt install {package}")


def _compiler(tree: Tree) -> Finding:
    found = output(compiler(), "--version").split("\n")[0]
    number = re.search(r"\d+\.\d+\.\d+", re.sub(r"\(.*?\)", "", found))
    text = f"{os.path.basename(compiler())} {number[0] if number else ''}"
    if not found:
        return _missing("C++ compiler", "g++")
    if "clang" not in found and version(number[0] if number else "") < (7,):
        fault = "the kernels are C++14 with vector intrinsics: gcc 7 or newer"
        return Finding("C++ compiler", text, fault, "apt install a newer g++, then CXX=g++-<n>")
    return Finding("C++ compiler", text)


def _cmake(tree: Tree) -> Finding:
    found = version(output("cmake", "--version"))
    if not found:
        return Finding("CMake", "missing (make needs none)")
    text = ".".join(map(str, found))
    if found >= (4,) and _needs(tree, "cmake-minimum"):
        fault = "CMake 4 rejects projects that ask for less than 3.5"
        return Finding("CMake", text, fault, "--modernize (cmake-minimum)")
    return Finding("CMake", text)


def _protobuf(tree: Tree) -> Finding:
    value = macros("google/protobuf/stubs/common.h", "GOOGLE_PROTOBUF_VERSION")
    protoc = output("protoc", "--version").strip().split(" ")[-1]
    if not value or not protoc:
        return _missing("protobuf", "libprotobuf-dev protobuf-compiler")
    number = int(re.sub(r"\D", "", value[0]) or 0)
    headers = (number // 1000000, number // 1000 % 1000, number % 1000)
    text = "{}.{}.{}, protoc {}".format(*headers, protoc)
    if headers[1] != version(protoc)[-2 if len(version(protoc)) > 2 else 0]:
        fault = "protoc and the headers are of different versions"
        return Finding("protobuf", text, fault, "put the protoc of the headers first in PATH")
    if headers >= (3, 18) and _needs(tree, "protobuf-bytes-limit"):
        fault = "SetTotalBytesLimit takes one argument"
        return Finding("protobuf", text, fault, "--modernize (protobuf-bytes-limit)")
    if headers >= (4,):
        fault = "with abseil inside it is untested, and CMake's module does not link abseil"
        return Finding("protobuf", text, fault, "use protobuf 3.21")
    return Finding("protobuf", text)


def _boost(tree: Tree) -> Finding:
    value = macros("boost/version.hpp", "BOOST_LIB_VERSION")
    if not value:
        return _missing("Boost", "libboost-thread-dev libboost-filesystem-dev")
    text = value[0].replace("_", ".")
    system = _boost_has("system") or version(text) >= (1, 69)  # headers alone since then
    lacking = [name for name in ("thread", "filesystem") if not _boost_has(name)]
    lacking += [] if system else ["system"]
    if lacking:
        packages = " ".join(f"libboost-{name}-dev" for name in lacking)
        return Finding("Boost", text, f"{', '.join(lacking)} missing", f"apt install {packages}")
    if not _boost_has("system") and _needs(tree, "boost-system"):
        fault = "Boost.System has no library any more"
        return Finding("Boost", text, fault, "--modernize (boost-system)")
    return Finding("Boost", text)


def _boost_has(name: str) -> bool:
    return has_library(f"boost_{name}") or has_library(f"boost_{name}-mt")


def _blas(tree: Tree) -> Finding:
    if has_library("openblas"):
        return Finding("BLAS", "OpenBLAS", cmake="-DBLAS=Open", config="BLAS := open")
    if has_library("mkl_rt"):
        return Finding("BLAS", "MKL", cmake="-DBLAS=MKL", config="BLAS := mkl")
    if has_library("atlas"):
        return Finding("BLAS", "ATLAS")
    return _missing("BLAS", "libopenblas-dev")


def _library(name: str, header: str, package: str, cmake: str = "", config: str = "") -> Probe:
    options = {"cmake": cmake, "config": config} if cmake else {}

    def probe(tree: Tree) -> Finding:
        return Finding(name, "there") if has_header(header) else _missing(name, package, **options)

    return probe


def _hdf5(tree: Tree) -> Finding:
    if not has_header("hdf5.h"):
        return _missing("HDF5", "libhdf5-dev")
    folder = f"/usr/lib/{output(compiler(), '-print-multiarch').strip()}/hdf5/serial"
    if not os.path.isdir(folder):
        return Finding("HDF5", "there")
    config = f"INCLUDE_DIRS += /usr/include/hdf5/serial\n  LIBRARY_DIRS += {folder}"
    return Finding("HDF5", "there", config=config)


def _opencv(tree: Tree) -> Finding:
    value = macros("opencv2/core/version.hpp", "CV_VERSION_MAJOR", "CV_VERSION_MINOR")
    if not value:
        off = {"cmake": "-DUSE_OPENCV=OFF", "config": "USE_OPENCV := 0"}
        return _missing("OpenCV", "libopencv-dev", **off)
    text = ".".join(value)
    if version(text) >= (4,) and _needs(tree, "opencv-constants"):
        fault = "CV_LOAD_IMAGE_* are gone"
        return Finding("OpenCV", text, fault, "--modernize (opencv-constants), or USE_OPENCV off")
    return Finding("OpenCV", text, config="OPENCV_VERSION := 3\n  USE_PKG_CONFIG := 1")


def _cuda(tree: Tree) -> Finding:
    off = {"cmake": "-DCPU_ONLY=ON", "config": "CPU_ONLY := 1"}
    nvcc = shutil.which("nvcc") or "/usr/local/cuda/bin/nvcc"
    match = re.search(r"release ([\d.]+)", output(nvcc, "--version"))
    if match is None:
        return Finding("CUDA", "missing", **off)
    lacking = [header for header in ("cublas_v2.h", "curand.h") if not has_header(header)]
    if lacking:
        return Finding("CUDA", f"{match[1]} without {', '.join(lacking)}: not usable", **off)
    if version(match[1]) >= (13,) and _needs(tree, "cuda-device-properties"):
        fault = "cudaDeviceProp has no clockRate"
        return Finding("CUDA", match[1], fault, "--modernize (cuda-device-properties)")
    if version(match[1]) >= (9,) and _needs(tree, "cuda-architectures"):
        fault = "nvcc knows no compute_20 any more"
        return Finding("CUDA", match[1], fault, "--modernize (cuda-architectures)")
    return Finding("CUDA", match[1])


def _cudnn(tree: Tree) -> Finding:
    names = ("CUDNN_MAJOR", "CUDNN_MINOR")
    value = macros("cudnn_version.h", *names) or macros("cudnn.h", *names)
    if not value:
        return Finding("cuDNN", "missing (P3D needs none)", cmake="-DUSE_CUDNN=OFF")
    text = ".".join(value)
    cure = "--modernize, or USE_CUDNN off"
    if version(text) >= (8,) and _needs(tree, "cudnn-entry-points", "cudnn-version"):
        return Finding("cuDNN", text, "cudnnGetConvolution*Algorithm are gone", cure)
    if version(text) >= (6,) and _needs(tree, "cudnn-data-type"):
        return Finding("cuDNN", text, "cudnnSetConvolution2dDescriptor takes one more value", cure)
    return Finding("cuDNN", text)


def _python(tree: Tree) -> Finding:
    number = "{}.{}.{}".format(*sys.version_info)
    options = {"cmake": f"-Dpython_version=3 -DPYTHON_EXECUTABLE={sys.executable}"}
    include = sysconfig.get_paths()["include"]
    if not os.path.exists(os.path.join(include, "Python.h")):
        return Finding("Python", number, f"no Python.h in {include}", "apt install python3-dev")
    digits = "{}{}".format(*sys.version_info)
    name = f"boost_python{digits}"
    if not has_library(name) and not has_library("boost_python3"):
        fault = f"lib{name} is missing: pycaffe is bound with Boost.Python of the same Python"
        cure = "apt install libboost-python-dev, and run this with the system's Python"
        return Finding("Python", number, fault, cure, **options)
    if has_library(name) and _needs(tree, "boost-python"):
        fault = f"CMake looks for Boost's python-py{digits}, which is called {name} now"
        return Finding("Python", number, fault, "--modernize (boost-python)", **options)
    if sys.version_info >= (3, 14) and _needs(tree, "pycaffe-import-array"):
        fault = "pycaffe imports NumPy after it needs it, and crashes at its own import"
        return Finding("Python", number, fault, "--modernize (pycaffe-import-array)", **options)
    return Finding("Python", number, **options)


def _modules(tree: Tree) -> Finding:
    names = {"numpy": "numpy", "google.protobuf": "protobuf", "six": "six", "skimage": ""}
    found = {name: module(name) for name in names}
    text = f"NumPy {found['numpy'] or '-'}, protobuf {found['google.protobuf'] or '-'}"
    lacking = [package or "scikit-image" for name, package in names.items() if not found[name]]
    if lacking:
        fault = f"pycaffe imports {', '.join(lacking)}"
        return Finding("Python modules", text, fault, f"pip install {' '.join(lacking)}")
    protoc = version(output("protoc", "--version"))
    if protoc and protoc[:2] < (3, 19) and version(found["google.protobuf"]) >= (4,):
        fault = "protobuf 4 for Python rejects what a protoc before 3.19 writes"
        return Finding("Python modules", text, fault, "pip install 'protobuf<3.21'")
    if _needs(tree, "pycaffe"):
        fault = "caffe.io uses names that scikit-image and NumPy have dropped"
        return Finding("Python modules", text, fault, "--modernize (pycaffe)")
    return Finding("Python modules", text)


Probe = Callable[[Tree], Finding]
_PROBES: list[Probe] = [
    _compiler,
    _cmake,
    _protobuf,
    _boost,
    _blas,
    _library("glog", "glog/logging.h", "libgoogle-glog-dev"),
    _library("gflags", "gflags/gflags.h", "libgflags-dev"),
    _hdf5,
    _opencv,
    _library("LevelDB", "leveldb/db.h", "libleveldb-dev", "-DUSE_LEVELDB=OFF", "USE_LEVELDB := 0"),
    _library("LMDB", "lmdb.h", "liblmdb-dev", "-DUSE_LMDB=OFF", "USE_LMDB := 0"),
    _cuda,
    _cudnn,
    _python,
    _modules,
]
