"""Puts NVIDIA's compiler for CUDA, as PyPI has it, into a folder and prints where nvcc is.

    python tools/fetch_nvcc.py build/cuda

Nothing is fetched where that folder has it already, or this Python's packages do. CMakeLists.txt
and the tests do this where no nvcc is on the PATH.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Sequence
from pathlib import Path

COMPILER = (
    "nvidia-cuda-nvcc==13.5.37",
    "nvidia-nvvm==13.5.37",
    "nvidia-cuda-crt==13.5.37",
    "nvidia-cuda-runtime==13.5.37",
    "nvidia-cuda-cccl==13.3.5.0.6",  # what cuda_fp16.h includes
)

NEEDED = (
    "nvvm/bin/cicc",
    "lib*/libcudart_static.a",
    "include/cuda_fp16.h",
    "include/crt/host_config.h",
    "include/**/nv/target",
)


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    args = parser.parse_args(argv)
    try:
        print(installed() or nvcc(args.folder))
    except RuntimeError as error:
        print(f"fetch_nvcc: {error}", file=sys.stderr)
        return 1
    return 0


def nvcc(folder: Path) -> Path:
    """The compiler in the folder, fetched into it if need be. Raises RuntimeError if pip cannot."""
    fetch(COMPILER, folder)
    compiler = next(folder.glob("nvidia/*/bin/nvcc"))
    for program in [*compiler.parent.iterdir(), *compiler.parents[1].glob("nvvm/bin/*")]:
        program.chmod(0o755)  # which zip files do not say
    return compiler


def installed() -> Path | None:
    """The nvcc of this Python's packages, where all that it needs is there too."""
    for base in sys.path:
        for compiler in Path(base or ".").glob("nvidia/*/bin/nvcc"):
            root = compiler.parents[1]
            if all(any(root.glob(name)) for name in NEEDED):
                return compiler
    return None


def fetch(requirements: Sequence[str], folder: Path, part: str = "") -> None:
    """Unpacks wheels into a folder, of each those files that have `part` in their path.

    A folder that exists is left as it is: it appears when all is in it. Raises RuntimeError with
    what pip says where it gets none.
    """
    if folder.exists():
        return
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent) as work:
        # While pip builds a package, $PYTHONPATH hides pip itself.
        pip = [sys.executable, "-E", "-m", "pip", "download", "--quiet", "--no-deps", "--retries=1"]
        command = [*pip, "--only-binary=:all:", "--dest", work, *requirements]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            why = (done.stderr.strip().splitlines() or ["it says nothing"])[-1]
            raise RuntimeError(f"pip cannot fetch {', '.join(requirements)}: {why}")
        unpacked = Path(work, "unpacked")
        for wheel in Path(work).glob("*.whl"):
            with zipfile.ZipFile(wheel) as archive:
                names = [name for name in archive.namelist() if part in name]
                archive.extractall(unpacked, names)
        if not folder.exists():
            unpacked.rename(folder)


if __name__ == "__main__":
    sys.exit(main())
