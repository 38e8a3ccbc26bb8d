"""A Python that can import real Caffe, with the oldest versions of packages that p3d takes."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import real_caffe
from apt_source import Unavailable
from file_lock import locked
from real_caffe import Tree

# Caffe's extension is built for Debian's NumPy, and its caffe_pb2 by Debian's protoc.
REQUIREMENTS = [
    "numpy==1.24.*",
    "protobuf==4.21.12",
    "six",
    "scikit-image",
    "opencv-python-headless<4.12",
    "tqdm",
    "pytest>=7.4",
    "h5py",
]


def environment(tree: Tree, *folders: Path, backend: str | None = None) -> dict[str, str]:
    """For processes of `interpreter`: `import caffe` of the tree, and what is in `folders`."""
    found = {k: v for k, v in os.environ.items() if not k.startswith(("P3D_", "GLOG_", "PYTEST_"))}
    found["PYTHONPATH"] = os.pathsep.join(map(str, [*folders, tree.python]))
    if backend is not None:
        found["P3D_BACKEND"] = backend
    return found


def interpreter() -> Path:
    """The Python; made when it is asked for first."""
    form = "import sys; print(*sys.version_info[:2])"
    here, debian = (
        subprocess.run([python, "-c", form], capture_output=True, text=True, check=True).stdout
        for python in (sys.executable, real_caffe.PYTHON)
    )
    if here != debian:
        versions = [".".join(version.split()) for version in (here, debian)]
        raise Unavailable("the tests run in Python {}, real Caffe is for {}".format(*versions))
    home = real_caffe.cache() / f"python-{'.'.join(here.split())}"
    wanted = "\n".join([sys.base_prefix, *REQUIREMENTS])
    with locked(Path(f"{home}.lock")):
        stamp = home / "made-from"
        if not stamp.exists() or stamp.read_text() != wanted:
            shutil.rmtree(home, ignore_errors=True)
            subprocess.run([sys.executable, "-m", "venv", home], check=True)
            pip = [home / "bin" / "python", "-m", "pip", "install", "--quiet"]
            subprocess.run([*pip, *REQUIREMENTS], check=True)
            stamp.write_text(wanted)
    return home / "bin" / "python"
