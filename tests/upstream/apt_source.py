"""The source of real Caffe, as Debian packages it, through apt.

    fetch(folder)    folder/debian   with Debian's patches
                     folder/pristine upstream's own tree of 2018-08-21, as it came

Debian's suite bullseye is the last that has the package. It is looked for on the mirrors that apt
uses here already, with lists of our own, so that those of the machine stay as they are; apt checks
the hashes.
"""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from pathlib import Path

PACKAGE, SUITE = "caffe", "bullseye"
TREES = ("debian", "pristine")

# What building needs, and nothing that is left out of the build (OpenCV, LevelDB, LMDB).
BUILD_PACKAGES = [
    "g++",
    "make",
    "cmake",
    "dpkg-dev",
    "libboost-thread-dev",
    "libboost-filesystem-dev",
    "libboost-python-dev",
    "libgflags-dev",
    "libgoogle-glog-dev",
    "libhdf5-dev",
    "libprotobuf-dev",
    "protobuf-compiler",
    "libopenblas-dev",
    "python3-dev",
    "python3-numpy",
]


class Unavailable(Exception):
    """Why there is no real Caffe on this machine: one line."""


def missing_packages() -> list[str]:
    """Those of BUILD_PACKAGES that are not installed."""
    if shutil.which("apt-get") is None or shutil.which("dpkg-query") is None:
        raise Unavailable("there is no apt on this machine")
    command = ["dpkg-query", "--show", "--showformat=${Package} ${db:Status-Status}\n"]
    found = _run([*command, *BUILD_PACKAGES], check=False).splitlines()
    installed = {line.split()[0] for line in found if line.endswith(" installed")}
    return [package for package in BUILD_PACKAGES if package not in installed]


def install(packages: list[str]) -> None:
    """Installs packages with apt; needs to be root."""
    _run(["apt-get", "update", "-q"])
    _run(["apt-get", "install", "-q", "-y", "--no-install-recommends", *packages])


def fetch(folder: Path) -> None:
    """Makes folder/debian and folder/pristine, whole or not at all; nothing to do if they exist."""
    if folder.exists():
        return
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent) as scratch:
        work = Path(scratch) / "work"
        work.mkdir()
        _download(work)
        (description,) = work.glob("*.dsc")
        ready = Path(scratch) / "ready"
        ready.mkdir()
        unpack = ["dpkg-source", "--no-check"]
        _run([*unpack, "-x", str(description), str(ready / "debian")])
        _run([*unpack, "--skip-patches", "-x", str(description), str(ready / "pristine")])
        shutil.rmtree(ready / "pristine" / "debian")
        ready.rename(folder)


def _download(work: Path) -> None:
    reasons = []
    for mirror in _mirrors():
        try:
            return _download_from(mirror, work)
        except Unavailable as error:
            reasons.append(str(error))
    raise Unavailable(
        f"apt cannot offer the source package {PACKAGE} of {SUITE}: "
        + ("; ".join(reasons) or "it knows no Debian mirror")
    )


def _mirrors() -> list[str]:
    """The Debian archives that apt uses on this machine."""
    form = "$(ORIGIN)|$(LABEL)|$(REPO_URI)"
    lines = _run(["apt-get", "indextargets", "--format", form], check=False).splitlines()
    found = [line.split("|")[2] for line in lines if line.startswith("Debian|Debian|")]
    return list(dict.fromkeys(found))


def _download_from(mirror: str, work: Path) -> None:
    (work / "lists" / "partial").mkdir(parents=True, exist_ok=True)
    (work / "cache" / "archives" / "partial").mkdir(parents=True, exist_ok=True)
    (work / "sources.list").write_text(f"deb-src {mirror} {SUITE} main\n")
    own = {
        "Dir::Etc::sourcelist": work / "sources.list",
        "Dir::Etc::sourceparts": "-",
        "Dir::State::Lists": work / "lists",
        "Dir::Cache": work / "cache",
    }
    options = [word for name, value in own.items() for word in ("-o", f"{name}={value}")]
    _run(["apt-get", *options, "update"], check=False)  # its complaints do not matter
    _run(["apt-get", *options, "source", "--download-only", PACKAGE], cwd=work)


def _run(command: list[str], check: bool = True, cwd: Path | None = None) -> str:
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True)
    if check and done.returncode:
        lines = (done.stderr or done.stdout).strip().splitlines() or ["no message"]
        raise Unavailable(f"{' '.join(command[:2])} failed: {lines[-1]}")
    return done.stdout
