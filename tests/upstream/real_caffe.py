"""Real Caffe with our layers plugged in: built once, and again for what changes.

    with tree("debian") as caffe:        or "pristine"
        caffe.python                     for PYTHONPATH
        caffe.test_binary                upstream's unit tests for the touched parts, and ours

Everything lies in a cache outside of the checkout. A tree that is built for these very plug-in
files costs nothing; otherwise the files that differ are exchanged in a tree that stays where it is,
and make does the rest. A lock keeps others from changing a tree while it is in use.
"""

from __future__ import annotations

import contextlib
import fcntl
import filecmp
import hashlib
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import apt_source
from apt_source import Unavailable
from file_lock import locked

ROOT = Path(__file__).parents[2]
TOOL = ROOT / "tools" / "plug_into_caffe.py"
PYTHON = "/usr/bin/python3"  # the one that Debian's Boost.Python is for

# Upstream's tests of what the plug-in touches or stands next to; ours.
UPSTREAM_TESTS = ("layer_factory", "net", "convolution_layer", "pooling_layer", "batch_norm_layer")
_OURS = ROOT / "layers/caffe/src/caffe"
OUR_TESTS = tuple(sorted(path.stem.removeprefix("test_") for path in _OURS.glob("test/*.cpp")))
TARGETS = ("caffe", "pycaffe", "caffe.bin", "test.testbin")

# Upstream's files are compiled together, for their headers take the compiler most of its time. Ours
# and those that our tool edits stay alone, and one does whose tanh others would take for their own.
_TOGETHER = """
file(GLOB alone p3d/*.cpp {ours} common.cpp layer_factory.cpp util/io.cpp
     layers/window_data_layer.cpp layers/lstm_unit_layer.cpp)
set_source_files_properties(${{alone}} PROPERTIES SKIP_UNITY_BUILD_INCLUSION ON)
set_target_properties(caffe PROPERTIES UNITY_BUILD ON UNITY_BUILD_BATCH_SIZE 24)
# No tree's own folder in what is compiled: ccache takes the other's.
target_compile_options(caffe PRIVATE -fmacro-prefix-map=${{CMAKE_SOURCE_DIR}}/=)
"""

_OPTIONS = {
    "CMAKE_BUILD_TYPE": "Release",
    "CPU_ONLY": "ON",
    "USE_OPENCV": "OFF",
    "USE_LEVELDB": "OFF",
    "USE_LMDB": "OFF",
    "BLAS": "Open",
    "BUILD_docs": "OFF",
    "python_version": "3",
    "PYTHON_EXECUTABLE": PYTHON,
}


class Tree(NamedTuple):
    """A Caffe tree with our layers, built."""

    name: str
    source: Path
    build: Path

    @property
    def python(self) -> Path:
        return self.source / "python"

    @property
    def test_binary(self) -> Path:
        return self.build / "test" / "test.testbin"


def cache() -> Path:
    """Where sources and trees are kept: P3D_UPSTREAM_CACHE, or below the user's cache folder."""
    if os.environ.get("P3D_UPSTREAM_CACHE"):
        return Path(os.environ["P3D_UPSTREAM_CACHE"]).absolute()
    home = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    return Path(home) / "caffe-p3d" / "upstream"


def is_prepared() -> bool:
    """Whether somebody agreed to having real Caffe here: its source is in the cache."""
    return (cache() / "source").exists()


@contextlib.contextmanager
def tree(name: str) -> Iterator[Tree]:
    """The tree `name`, brought up to date first. Raises Unavailable where that is not possible."""
    missing = apt_source.missing_packages()
    if missing:
        raise Unavailable(f"these packages are missing: apt-get install {' '.join(missing)}")
    with locked(cache() / "source.lock"):
        apt_source.fetch(cache() / "source")
    home = cache() / name
    made = Tree(name, home / "caffe", home / "build")
    key = _key(name)
    with locked(home / "lock", fcntl.LOCK_SH) as lock:
        while not _has(home / "built", key):  # again: another may come in where a lock changes
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not _has(home / "built", key):
                _bring_up_to_date(made)
                (home / "built").write_text(key)
            fcntl.flock(lock, fcntl.LOCK_SH)
        yield made


