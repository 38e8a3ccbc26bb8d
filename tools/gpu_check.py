"""Verifies the CUDA kernels on the GPU of this machine: one command, one table.

    python tools/gpu_check.py                    builds, tests against the CPU, measures
    python tools/gpu_check.py --json FILE        and writes all figures, with what they are of
    python tools/gpu_check.py --only targets     P3D-199 against torch alone
    python tools/gpu_check.py --caffe TREE       and has the layers tested in a Caffe with CUDA

Kernels are compared with the CPU's and timed, then the engine's tests run on the GPU, then nets.
P3D-199 then takes turns with torch, where that can be imported with CUDA; what is asked of it
stands beside each figure, as "met", "missed" or, where not all could be compared, "open", and a
profile below those that were missed. A target that was missed is no failure. At last videos become
features and updates. What does not fit in ten minutes is left out, and says so: with --build, which
keeps what was compiled, --only goes on there. torch keeps what it compiled by itself.

Needs an NVIDIA GPU with its driver, nvcc 12.8 or newer (on the PATH, or PyPI's), cmake, a C++
compiler and caffe-p3d in the Python that runs this, for the tests with what those need
(`pip install '.[test]'`); says what is missing otherwise.
TREE is a source tree of Caffe. A copy of it gets our layers (plug_into_caffe.py --modernize) and
is built with CUDA, and with cuDNN where that is installed. That takes the libraries that a Caffe
needs, and some minutes more than the ten.

Exit codes: 0 all passed, 1 something failed, 2 something is missing, nothing was verified.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
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
PARTS = ("tests", "targets", "videos")
SECONDS = 540  # for all
WIDTH = 32  # of the table's first column


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
    parser.add_argument("--only", nargs="+", choices=PARTS, default=PARTS, help="parts (all)")
    parser.add_argument("--build", type=Path, metavar="FOLDER", help="build there, and keep it")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures there")
    args = parser.parse_args(argv)
    began = time.monotonic()
    missing = what_is_missing(tests="tests" in args.only)
    if missing:
        print(f"gpu_check: nothing was verified: {'; '.join(missing)}", file=sys.stderr)
        return 2
    figures: dict[str, Any] = {"gpu": gpu_name(), "commit": _commit(), "comparisons": []}
    print(figures["gpu"])
    rows = []
    with ExitStack() as stack:
        work = args.build or Path(stack.enter_context(tempfile.TemporaryDirectory()))
        for row in _check(work, args, figures, began + SECONDS):
            rows.append(row)
            verdict = "ok    " if row.passed else "FAILED"
            print(f"{row.what:{WIDTH}}  {verdict}  {row.result}", flush=True)
            if args.json:
                write_figures(args.json, figures, rows)
    return 0 if all(row.passed for row in rows) else 1


def _check(
    work: Path, args: argparse.Namespace, figures: dict[str, Any], deadline: float
) -> Iterator[Row]:
    """One after the other, so that they stand there even if something goes on for ever."""
    library = work / "libp3d_cuda.so"
    built = _build(work)
    yield built
    if built.passed:
        figures["device_query"] = device_query(library)
        if "tests" in args.only:
            yield from check_kernels(work, args.num)
            yield from check_nets(library, NETS)
        if "targets" in args.only:
            yield choose(library, NET, "bf16")
            yield choose(library, NET, "tf32")
            yield from check_targets(library, NET, gpu_targets.TARGETS, figures, deadline)
        if "videos" in args.only:
            yield check_extraction(library, NET, figures, deadline)
            yield check_training(library, NET, figures, deadline)
    tree = args.caffe
    yield check_caffe(tree, work, capability()) if tree else in_caffe.NOT_RUN


def _build(work: Path) -> Row:
    options = ["-DP3D_CUDA=ON", "-DCMAKE_CUDA_ARCHITECTURES=native", "-DP3D_PYTHON=OFF"]
    jobs = str(os.cpu_count())  # without a number make starts all at once
    start = time.monotonic()
    error = run(["cmake", "-S", ROOT, "-B", work, *options])
    error = error or run(["cmake", "--build", work, "--target", "p3d_cuda", "--parallel", jobs])
    took = f"compiled in {time.monotonic() - start:.0f} s"
    return Row("p3d_cuda", not error, error or took)


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
