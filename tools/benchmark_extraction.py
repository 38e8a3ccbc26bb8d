"""Videos per second of `p3d extract` and of the same recipe on OpenCV and OpenVINO.

    python tools/benchmark_extraction.py some-ten-seconds.mp4
    python tools/benchmark_extraction.py some.mp4 --videos 16 --rounds 10 --threads 2

A folder is filled with copies of the video. Every system reads them, makes the 20 clips of
author20, runs the net in float32 and writes pool5 as .npy, with its next video decoded while the
net runs. Results are compared first; then the systems take turns, and the ratio is the median over
the rounds. Loading the net is not counted.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import shutil
import sys
import tempfile
from collections.abc import Callable
from statistics import median
from typing import Any

import numpy as np
from benchmarking import extraction, machine
from benchmarking.files import Job, prepare


def main(argv: list[str] | None = None) -> int:
    args = _arguments(argv)
    from p3d import _core

    threads = args.threads or _core.num_threads()
    with tempfile.TemporaryDirectory(prefix="p3d-benchmark-") as folder:
        videos = os.path.join(folder, "videos")
        os.mkdir(videos)
        for index in range(args.videos):
            name = f"{index:03d}{os.path.splitext(args.video)[1]}"
            shutil.copy(args.video, os.path.join(videos, name))
        job, _ = prepare(args.net, args.weights, batch=args.batch, threads=threads, folder=folder)
        systems = {name: _start(make, job) for name, make in extraction.SYSTEMS.items()}
        fault = _compare(systems, videos, folder)
        if fault:
            print(fault)
            return 1
        times = _take_turns(systems, videos, folder, args.rounds)
    print(machine.line(machine.describe()))
    print(f"{args.videos} videos, {args.net}, batch {args.batch}, {threads} threads")
    ours = times[extraction.OURS]
    for name, seconds in times.items():
        ratio = median(other / own for other, own in zip(seconds, ours, strict=True))
        print(f"{name:24} {args.videos / median(seconds):6.3f} videos/s  {ratio:5.2f} x our time")
    return 0


def _arguments(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("video", help="a video file")
    parser.add_argument("--net", default="p3d199-kinetics", metavar="NAME|PROTOTXT")
    parser.add_argument("--weights", metavar="W", help=".caffemodel (default: random weights)")
    parser.add_argument("--videos", type=int, default=8, metavar="N", help="copies of it (8)")
    parser.add_argument("--batch", type=int, default=4, metavar="N")
    parser.add_argument("--threads", type=int, metavar="N", help="default: all cores")
    parser.add_argument("--rounds", type=int, default=5, metavar="N")
    args = parser.parse_args(argv)
    if min(args.videos, args.batch, args.rounds, args.threads or 1) < 1:
        parser.error("--videos, --batch, --threads and --rounds are counts, 1 and more")
    return args


def _start(make: Callable[[Job], Any], job: Job) -> Any:
    """The pipe to a process of its own for a system."""
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    context.Process(target=extraction.serve, args=(there, make, job), daemon=True).start()
    there.close()  # so that its end is seen here
    return here


def _run(pipe: Any, videos: str, out: str) -> float:
    """Seconds of one extraction."""
    shutil.rmtree(out, ignore_errors=True)
    pipe.send((videos, out))
    try:
        answer = pipe.recv()
    except EOFError:
        raise SystemExit("a system's process ended; what it said is above") from None
    seconds: float = answer
    return seconds


def _compare(systems: dict[str, Any], videos: str, folder: str) -> str:
    """What is wrong with the results, if something is."""
    found = {}
    for name, pipe in systems.items():
        out = os.path.join(folder, name)
        _run(pipe, videos, out)
        files = sorted(file for file in os.listdir(out) if file.endswith(".npy"))
        found[name] = np.stack([np.load(os.path.join(out, file)).squeeze() for file in files])
    truth = found[extraction.OURS]
    for name, features in found.items():
        if features.shape != truth.shape:
            return f"{name}: features {features.shape}, ours {truth.shape}"
        difference = np.abs(features - truth).max() / np.abs(truth).max()
        if difference > 1e-4:
            return f"{name}: features differ by {difference:.1e} of the largest"
    return ""


def _take_turns(
    systems: dict[str, Any], videos: str, folder: str, rounds: int
) -> dict[str, list[float]]:
    times: dict[str, list[float]] = {name: [] for name in systems}
    for _ in range(rounds):
        for name, pipe in systems.items():
            times[name].append(_run(pipe, videos, os.path.join(folder, name)))
    return times


if __name__ == "__main__":
    sys.exit(main())
