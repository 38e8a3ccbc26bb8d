"""Milliseconds per clip of this engine and of others, same net, same weights, same processor.

    python tools/benchmark.py                              P3D-199, batch 1 and 8, all cores
    python tools/benchmark.py --net p3d63-kinetics --batch 1 --threads 1
    python tools/benchmark.py --systems openvino onnxruntime --rounds 30
    python tools/benchmark.py --train                      steps of SGD: P3D-199, batch 1 and 4,
                                                           and P3D-63 with BN training, batch 4
    python tools/benchmark.py --train --net p3d131-kinetics --bn training
    python tools/benchmark.py --device cuda:0 --precision bf16 --batch 64
    PYTHONPATH=caffe/python python tools/benchmark.py --train --upstream python3

Every system's results are compared with this engine's first; one that differs is not timed. Then
all take turns, so that a machine that slows down slows them all: at least ten rounds of several
forwards each, from a clip in memory to copies of the results. "x ours" is the median over the
rounds of a system's time over this engine's.

A step of training goes forward and backward and updates the weights, from clips in memory to the
loss; nothing is dropped. What is compared is the loss of a second step and its update, with
momentum and decay, of every blob of weights.

--device cuda:0 compares with torch on a GPU, the net alone: clips lie there already, and MiB are
the GPU's. Both compute in --precision.

Systems that are not installed are left out; `pip install onnx onnxruntime openvino torch` has all.
--upstream trains in a real Caffe with our layers plugged in: a Python 3.10 or newer that can
`import caffe`, by PYTHONPATH if need be.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import tempfile
from collections.abc import Iterator
from typing import Any, NamedTuple

from benchmarking import gpu_systems, machine
from benchmarking.systems import BF16, OURS, SYSTEMS, System
from benchmarking.training_systems import NUDGED, TRAINING, upstream

LEAST_ROUNDS = 10

NET = "p3d199-kinetics"


class Case(NamedTuple):
    net: str
    batch: int
    bn: str | None = None  # how all BN layers are trained; None: nothing is


FROZEN, LEARNING = "frozen", "training"

TRAINING_CASES = [Case(NET, 1, FROZEN), Case(NET, 4, FROZEN), Case("p3d63-kinetics", 4, LEARNING)]


def main(argv: list[str] | None = None) -> int:
    args = _arguments(argv)
    data: dict[str, Any] = {"machine": machine.describe(), "runs": []}
    for case in _cases(args):
        data["runs"].append(_run(args, case))
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
    parser.add_argument("--net", metavar="NAME|PROTOTXT", help=f"default: {NET}")
    parser.add_argument("--weights", metavar="W", help=".caffemodel (default: random weights)")
    parser.add_argument("--batch", type=int, nargs="+", metavar="N", help="1 8; with --train 1 4")
    parser.add_argument("--threads", type=int, metavar="N", help="default: all cores")
    parser.add_argument("--rounds", type=int, default=LEAST_ROUNDS, metavar="N")
    parser.add_argument(
        "--forwards", type=int, default=3, metavar="N", help="or steps of training, per round (3)"
    )
    parser.add_argument("--train", action="store_true", help="time a training step")
    parser.add_argument("--bn", choices=[FROZEN, LEARNING], help=f"with --train (default {FROZEN})")
    parser.add_argument("--device", metavar="cuda:N", help="run on this GPU (default: the cores)")
    parser.add_argument("--precision", choices=gpu_systems.PRECISIONS, help="on a GPU (float32)")
    parser.add_argument("--upstream", metavar="PYTHON", help="with --train: one with Caffe")
    parser.add_argument(
        "--systems",
        nargs="+",
        metavar="NAME",
        help=f"all, or some of {', '.join(SYSTEMS)}; with --train of {', '.join(TRAINING)} "
        "(default: all but torch's weaker variants)",
    )
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args(argv)
    if args.rounds < LEAST_ROUNDS:
        parser.error(f"--rounds {args.rounds}: fewer than {LEAST_ROUNDS} tell nothing")
    if min([args.forwards, args.threads or 1, *(args.batch or [1])]) < 1:
        parser.error("--forwards, --threads and --batch are counts, 1 and more")
    if args.precision and not args.device:
        parser.error("--precision goes with --device")
    known = _known(args)
    for name in args.systems or ():
        if name not in known and name != "all":
            parser.error(f"--systems {name}: there are {', '.join(known)}")
    if args.device and args.upstream:
        parser.error("--upstream trains on the cores, without --device")
    if not args.train and (args.bn or args.upstream):
        parser.error("--bn and --upstream go with --train")
    if args.upstream and not shutil.which(args.upstream):
        parser.error(f"--upstream {args.upstream}: there is no such program")
    return args


def _cases(args: argparse.Namespace) -> list[Case]:
    if not args.train:
        return [Case(args.net or NET, batch) for batch in args.batch or [1, 8]]
    if args.net or args.batch or args.bn:
        bn = args.bn or FROZEN
        return [Case(args.net or NET, batch, bn) for batch in args.batch or [1, 4]]
    return TRAINING_CASES


def _known(args: argparse.Namespace) -> dict[str, System]:
    if args.device:
        return gpu_systems.systems(args.device, args.precision or "float32", args.train)
    return TRAINING if args.train else SYSTEMS


def _systems(args: argparse.Namespace, case: Case) -> list[System]:
    """The engine first.

    Those of bfloat16 are left out where BN layers train, unless they are named: what statistics of
    a few random clips make of rounding tells nothing.
    """
    known = _known(args)
    names = args.systems or [
        name
        for name, system in known.items()
        if system.usual and not (case.bn == LEARNING and system.precision == BF16)
    ]
    if "all" in names:
        names = list(known)
    others = [known[name] for name in names if name != OURS.name]
    return [known[OURS.name], *others, *([upstream(args.upstream)] if args.upstream else [])]


def _run(args: argparse.Namespace, case: Case) -> dict[str, Any]:
    from benchmarking.race import race

    from p3d import _core

    if args.threads:
        _core.set_num_threads(args.threads)
    threads = _core.num_threads()
    with tempfile.TemporaryDirectory(prefix="p3d-benchmark-") as folder:
        _say(f"{case.net}, batch {case.batch}: files")
        job, work = _prepare(case, args, threads=threads, folder=folder)
        peak = _peak(args)
        rows = race(
            _systems(args, case),
            job,
            batch=case.batch,
            rounds=args.rounds,
            forwards=args.forwards,
            nudged=NUDGED if args.train and not args.device else None,
            say=_say,
        )
        if peak and not args.device:
            peak = max(peak, _peak(args) or 0)
    floor = _passes(case.bn) * 2e-6 / peak if peak else 0
    return {
        **case._asdict(),
        "weights": args.weights or "random",
        "threads": threads,
        "isa": _core.isa(),
        "device": _gpu_name(args.device) if args.device else "cpu",
        "precision": args.precision or "float32",
        "rounds": args.rounds,
        "forwards": args.forwards,
        "gmac": work.macs / 1e9,
        "peak_gflops": peak,
        "floor_ms": floor * work.macs,
        "floor_without_padding_ms": floor * work.macs_without_padding,
        "rows": [row._asdict() for row in rows],
    }


def _gpu_name(device: str) -> str:
    from p3d import gpu

    return gpu.gpus()[gpu.parse(device) or 0].name


def _peak(args: argparse.Namespace) -> float | None:
    """GFLOP/s of what the net runs on, None where nobody knows them."""
    from p3d import _core

    if not args.device:
        return _core.fma_peak(0.5)
    known = gpu_systems.peaks(_gpu_name(args.device), args.precision or "float32")
    return known[0] / 1e9 if known else None


def _prepare(case: Case, args: argparse.Namespace, *, threads: int, folder: str) -> Any:
    from benchmarking import files, training_files

    prepare: Any = files.prepare
    more = {"onnx": not args.device}
    if case.bn is not None:
        prepare, more = training_files.prepare, {"frozen": case.bn == FROZEN}
    return prepare(case.net, args.weights, batch=case.batch, threads=threads, folder=folder, **more)


def _passes(bn: str | None) -> int:
    """How often a product of the forward pass is made: backward makes one for the gradient of
    what is below, one for that of the weights."""
    return 1 if bn is None else 3


def _say(line: str) -> None:
    print(line, file=sys.stderr)


def _lines(data: dict[str, Any]) -> Iterator[str]:
    yield machine.line(data["machine"])
    if data["machine"]["load"] > machine.BUSY:
        yield f"the machine was busy (load {data['machine']['load']:.1f}): times are too long"
    for run in data["runs"]:
        yield ""
        training = f"steps of training with every BN {run['bn']}"
        yield (
            f"{run['net']}, {run['weights']} weights, batch {run['batch']}, {run['threads']} "
            f"threads, {run['rounds']} rounds of {run['forwards']} "
            f"{training if run['bn'] else 'forwards'}"
        )
        times = f"{_passes(run['bn'])} x " if run["bn"] else ""
        if not run["peak_gflops"]:
            yield f"{run['gmac']:.3g} GMAC per clip; {run['device']} has no known peak"
            yield ""
            yield from _table(run["rows"])
            continue
        unit = "float32" if run["device"] == "cpu" else f"{run['device']} {run['precision']}"
        yield (
            f"{run['gmac']:.3g} GMAC per clip, {unit} peak {run['peak_gflops']:.0f} GFLOP/s: "
            f"{times}direct convolution takes {run['floor_ms']:.3g} ms at least, "
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
