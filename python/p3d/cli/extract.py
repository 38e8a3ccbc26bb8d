"""`p3d extract`: videos to files of features."""

from __future__ import annotations

import argparse
import contextlib
import os
import signal
import threading
from collections.abc import Iterable, Iterator
from typing import Any

HELP = "videos, frames or flow images to P3D features"
EXAMPLES = """\
examples:
  p3d extract some.mp4 --weights p3d_resnet_kinetics_iter_190000.caffemodel --out features
  p3d extract videos/ list.txt 'more/**/*.avi' --weights W --blobs pool5,prob --top 5
  p3d extract videos/ --weights W --stride 8                  a clip every 8 frames, dense features
  p3d extract videos/ --weights W --shard 3/10                the third of ten jobs of an array
  p3d extract flow/v_Dive_g01_c01 --weights p3d_resnet_kinetics_flow_iter_190000.caffemodel
  p3d extract some.mp4 --weights mine.caffemodel --net deploy.prototxt --crop 224 --relax-reshape

Every video becomes one file, OUT/<name>.npy with one row per clip (pool5: 20 x 2048), or .npz where
several blobs are asked for, and OUT/<name>.json, which says which frames the clips are and how they
were made. Videos below a folder, in a list or matched by a glob keep their folders below OUT.

The same command again does what is missing: what is complete, and made of the same video by the
same recipe with the same weights, is left alone, what is damaged or different is made again.
Videos that cannot be read are in OUT/failed.jsonl with the reason, and the exit code is 1.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "videos",
        nargs="*",
        metavar="VIDEO_OR_LIST",
        help="a video; a folder of numbered frames, or of flow_x_* and flow_y_* images; a pattern "
        "like frames/img_%%05d.jpg; HDF5 of JPEG images; clips as .npy; a folder of such; a "
        "quoted glob; a .txt or .csv list, - for one on standard input",
    )
    parser.add_argument("--weights", required=True, metavar="W", help=".caffemodel(.h5)")
    parser.add_argument(
        "--out", default="features", metavar="DIR", help="where to write (default: features)"
    )
    _add_net_arguments(parser.add_argument_group("net"))
    _add_clip_arguments(parser.add_argument_group("clips"))
    _add_output_arguments(parser.add_argument_group("output"))
    _add_run_arguments(parser.add_argument_group("run"))


def _add_net_arguments(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--net",
        metavar="NAME|FILE",
        help="a net of `p3d models`, or a prototxt (default: told from the weights)",
    )
    group.add_argument(
        "--blobs", default="pool5", metavar="A,B", help="which blobs to keep (default: pool5)"
    )
    group.add_argument("--batch", type=int, default=4, metavar="N", help="clips at once (4)")
    group.add_argument("--threads", type=int, metavar="N", help="of the net (default: all cores)")
    group.add_argument(
        "--relax-reshape",
        action="store_true",
        help="let a prototxt with a fixed Reshape, such as the released ones, take any crop",
    )


def _add_clip_arguments(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--recipe",
        default="author20",
        metavar="NAME",
        help="author20 (default): short edge 162, centre crop 160, 20 clips of 16 frames evenly "
        "over the video; squash: 182x242, the same crop and clips",
    )
    group.add_argument("--stride", type=int, metavar="N", help="a clip every N frames instead")
    group.add_argument(
        "--clips", type=int, metavar="N", help="N clips, from the first to the last possible one"
    )
    group.add_argument(
        "--length",
        type=int,
        metavar="N",
        help="frames of a clip (the net's: 16); over 16 res5 becomes 3-D, with the same weights",
    )
    group.add_argument(
        "--fps", type=float, metavar="F", help="take frames at this rate (default: every frame)"
    )
    group.add_argument(
        "--short",
        choices=("loop", "repeat-last", "error"),
        help="what follows the last frame of a video shorter than a clip (default: the first)",
    )
    group.add_argument("--crop", type=int, metavar="N", help="pixels on a side (the net's: 160)")
    group.add_argument(
        "--crops",
        choices=("centre", "five", "ten", "full"),
        help="five: the corners and the centre; ten: these and their mirror images, an axis of "
        "the array after the clips; full: the whole frame (default: centre)",
    )
    group.add_argument(
        "--size",
        type=_size,
        metavar="N|HxW",
        help="short edge, or height x width, before the crop (default: the recipe's)",
    )


def _add_output_arguments(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--format", choices=("npy", "npz"), help="default: npy for one blob, npz for several"
    )
    group.add_argument(
        "--pool",
        choices=("keep", "avg", "max"),
        default="keep",
        help="one array per video, the mean or the maximum over its clips (default: keep them)",
    )
    group.add_argument("--l2", action="store_true", help="scale every array to length 1")
    group.add_argument("--float16", action="store_true", help="half the bytes")
    group.add_argument("--root", metavar="DIR", help="name outputs after their paths below DIR")
    group.add_argument(
        "--overwrite", action="store_true", help="replace features of other videos in OUT"
    )
    group.add_argument(
        "--labels",
        metavar="FILE",
        help="class names, one per line (default: told from the weights)",
    )
    group.add_argument(
        "--top",
        type=int,
        default=5,
        metavar="K",
        help="with blob prob, print and note the K likeliest classes of each video (5)",
    )


def _add_run_arguments(group: argparse._ArgumentGroup) -> None:
    group.add_argument("--dry-run", action="store_true", help="only tell what would be done")
    group.add_argument(
        "--check-videos", action="store_true", help="only decode, and tell what is damaged"
    )
    group.add_argument(
        "--retry-failed", action="store_true", help="only the videos in OUT/failed.jsonl"
    )
    group.add_argument("--json", action="store_true", help="progress as lines of JSON")
    group.add_argument(
        "--shard",
        metavar="I/N",
        help="only part I of N, for jobs that know nothing of each other",
    )
    group.add_argument(
        "--decoders", type=int, metavar="N", help="processes that decode (default: by the cores)"
    )
    group.add_argument(
        "--timeout",
        type=float,
        default=60.0,
        metavar="S",
        help="seconds without a new frame after which a decoder is ended (60)",
    )


def run(args: argparse.Namespace) -> int:
    from p3d.error import Error
    from p3d.jobs import failures, shard
    from p3d.jobs.report import JsonReport, Report
    from p3d.video import inputs

    if os.path.exists(args.out) and not os.path.isdir(args.out):
        raise Error(f"--out {args.out} is a file: name a folder")
    if bool(args.videos) == args.retry_failed:
        raise Error("name videos, or --retry-failed, which knows its videos")
    part = shard.parse(args.shard) if args.shard else None
    total = None if args.retry_failed else inputs.count(args.videos, args.root)
    extractor = _extractor(args)

    def items() -> Iterable[inputs.Item]:
        if args.retry_failed:
            found = failures.items(args.out, args.shard)
        else:
            found = inputs.items(args.videos, args.root)
        return found if part is None else shard.part(found, part)

    if total is not None and part is not None:
        total = sum(1 for _ in items())
    report = (JsonReport if args.json else Report)("extract", total)
    with contextlib.closing(report), contextlib.closing(extractor), _sigterm_as_ctrl_c():
        if args.check_videos:
            return _check(extractor, items(), report)
        return _extract(args, extractor, items(), report)


def _extract(args: argparse.Namespace, extractor: Any, items: Iterable[Any], report: Any) -> int:
    from p3d.jobs import failures
    from p3d.jobs.output import Output
    from p3d.jobs.runner import Runner

    several = len(extractor.blobs) > 1
    kind = args.format or ("npz" if several else "npy")
    output = Output(kind=kind, pool=args.pool, l2=args.l2, half=args.float16, top=args.top)
    failed = failures.Failures(failures.path_of(args.out, args.shard))
    runner = Runner(extractor, output, args.out, failed, report, args.overwrite)
    if args.dry_run:
        return _tell(runner, items)
    try:
        summary = runner.run(items)
    except KeyboardInterrupt:
        report.summary(runner.summary.text(args.out), runner.summary.numbers())
        raise
    report.summary(summary.text(args.out), summary.numbers())
    return 1 if summary.failed else 0


def _tell(runner: Any, items: Iterable[Any]) -> int:
    """--dry-run: a line per video, the state, the video and where it goes."""
    from p3d.error import Error

    counts = {"todo": 0, "done": 0, "taken": 0}
    for item in items:
        try:
            state = runner.state(item)
        except Error:
            state = "taken"
        missing = (
            ""
            if state == "done" or os.path.exists(item.path) or "%" in item.path
            else ("  (there is no such file)")
        )
        counts[state] += 1
        print(f"{state}  {item.path} -> {item.name}{missing}")
    print(", ".join(f"{number} {state}" for state, number in counts.items()))
    return 1 if counts["taken"] else 0


def _check(extractor: Any, items: Iterable[Any], report: Any) -> int:
    """--check-videos."""
    found: dict[int, Any] = {}
    good = bad = 0

    def paths() -> Iterable[str]:
        for number, item in enumerate(items):
            found[number] = item
            yield item.path

    for done in extractor.check(paths()):
        item = found.pop(done.video)
        if isinstance(done.result, Exception):
            bad += 1
            report.failed(item, " ".join(str(done.result).split()))
        else:
            good += 1
            report.done(item, {})
    report.summary(f"{good} videos can be decoded, {bad} cannot", {"good": good, "bad": bad})
    return 1 if bad else 0


def _extractor(args: argparse.Namespace) -> Any:
    from p3d import _core
    from p3d.error import Error
    from p3d.extractor import Extractor

    blobs = [name.strip() for name in args.blobs.split(",") if name.strip()]
    if args.format == "npy" and len(blobs) > 1:
        raise Error(f"a .npy file holds one blob, not {len(blobs)}: leave --format away")
    if args.threads is not None:
        _core.set_num_threads(args.threads)
    decoders = args.decoders if args.decoders is not None else min(4, 1 + _core.num_threads() // 4)
    return Extractor(
        args.weights,
        args.net,
        blobs,
        args.recipe,
        stride=args.stride,
        clips=args.clips,
        fps=args.fps,
        length=args.length,
        crops=args.crops,
        short=args.short,
        batch=args.batch,
        crop=args.crop,
        size=args.size,
        labels=args.labels,
        relax_reshape=args.relax_reshape,
        decoders=decoders,
        timeout=args.timeout,
    )


@contextlib.contextmanager
def _sigterm_as_ctrl_c() -> Iterator[None]:
    """Clusters end jobs by SIGTERM."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _size(text: str) -> int | tuple[int, int]:
    height, x, width = text.partition("x")
    return (int(height), int(width)) if x else int(height)
