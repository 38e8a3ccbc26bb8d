"""Verifies the CUDA kernels on the GPU of this machine: one command, one table.

    python tools/gpu_check.py                    builds, tests against the CPU, measures
    python tools/gpu_check.py --json FILE        and writes all figures, with what they are of
    python tools/gpu_check.py --caffe TREE       and has the layers tested in a Caffe with CUDA

Kernels are compared with the CPU's and timed, then the engine's tests run on the GPU, then nets.
P3D-199 then takes turns with torch, where that can be imported with CUDA; what is asked of it
stands beside each figure, as "met", "missed" or, where not all could be compared, "open", and a
profile below those that were missed. A target that was missed is no failure. What does not fit in
ten minutes is left out, and says so.

Needs an NVIDIA GPU with its driver, nvcc 12.8 or newer (on the PATH, or PyPI's), a C++ compiler and
caffe-p3d with what its tests need (`pip install '.[test]'`) in the Python that runs this; says what
is missing otherwise.
TREE is a source tree of Caffe. A copy of it gets our layers (plug_into_caffe.py --modernize) and
is built with CUDA, and with cuDNN where that is installed. That takes the libraries that a Caffe
needs, and some minutes more than the ten.

Exit codes: 0 all passed, 1 something failed, 2 something is missing, nothing was verified.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarking import gpu_targets
from gpu_checking import in_caffe
from gpu_checking.comparisons import check_targets
from gpu_checking.in_caffe import check_caffe
from gpu_checking.kernels import check_kernels
from gpu_checking.machine import capability, gpu_name, what_is_missing
from gpu_checking.nets import check_nets, choose, device_query
from gpu_checking.running import ROOT, Row, run
from gpu_checking.videos import check_extraction, check_training

NETS = (("p3d63-kinetics", 8), ("p3d199-kinetics", 1), ("p3d199-kinetics", 8))
NET = "p3d199-kinetics"
SECONDS = 540  # for all


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--caffe",
        type=Path,
        metavar="TREE",
        help="a source tree of Caffe, for the layers' own tests",
    )
    parser.add_argument("--num", type=int, default=8, metavar="N", help="clips to measure with (8)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures there")
    args = parser.parse_args(argv)
    began = time.monotonic()
    missing = what_is_missing()
    if missing:
        print(f"gpu_check: nothing was verified: {'; '.join(missing)}", file=sys.stderr)
        return 2
    figures: dict[str, Any] = {"gpu": gpu_name(), "commit": _commit(), "comparisons": []}
    print(figures["gpu"])
    with tempfile.TemporaryDirectory() as work:
        rows = _check(Path(work), args.num)
        if rows[0].passed:
            library = Path(work) / "libp3d_cuda.so"
            figures["device_query"] = device_query(library)
            rows += [choose(library, NET, precision) for precision in ("bf16", "tf32")]
            rows.append(check_extraction(library, NET, figures, began + SECONDS))
            rows.append(check_training(library, NET, figures, began + SECONDS))
            rows += check_targets(library, NET, gpu_targets.TARGETS, figures, began + SECONDS)
        tree = args.caffe
        rows.append(check_caffe(tree, Path(work), capability()) if tree else in_caffe.NOT_RUN)
    if args.json:
        write_figures(args.json, figures, rows)
    width = max(len(row.what) for row in rows)
    for row in rows:
        print(f"{row.what:{width}}  {'ok    ' if row.passed else 'FAILED'}  {row.result}")
    return 0 if all(row.passed for row in rows) else 1


def _check(work: Path, num: int) -> list[Row]:
    options = ["-DP3D_CUDA=ON", "-DCMAKE_CUDA_ARCHITECTURES=native", "-DP3D_PYTHON=OFF"]
    error = run(["cmake", "-S", ROOT, "-B", work, *options])
    error = error or run(["cmake", "--build", work, "--target", "p3d_cuda", "--parallel"])
    if error:
        return [Row("p3d_cuda", False, error)]
    return [*check_kernels(work, num), *check_nets(work / "libp3d_cuda.so", NETS)]


def write_figures(path: Path, figures: dict[str, Any], rows: Sequence[Row]) -> None:
    """All that was measured, with all rows."""
    data = {**figures, "rows": [row._asdict() for row in rows]}
    path.write_text(json.dumps(data, indent=1) + "\n")


def _commit() -> str:
    command = ["git", "-C", str(ROOT), "describe", "--always", "--dirty"]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


if __name__ == "__main__":
    sys.exit(main())
