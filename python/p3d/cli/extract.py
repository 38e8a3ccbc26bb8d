"""`p3d extract`: videos to files of features."""

from __future__ import annotations

import argparse
import os
import sys
import time
from typing import Any

HELP = "videos, frames or flow images to P3D features"
EXAMPLES = """\
examples:
  p3d extract some.mp4 --weights p3d_resnet_kinetics_iter_190000.caffemodel --out features
  p3d extract videos/ list.txt --weights W --blobs pool5,prob --top 5
  p3d extract flow/v_Dive_g01_c01 --weights p3d_resnet_kinetics_flow_iter_190000.caffemodel
  p3d extract some.mp4 --weights mine.caffemodel --net deploy.prototxt --crop 224 --relax-reshape

Every video becomes one file, OUT/<name>.npy with one row per clip (pool5: 20 x 2048), or .npz where
several blobs are asked for, and OUT/<name>.json, which says which frames the clips are and how they
were made. Videos below a folder or in a list keep their folders below OUT.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "videos",
        nargs="+",
        metavar="VIDEO_OR_LIST",
        help="a video; a folder of numbered frames, or of flow_x_* and flow_y_* images; a pattern "
        "like frames/img_%%05d.jpg; clips as .npy; a folder of such; a .txt or .csv list",
    )
    parser.add_argument("--weights", required=True, metavar="W", help=".caffemodel(.h5)")
    parser.add_argument(
        "--out", default="features", metavar="DIR", help="where to write (default: features)"
    )
    _add_net_arguments(parser.add_argument_group("net"))
    _add_clip_arguments(parser.add_argument_group("clips"))
    _add_output_arguments(parser.add_argument_group("output"))


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
    group.add_argument("--crop", type=int, metavar="N", help="pixels on a side (the net's: 160)")
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
        help="with blob prob, print the K likeliest classes of each video (5)",
    )


def run(args: argparse.Namespace) -> int:
    from tqdm import tqdm

    from p3d import saving
    from p3d.error import Error
    from p3d.video.inputs import expand

    if os.path.exists(args.out) and not os.path.isdir(args.out):
        raise Error(f"--out {args.out} is a file: name a folder")
    items = expand(args.videos, args.root)
    extractor = _extractor(args)
    failed = clips = 0

    def report(error: Exception) -> None:
        nonlocal failed
        failed += 1
        tqdm.write(f"p3d extract: {' '.join(str(error).splitlines())}", file=sys.stderr)

    jobs = []
    for item in items:
        base = os.path.join(args.out, item.name)
        try:
            if not args.overwrite:
                saving.check_free(base, item.path)
            jobs.append((item.path, base))
        except Error as error:
            report(error)
    start = time.perf_counter()
    total = len(jobs) * extractor.recipe.clips
    with tqdm(total=total, unit="clip", disable=None) as bar:  # None: on a terminal only
        results = extractor.extract_many([path for path, _ in jobs], bar.update)
        for (path, base), result in zip(jobs, results, strict=True):
            if isinstance(result, Exception):
                report(result)
                continue
            saving.save(base, result, result.meta, args.format)
            clips += len(next(iter(result.values())))
            if "prob" in result and args.top > 0:
                classes = extractor.top(result, args.top)
                best = ", ".join(f"{name} {probability:.3f}" for name, probability in classes)
                tqdm.write(f"{path}: {best}")
    seconds = time.perf_counter() - start
    done = len(items) - failed
    print(
        f"{done} video{'s' * (done != 1)}, {clips} clips in {seconds:.1f} s "
        f"({clips / seconds:.1f} clips/s) -> {args.out}" + (f"; {failed} failed" * bool(failed))
    )
    return 1 if failed else 0


def _extractor(args: argparse.Namespace) -> Any:
    from p3d.error import Error
    from p3d.extractor import Extractor

    blobs = [name.strip() for name in args.blobs.split(",") if name.strip()]
    if args.format == "npy" and len(blobs) > 1:
        raise Error(f"a .npy file holds one blob, not {len(blobs)}: leave --format away")
    if args.threads is not None:
        from p3d.caffe import backend

        backend.set_num_threads(args.threads)
    return Extractor(
        args.weights,
        args.net,
        blobs,
        args.recipe,
        batch=args.batch,
        crop=args.crop,
        size=args.size,
        labels=args.labels,
        relax_reshape=args.relax_reshape,
    )


def _size(text: str) -> int | tuple[int, int]:
    height, x, width = text.partition("x")
    return (int(height), int(width)) if x else int(height)
