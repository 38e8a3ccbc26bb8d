"""Times P3D-199 in a real Caffe with our layers: against Caffe's own convolutions.

    PYTHONPATH=CAFFE/python OPENBLAS_CORETYPE=SKYLAKEX python tools/time_plugged.py --threads 2

Runs in a Python that can `import caffe`. The same net runs twice, as it is and with
`force_nd_im2col: true` in every convolution, which keeps upstream's own path. Their results are
compared first; then they take turns, each in a process of its own. OpenBLAS does not know every
processor: OPENBLAS_CORETYPE=SKYLAKEX is its fair setting on one with AVX-512 that it takes for
something else.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

import numpy as np

ROOT = Path(__file__).parents[1]
WAYS = {"with our layers": False, "Caffe's own convolutions": True}
TOLERANCE = 1e-4


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--net", default=str(ROOT / "prototxt" / "p3d199-kinetics.prototxt"))
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--iterations", type=int, default=5, help="forwards of each turn (5)")
    parser.add_argument("--rounds", type=int, default=3, help="turns of each (3)")
    parser.add_argument("--one", help=argparse.SUPPRESS)  # one turn: the way to run
    args = parser.parse_args()
    if args.one is not None:
        print(json.dumps(one_turn(args.net, WAYS[args.one], args.iterations)))
        return
    reports = {way: [turn(way, args, iterations=1)] for way in WAYS}
    off = difference(*(np.array(report[0]["output"]) for report in reports.values()))
    if not off <= TOLERANCE:
        sys.exit(f"the two ways differ by {off:.1e} of the largest value: nothing is timed")
    if off == 0:  # small nets can, on some processors
        print(
            "both ways give the same bits: if they take the same time, too, this Caffe's "
            "convolutions are not ours",
            file=sys.stderr,
        )
    for _ in range(args.rounds):
        for way in WAYS:
            reports[way].append(turn(way, args, args.iterations))
    show(args, off, reports)


def turn(way: str, args: argparse.Namespace, iterations: int) -> dict:
    """One process with one net."""
    threads = {f"{name}_NUM_THREADS": str(args.threads) for name in ("P3D", "OPENBLAS", "OMP")}
    options = ["--one", way, "--net", args.net, "--iterations", str(iterations)]
    done = subprocess.run(
        [sys.executable, __file__, *options],
        env={"GLOG_minloglevel": "2", **os.environ, **threads},
        stdout=subprocess.PIPE,
        text=True,
    )
    if done.returncode == -signal.SIGILL and "OPENBLAS_CORETYPE" in os.environ:
        core = os.environ["OPENBLAS_CORETYPE"]
        sys.exit(f"OPENBLAS_CORETYPE={core} asks for instructions that this processor lacks")
    if done.returncode:
        sys.exit(f"{way}: the process ended with status {done.returncode}")
    return json.loads(done.stdout.splitlines()[-1])


def one_turn(prototxt: str, own_path: bool, iterations: int) -> dict:
    """Milliseconds of each forward, what the last convolution gives, the peak of memory in MiB."""
    import caffe

    sys.path.append(str(ROOT / "python"))
    from p3d.random_weights import fill

    text = Path(prototxt).read_text()
    if own_path:
        text = text.replace("convolution_param {", "convolution_param { force_nd_im2col: true")
    with tempfile.NamedTemporaryFile("w", suffix=".prototxt") as file:
        file.write(text)
        file.flush()
        net = caffe.Net(file.name, caffe.TEST)
    fill(net)
    (name,) = net.inputs
    clip = np.random.default_rng(1701).normal(0, 50, tuple(net.blobs[name].shape))
    net.blobs[name].data[...] = clip
    last = [n for n, layer in net.layer_dict.items() if layer.type == "Convolution"][-1]
    top = net.top_names[last][0]
    output = net.forward(blobs=[top])[top].copy()  # the first forward is not timed
    times = []
    for _ in range(iterations):
        start = time.perf_counter()
        net.forward()
        times.append((time.perf_counter() - start) * 1e3)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"ms": times, "output": output.ravel().tolist(), "mib": peak}


def difference(found: np.ndarray, expected: np.ndarray) -> float:
    return float(np.abs(found - expected).max() / np.abs(expected).max())


def show(args: argparse.Namespace, off: float, reports: dict[str, list[dict]]) -> None:
    core = os.environ.get("OPENBLAS_CORETYPE", "not set")
    print(
        f"{args.net}: {args.threads} threads, OPENBLAS_CORETYPE {core}, median of {args.rounds} x "
        f"{args.iterations} forwards; largest difference {off:.1e} of the largest value"
    )
    ms = {way: median(t for r in turns[1:] for t in r["ms"]) for way, turns in reports.items()}
    first = next(iter(ms.values()))
    for way, turns in reports.items():
        peak = max(report["mib"] for report in turns)
        print(f"{way:26} {ms[way]:8.1f} ms  {ms[way] / first:5.2f} x  {peak:6.0f} MiB")


if __name__ == "__main__":
    main()