def _has(path: Path, text: str) -> bool:
    return path.exists() and path.read_text() == text


def _key(name: str) -> str:
    """Changes with everything that a built tree is made from."""
    digest = hashlib.sha256(f"{name} {_OPTIONS} {UPSTREAM_TESTS} {OUR_TESTS}{_TOGETHER}".encode())
    for command in (["c++", "--version"], [PYTHON, "--version"]):
        digest.update(subprocess.run(command, capture_output=True, check=True).stdout)
    folders = ("layers/caffe", "layers/kernels", "tools/plugging")
    files = [path for folder in folders for path in sorted((ROOT / folder).rglob("*"))]
    for path in [TOOL, *files]:
        if path.is_file() and path.suffix != ".pyc":
            digest.update(f"{path.relative_to(ROOT)}\0".encode() + path.read_bytes())
    return digest.hexdigest()


# --------------------------------------------------------------- building


def _bring_up_to_date(made: Tree) -> None:
    home = made.source.parent
    (home / "built").unlink(missing_ok=True)
    staging = home / "staging"
    shutil.rmtree(staging, ignore_errors=True)
    shutil.copytree(cache() / "source" / made.name, staging, symlinks=True)
    plug_in(staging)
    exchange(staging, made.source, home / "files")
    shutil.rmtree(staging)
    environment = _compiler_cache()
    options = {**_OPTIONS, "BUILD_only_tests": ",".join((*UPSTREAM_TESTS, *OUR_TESTS))}
    definitions = [f"-D{option}={value}" for option, value in options.items()]
    _run(["cmake", "-S", made.source, "-B", made.build, *definitions], home / "log", environment)
    jobs = f"-j{len(os.sched_getaffinity(0))}"
    _run(["make", "-C", made.build, jobs, *TARGETS], home / "log", environment)


def plug_in(folder: Path) -> None:
    """Applies our tool; what --modernize repairs, new toolchains need of both trees."""
    command = [sys.executable, TOOL, folder, "--modernize"]
    _run(command, folder.parent / "log", dict(os.environ))
    ours = " ".join(str(path.relative_to(_OURS)) for path in sorted(_OURS.rglob("*.cpp")))
    with open(folder / "src" / "caffe" / "CMakeLists.txt", "a") as file:
        file.write(_TOGETHER.format(ours=ours))


def exchange(new: Path, into: Path, manifest: Path) -> None:
    """Makes `into` hold the files of `new`. Files of the same content keep their time, for make;
    files that `into` got otherwise stay. `manifest` remembers what came from here."""
    names = sorted(str(p.relative_to(new)) for p in new.rglob("*") if not p.is_dir())
    known = manifest.read_text().splitlines() if manifest.exists() else []
    manifest.write_text("\n".join({*known, *names}))
    for name in set(known) - set(names):
        (into / name).unlink(missing_ok=True)
    for name in names:
        source, target = new / name, into / name
        same = target.exists() and filecmp.cmp(source, target, shallow=False)
        if not same and not source.is_symlink():
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, target)
            shutil.copymode(source, target)
    manifest.write_text("\n".join(names))


def _compiler_cache() -> dict[str, str]:
    """The environment, with ccache where it is at hand."""
    found = dict(os.environ)
    if shutil.which("ccache"):
        found["CMAKE_CXX_COMPILER_LAUNCHER"] = "ccache"
        found["CCACHE_BASEDIR"] = str(cache())  # both trees share what they have in common
        found["CCACHE_NOHASHDIR"] = "1"
    return found


def _run(command: list[str | Path], log: Path, environment: dict[str, str]) -> None:
    """Runs a command with its output in `log`; raises with the end of that if it fails."""
    words = [str(word) for word in command]
    with open(log, "w") as output:
        done = subprocess.run(words, stdout=output, stderr=output, env=environment, close_fds=False)
    if done.returncode:
        lines = log.read_text(errors="replace").splitlines()
        errors = [line for line in lines if re.search(r"\berror\b|\bError\b|\*\*\*", line)]
        shown = "\n".join([*errors[:20], "...", *lines[-20:]])
        raise RuntimeError(f"{' '.join(words)}\nfailed; all of its output is in {log}\n{shown}")
