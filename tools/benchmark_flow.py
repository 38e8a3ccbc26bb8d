"""Milliseconds of TV-L1 flow between two frames, here and by OpenCV's DualTVL1OpticalFlow.

    pip install opencv-contrib-python-headless   # instead of opencv-python-headless
    python tools/benchmark_flow.py some.mp4

Frames are those that `p3d flow` and `p3d extract` make flow of. Each pair is computed by both, by
one thread, in turns; results are compared, and the ratio is the median over the pairs. Without
OpenCV's contributed modules our flow is timed alone.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from itertools import islice, pairwise
from statistics import median

import cv2
import numpy as np
from benchmarking import machine

from p3d.video.decode import VideoFile, opencv_threads_off
from p3d.video.flow import FlowOptions, grey
from p3d.video.tvl1 import Tvl1

OURS, OPENCVS = "caffe-p3d", f"OpenCV {cv2.__version__}"
Method = Callable[[np.ndarray, np.ndarray], np.ndarray]


def methods() -> dict[str, Method]:
    """By name: what makes flow (h, w, 2) of two grey images."""
    found: dict[str, Method] = {OURS: Tvl1()}
    if hasattr(cv2, "optflow"):
        contributed = cv2.optflow.DualTVL1OpticalFlow_create()
        found[OPENCVS] = lambda first, second: contributed.calc(first, second, None)
    return found


def compare(flows: dict[str, np.ndarray]) -> str:
    """What is wrong with the results, if something is. Where something moves in front of something
    else both may be right, by pixels apart."""
    for name, flow in flows.items():
        off = np.abs(flow - flows[OURS])
        usual, far = np.median(off), np.mean(off > 1)
        if usual > 0.02 or far > 0.02:
            return f"{name}: flow differs by {usual:.3f} pixels (median), {far:.1%} by more than 1"
    return ""


def main(argv: list[str] | None = None) -> int:
    args = _arguments(argv)
    frames = [grey(frame, FlowOptions().size) for frame in _frames(args.video, args.pairs + 1)]
    ways = methods()
    times: dict[str, list[float]] = {name: [] for name in ways}
    with opencv_threads_off():
        for pair in pairwise(frames):
            flows = {}
            for name, method in ways.items():
                began = time.perf_counter()
                flows[name] = method(*pair)
                times[name].append(time.perf_counter() - began)
            if fault := compare(flows):
                print(fault)
                return 1
    print(machine.line(machine.describe()))
    height, width = frames[0].shape
    print(f"{len(frames) - 1} pairs of frames of {height}x{width}, 1 thread")
    for name, seconds in times.items():
        ratio = median(other / own for other, own in zip(seconds, times[OURS], strict=True))
        print(f"{name:20} {1e3 * median(seconds):8.1f} ms a pair  {ratio:5.1f} x our time")
    return 0


def _frames(path: str, count: int) -> list[np.ndarray]:
    """The first ones."""
    found = islice(VideoFile(path).frames(lambda _: True), count)
    return [frame for frame in found if frame is not None]


def _arguments(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("video", help="a video file")
    parser.add_argument("--pairs", type=int, default=5, metavar="N", help="of its first frames (5)")
    args = parser.parse_args(argv)
    if args.pairs < 1:
        parser.error("--pairs is a count, 1 and more")
    return args


if __name__ == "__main__":
    sys.exit(main())
