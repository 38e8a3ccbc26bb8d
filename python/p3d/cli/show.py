"""`p3d show`: a result of `p3d extract` as a picture or a video."""

from __future__ import annotations

import argparse

HELP = "a result of `p3d extract` as a picture of its clips, or as a video with the classes in it"
EXAMPLES = """\
examples:
  p3d show features/talk.npz -o talk.png                    clips along time, classes, curves
  p3d show features/talk.npz -o talk-with-classes.mp4       the video, with the classes written in

Classes need blob prob: p3d extract talk.mp4 --blobs pool5,prob ...
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("result", metavar="FILE", help="the .npy, .npz or .json of a result")
    parser.add_argument("-o", "--out", required=True, metavar="FILE", help="an image, or .mp4")
    parser.add_argument("--top", type=int, default=3, metavar="K", help="classes (3)")
    parser.add_argument(
        "--columns", type=int, default=8, metavar="N", help="clips in a picture (8)"
    )
    parser.add_argument("--labels", metavar="FILE", help="class names (default: as extracted)")


def run(args: argparse.Namespace) -> int:
    from p3d import labels
    from p3d.error import Error
    from p3d.packing.stored import one
    from p3d.showing import overlay, timeline
    from p3d.showing.clip_classes import clip_classes

    if min(args.top, args.columns) < 1:
        raise Error("--top and --columns are counts, 1 and more")
    result = one(args.result)
    names = labels.load(args.labels) if args.labels else None
    shown = clip_classes(result, names, args.top)
    if args.out.lower().endswith(".mp4"):
        overlay.write(result, shown, args.out)
    else:
        timeline.write(result, shown, args.out, args.columns)
    count = len(shown.starts)
    print(f"{count} clip{'s' * (count != 1)} of {result.name} -> {args.out}")
    return 0
