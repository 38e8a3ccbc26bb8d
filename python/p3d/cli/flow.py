"""`p3d flow`: the flow images that weights for optical flow want."""

from __future__ import annotations

import argparse
import contextlib
import os
from typing import Any

from p3d.cli._out import check_folder
from p3d.cli._size import size

HELP = "the TV-L1 optical flow of videos as images, which weights for flow take"
EXAMPLES = """\
examples:
  p3d flow talk.mp4 --out flow                            flow/talk/flow_x_00001.jpg, ...
  p3d extract flow/talk --weights p3d_resnet_kinetics_flow_iter_190000.caffemodel
  p3d flow videos/ --out flow --size 256x340              frames 340 wide first, as TSN does

Flow is OpenCV's DualTVL1OpticalFlow, stored as dense_flow does: -20..20 pixels as 0..255, grey
JPEG, x and y apart. It takes 0.1 to 0.5 s a frame and core. The same command again makes what is
missing, also within a video. A video with N frames has N - 1 pairs of images.

`p3d extract` makes flow of videos by itself, but each time anew and keeps none; training needs
these images.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "videos",
        nargs="+",
        metavar="VIDEO_OR_LIST",
        help="a video; a folder of numbered frames; a folder of such; a quoted glob; a .txt or "
        ".csv list, - for one on standard input",
    )
    parser.add_argument(
        "--out", default="flow", metavar="DIR", help="where to write folders (default: flow)"
    )
    parser.add_argument("--root", metavar="DIR", help="names are the paths below this folder")
    parser.add_argument(
        "--size",
        type=_size,
        default=256,
        metavar="N|HxW|own",
        help="to which frames are made first; N: the short edge of larger ones (default: 256)",
    )
    parser.add_argument(
        "--bound", type=float, default=20.0, metavar="PIXELS", help="flow beyond is cut off (20)"
    )
    parser.add_argument("--quality", type=int, default=95, metavar="N", help="of JPEG, 1..100 (95)")
    parser.add_argument("--threads", type=int, metavar="N", help="default: all cores")
    parser.add_argument("--json", action="store_true", help="one JSON object a line, for programs")


def _size(text: str) -> int | tuple[int, int] | None:
    """As FlowOptions takes it."""
    if text == "own":
        return None
    from p3d.video.preprocess import LARGEST_EDGE

    given = size(text)
    edges = (given,) if isinstance(given, int) else given
    if not all(16 <= edge <= LARGEST_EDGE for edge in edges):
        raise argparse.ArgumentTypeError(f"'{text}': edges are 16 to {LARGEST_EDGE}")
    return given if isinstance(given, int) else given[::-1]


def run(args: argparse.Namespace) -> int:
    from p3d import _core
    from p3d.error import Error
    from p3d.flow_folders import FlowFolders
    from p3d.jobs.report import JsonReport, Report
    from p3d.video import inputs
    from p3d.video.flow import FlowOptions
    from p3d.video.preprocess import LARGEST_EDGE

    threads = _core.num_threads() if args.threads is None else args.threads
    if threads < 1 or not 0.01 <= args.bound <= LARGEST_EDGE or not 1 <= args.quality <= 100:
        raise Error(
            f"--threads {threads}, --bound {args.bound:g}, --quality {args.quality}: --threads "
            f"takes 1 or more, --bound 0.01 to {LARGEST_EDGE}, --quality 1 to 100"
        )
    check_folder(args.out)
    total = inputs.count(args.videos, args.root)
    options = FlowOptions(args.bound, args.size)
    report = (JsonReport if args.json else Report)("flow", total)
    counts = {"done": 0, "skipped": 0, "failed": 0, "pairs": 0}
    folders = FlowFolders(args.out, options, threads, args.quality)
    os.makedirs(args.out, exist_ok=True)  # one line if that fails, instead of one per video
    with contextlib.closing(report), contextlib.closing(folders):
        try:
            for item in inputs.items(args.videos, args.root):
                _make(folders, item, report, counts, bar=not args.json)
        finally:  # Ctrl-C, too, is told how far it came
            report.summary(_summary(counts, args.out), counts)
    return 1 if counts["failed"] else 0


def _make(folders: Any, item: Any, report: Any, counts: dict[str, int], bar: bool) -> None:
    from tqdm import tqdm

    from p3d.error import DiskFull, Error

    try:
        if folders.is_done(item):
            counts["skipped"] += 1
            report.skipped(item)
            return
        with tqdm(
            desc=os.path.basename(item.name),
            unit="pair",
            leave=False,
            dynamic_ncols=True,
            disable=None if bar else True,
        ) as pairs:
            if not pairs.disable and (frames := folders.frames(item)):
                pairs.reset(total=frames - 1)
            counts["pairs"] += folders.make(item, pairs.update)
    except DiskFull as error:  # nor is there room for the others
        counts["failed"] += 1
        raise DiskFull(f"{error}; the same command then makes what is missing") from error
    except (Error, OSError) as error:
        counts["failed"] += 1
        report.failed(item, " ".join(str(error).split()))
    else:
        counts["done"] += 1
        report.done(item, {})


def _summary(counts: dict[str, int], out: str) -> str:
    done = counts["done"]
    line = f"{done} video{'s' * (done != 1)}, {counts['pairs']} pairs of flow images -> {out}"
    line += f"; {counts['skipped']} complete before" * bool(counts["skipped"])
    return line + f"; {counts['failed']} failed" * bool(counts["failed"])
