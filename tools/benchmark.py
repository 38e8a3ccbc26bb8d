"""Milliseconds per clip of this engine and of others, same net, same weights, same processor.

    python tools/benchmark.py                              P3D-199, batch 1 and 8, all cores
    python tools/benchmark.py --net p3d63-kinetics --batch 1 --threads 1
    python tools/benchmark.py --systems openvino onnxruntime --rounds 30

Every system's results are compared with this engine's first; one that differs is not timed. Then
all take turns, so that a machine that slows down slows them all: at least ten rounds of several
forwards each, from a clip in memory to copies of the results. "x ours" is the median over the
rounds of a system's time over this engine's.

Systems that are not installed are left out; `pip install onnx onnxruntime openvino torch` has all.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Iterator
from typing import Any

from benchmarking import machine
from benchmarking.systems import SYSTEMS

LEAST_ROUNDS = 10


def main(argv: list[str] | None = None) -> int:
    args = _arguments(argv)
    data: dict[str, Any] = {"machine": machine.describe(), "runs": []}
    for batch in args.batch:
        data["runs"].append(_run(args, batch))
    if args.json:
        print(json.dumps(data, indent=1))
    else:
        print("\n".join(_lines(data)))
    refused = [row for run in data["runs"] for row in run["rows"] if "REFUSED" in row["fault"]]
    return 1 if refused else 0


def _arguments(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--net", default="p3d199-kinetics", metavar="NAME|PROTOTXT")
    parser.add_argument("--weights", metavar="W", help=".caffemodel (default: random weights)")
    parser.add_argument("--batch", type=int, nargs="+", default=[1, 8], metavar="N")
    parser.add_argument("--threads", type=int, metavar="N", help="default: all cores")
    parser.add_argument("--rounds", type=int, default=LEAST_ROUNDS, metavar="N")
    parser.add_argument("--forwards", type=int, default=3, metavar="N", help="per round (3)")
    parser.add_argument(
        "--systems",
        nargs="+",
        choices=[*SYSTEMS, "all"],
        metavar="NAME",
        default=[name for name, system in SYSTEMS.items() if system.usual],
        help=f"all, or some of {', '.join(SYSTEMS)} (default: all but torch's weaker variants)",
    )
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args(argv)
    if args.rounds < LEAST_ROUNDS:
        parser.error(f"--rounds {args.rounds}: fewer than {LEAST_ROUNDS} tell nothing")
    if min([args.forwards, args.threads or 1, *args.batch]) < 1:
        parser.error("--forwards, --threads and --batch are counts, 1 and more")
    if "all" in args.systems:
        args.systems = list(SYSTEMS)
    return args


def _run(args: argparse.Namespace, batch: int) -> dict[str, Any]:
    from benchmarking.files import prepare
    from benchmarking.race import race

    from p3d import _core

    if args.threads:
        _core.set_num_threads(args.threads)
    threads = _core.num_threads()
    with tempfile.TemporaryDirectory(prefix="p3d-benchmark-") as folder:
        _say(f"batch {batch}: files")
        job, work = prepare(args.net, args.weights, batch=batch, threads=threads, folder=folder)
        peak = _core.fma_peak(0.5)
        rows = race(
            [SYSTEMS[name] for name in args.systems],
            job,
            batch=batch,
            rounds=args.rounds,
            forwards=args.forwards,
            say=_say,
        )
        peak = max(peak, _core.fma_peak(0.5))
    return {
        "net": args.net,
        "weights": args.weights or "random",
        "batch": batch,
        "threads": threads,
        "isa": _core.isa(),
        "rounds": args.rounds,
        "forwards": args.forwards,
        "gmac": work.macs / 1e9,
        "peak_gflops": peak,
        "floor_ms": 2e-6 * work.macs / peak,
        "floor_without_padding_ms": 2e-6 * work.macs_without_padding / peak,
        "rows": [row._asdict() for row in rows],
    }


def _say(line: str) -> None:
    print(line, file=sys.stderr)


def _lines(data: dict[str, Any]) -> Iterator[str]:
    yield machine.line(data["machine"])
    if data["machine"]["load"] > machine.BUSY:
        yield f"the machine was busy (load {data['machine']['load']:.1f}): times are too long"
    for run in data["runs"]:
        yield ""
        yield (
            f"{run['net']}, {run['weights']} weights, batch {run['batch']}, {run['threads']} "
            f"threads, {run['rounds']} rounds of {run['forwards']} forwards"
        )
        yield (
            f"{run['gmac']:.3g} GMAC per clip, {run['isa']} peak {run['peak_gflops']:.0f} GFLOP/s: "
            f"direct convolution takes {run['floor_ms']:.3g} ms at least, "
            f"{run['floor_without_padding_ms']:.3g} ms without products with padding"
        )
        yield ""
        yield from _table(run["rows"])


def _table(rows: list[dict[str, Any]]) -> Iterator[str]:
    head = f"{'system':18} {'version':10} {'precision':9} {'ms/clip':>8} {'min':>8} {'x ours':>6}"
    yield f"{head} {'first s':>7} {'MiB':>5} {'differs':>8}"
    for row in rows:
        start = f"{row['system']:18} {row['version']:10} {row['precision']:9}"
        if row["fault"]:
            yield f"{start} {row['fault']}"
            continue
        yield (
            f"{start} {row['ms_per_clip']:8.4g} {row['min_ms']:8.4g} {row['times_ours']:6.2f} "
            f"{row['first_result_s']:7.2f} {row['peak_mib']:5.0f} {row['difference']:8.1e}"
        )


if __name__ == "__main__":
    sys.exit(main())
