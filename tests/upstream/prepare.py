"""Builds real Caffe with our layers, for the tests in this folder.

    python tests/upstream/prepare.py             says which packages are missing
    python tests/upstream/prepare.py --install   installs them (root)
    python tests/upstream/prepare.py --packages  installs them and builds nothing

Takes four minutes and 0.7 GB the first time, seconds later. Without it the tests are skipped.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from pathlib import Path

sys.path.append(str(Path(__file__).parents[1]))  # what all rooms of tests share: pytest has it

import apt_source
import real_caffe


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--install", action="store_true", help="install missing packages (root)")
    parser.add_argument("--packages", action="store_true", help="install them, build nothing")
    arguments = parser.parse_args()
    try:
        if arguments.install or arguments.packages:
            install()
        if not arguments.packages:
            build()
    except apt_source.Unavailable as error:
        print(f"UPSTREAM SKIPPED: {error}")


def install() -> None:
    """Installs packages that are missing. Raises Unavailable where there can be no real Caffe."""
    missing = apt_source.missing_packages()
    if missing:
        if os.geteuid() != 0:
            raise apt_source.Unavailable(f"only root can install {' '.join(missing)}")
        apt_source.install(missing)


def build() -> None:
    """Raises Unavailable where there can be no real Caffe; a build that fails is an error."""
    for name in apt_source.TREES:
        start = time.monotonic()
        with real_caffe.tree(name) as tree:
            print(f"{tree.source}: ready after {time.monotonic() - start:.0f} s", flush=True)


if __name__ == "__main__":
    main()
