"""`p3d extract`: videos to files of features."""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import signal
import threading
from collections.abc import Iterable, Iterator
from typing import Any

from p3d.cli._extract_arguments import add_arguments
from p3d.cli._out import check_folder

__all__ = ["EXAMPLES", "HELP", "RUNS_NETS", "add_arguments", "run"]

RUNS_NETS = True
HELP = "videos, frames or flow images to P3D features"
EXAMPLES = """\
examples:
  p3d extract some.mp4 --weights p3d_resnet_kinetics_iter_190000.caffemodel --out features
  p3d extract videos/ list.txt 'more/**/*.avi' --weights W --blobs pool5,prob --top 5
  p3d extract videos/ --weights W --stride 8                  a clip every 8 frames, dense features
  p3d extract videos/ --weights W --shard 3/10                the third of ten jobs of an array
  p3d extract flow/v_Dive_g01_c01 some.mp4 --weights p3d_resnet_kinetics_flow_iter_190000.caffemodel
  p3d extract some.mp4 --weights mine.caffemodel --net deploy.prototxt --crop 224 --relax-reshape

Every video becomes one file, OUT/<name>.npy with one row per clip (pool5: 20 x 2048), or .npz where
several blobs are asked for, and OUT/<name>.json, which says which frames the clips are and how they
were made. Videos below a folder, in a list or matched by a glob keep their folders below OUT.

Weights for flow take flow images, or make flow of videos as `p3d flow` does (with --fps: between
frames of that rate), which is most of the time then: 0.1 to 0.5 s a frame and core.

The same command again does what is missing: what is complete, and made of the same video by the
same recipe with the same weights, is left alone, what is damaged or different is made again.
Videos that cannot be read are in OUT/failed.jsonl with the reason, and the exit code is 1.
"""


def run(args: argparse.Namespace) -> int:
    from p3d.error import Error
    from p3d.jobs import failures, shard
    from p3d.jobs.report import JsonReport, Report
    from p3d.video import inputs

    check_folder(args.out)
    if bool(args.videos) == args.retry_failed:
        raise Error("name videos, or --retry-failed, which knows its videos")
    if args.retry_failed and not os.path.isdir(args.out):
        raise Error(f"--retry-failed: there is no folder {args.out}: name that of the run as --out")
    part = shard.parse(args.shard) if args.shard else None
    total = None if args.retry_failed else inputs.count(args.videos, args.root)
    extractor = _extractor(args)

    def items() -> Iterable[inputs.Item]:
        if args.retry_failed:
            found = failures.items(args.out, args.shard)
        else:
            found = inputs.items(args.videos, args.root)
        return found if part is None else shard.part(found, part)

    if args.dry_run:
        return _tell(_runner(args, extractor, None), items(), args.json)
    if total is not None and part is not None:
        total = sum(1 for _ in items())
    recipe = extractor.recipe
    each = recipe.clips * recipe.views if recipe.needs_count and not args.check_videos else None
    report = (JsonReport if args.json else Report)("extract", total, each)
    with contextlib.closing(report), contextlib.closing(extractor), _sigterm_as_ctrl_c():
        if args.check_videos:
            return _check(extractor, items(), report)
        if args.dask:
            return _over_dask(args, items(), report)
        return _here(_runner(args, extractor, report), args.out, items(), report)


def _here(runner: Any, out: str, items: Iterable[Any], report: Any) -> int:
    os.makedirs(out, exist_ok=True)  # one line if that fails, instead of one per video
    try:
        runner.run(items)
    finally:  # Ctrl-C, too, is told how far it came
        report.summary(runner.summary.text(out), runner.summary.numbers())
    return 1 if runner.summary.failed else 0


def _over_dask(args: argparse.Namespace, items: Iterable[Any], report: Any) -> int:
    from p3d import _core
    from p3d.caffe import backend
    from p3d.jobs import failures, over_dask
    from p3d.jobs.summary import Summary

    with over_dask.connect(args.dask, args.threads or _core.num_threads()) as (client, threads):
        settings = over_dask.Settings(
            extractor=_options(args),
            output=_output(args),
            out=os.path.abspath(args.out),
            overwrite=args.overwrite,
            threads=args.threads if threads is None else threads,
            backend=backend.current(),
        )
        failed = failures.Failures(failures.path_of(args.out, args.shard))
        summary = Summary()
        try:
            over_dask.run(client, settings, items, failed, report, summary)
        finally:
            report.summary(summary.text(args.out), summary.numbers())
    return 1 if summary.failed else 0


def _tell(runner: Any, items: Iterable[Any], as_json: bool) -> int:
    """--dry-run: a line per video, its state, the video and where it goes."""
    from p3d.error import Error

    counts = {"todo": 0, "done": 0, "taken": 0, "missing": 0}
    for item in items:
        try:
            state = runner.state(item)
        except Error:
            state = "taken"
        if state == "todo" and not os.path.exists(item.path) and "%" not in item.path:
            state = "missing"
        counts[state] += 1
        if as_json:
            print(json.dumps({"event": state, "video": item.path, "name": item.name}))
        else:
            print(f"{state:8}{item.path} -> {item.name}")
    if as_json:
        print(json.dumps({"event": "summary", **counts}))
    else:
        print(", ".join(f"{number} {state}" for state, number in counts.items()))
    return 1 if counts["taken"] + counts["missing"] else 0


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
    report.summary(f"{good} can be decoded, {bad} cannot", {"good": good, "bad": bad})
    return 1 if bad else 0


def _runner(args: argparse.Namespace, extractor: Any, report: Any) -> Any:
    from p3d.jobs import failures
    from p3d.jobs.runner import Runner

    failed = failures.Failures(failures.path_of(args.out, args.shard))
    return Runner(extractor, _output(args), args.out, failed, report, args.overwrite)


def _output(args: argparse.Namespace) -> Any:
    from p3d.jobs.output import Output

    kind = args.format or ("npz" if len(_blobs(args)) > 1 else "npy")
    return Output(kind=kind, pool=args.pool, l2=args.l2, half=args.float16, top=args.top)


def _blobs(args: argparse.Namespace) -> list[str]:
    return list(dict.fromkeys(name.strip() for name in args.blobs.split(",") if name.strip()))


def _extractor(args: argparse.Namespace) -> Any:
    from p3d.caffe import backend
    from p3d.error import Error
    from p3d.extractor import Extractor

    if args.format == "npy" and len(_blobs(args)) > 1:
        raise Error(f"a .npy file holds one blob, not {len(_blobs(args))}: leave --format away")
    if args.threads is not None:
        backend.set_num_threads(args.threads)
    return Extractor(**_options(args))


def _options(args: argparse.Namespace) -> dict[str, Any]:
    """The arguments of Extractor; files by absolute paths, so that they mean the same elsewhere."""
    from p3d import _core

    same = ("recipe", "stride", "clips", "fps", "length", "crops", "short", "batch", "crop", "size")
    usual = min(4, 1 + _core.num_threads() // 4)
    return {
        **{name: getattr(args, name) for name in (*same, "relax_reshape", "timeout")},
        **{name: _absolute(getattr(args, name)) for name in ("weights", "net", "labels")},
        "blobs": _blobs(args),
        "decoders": usual if args.decoders is None else args.decoders,
    }


def _absolute(path: str | None) -> str | None:
    return os.path.abspath(path) if path is not None and os.path.exists(path) else path


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
