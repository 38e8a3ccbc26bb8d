"""Asking a machine what it has, through its compiler, as the build will."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys

#: Folders of headers that are not on the compiler's own list, for lack of one name everywhere.
_ELSEWHERE = (
    "/usr/include/opencv5",
    "/usr/include/opencv4",
    "/usr/include/hdf5/serial",
    "/usr/local/include/opencv4",
    "/usr/local/cuda/include",
    "/opt/homebrew/include",
)


def output(*command: str, text: str = "") -> str:
    """What a program prints, errors too; "" if it is not there or fails."""
    try:
        done = subprocess.run(
            command,
            input=text,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=60,
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout if done.returncode == 0 else ""


def compiler() -> str:
    """The C++ compiler's name."""
    return os.environ.get("CXX") or shutil.which("g++") or shutil.which("c++") or "c++"


def macros(header: str, *names: str) -> list[str] | None:
    """What macros expand to after a header; None if there is no such header."""
    program = f"#include <{header}>\n" + "".join(f"P3D_IS {name} P3D_END\n" for name in names)
    folders = [f"-I{folder}" for folder in _folders() if os.path.isdir(folder)]
    text = output(compiler(), "-E", "-x", "c++", *folders, "-", text=program)
    if not text:
        return None
    text = re.sub(r"^#.*$", "", text, flags=re.M)  # an expansion may be cut by line markers
    return [value.strip(' \n"') for value in re.findall(r"P3D_IS(.*?)P3D_END", text, re.S)]


def has_header(header: str) -> bool:
    return macros(header) is not None


def has_library(name: str) -> bool:
    """Whether the linker would find lib<name>."""
    found = output(compiler(), f"-print-file-name=lib{name}.so").strip()
    return os.path.isabs(found)


def module(name: str) -> str:
    """The version of a module of the Python that runs this; "" if it has none."""
    code = f"import {name} as m; print('version', getattr(m, '__version__', '?'))"
    match = re.search(r"^version (\S+)", output(sys.executable, "-c", code), re.M)
    return match[1] if match else ""


def version(text: str) -> tuple[int, ...]:
    """3.21.12 as (3, 21, 12); () if there is no number."""
    match = re.search(r"\d+(?:\.\d+)+|\d+", text)
    return tuple(int(part) for part in match[0].split(".")) if match else ()


def _folders() -> list[str]:
    prefixes = [os.environ.get(name) for name in ("CUDA_HOME", "CUDA_PATH", "CUDNN_ROOT")]
    conda = os.environ.get("CONDA_PREFIX")
    return [
        *_ELSEWHERE,
        *(os.path.join(prefix, "include") for prefix in [*prefixes, conda] if prefix),
    ]
