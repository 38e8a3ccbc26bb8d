"""`p3d models`: which nets there are, and each of them as a prototxt."""

from __future__ import annotations

import argparse
import sys

HELP = "list the known nets, or print one as a prototxt"
EXAMPLES = """\
examples:
  p3d models
  p3d models p3d199-kinetics > deploy.prototxt
  p3d models p3d63-kinetics --classes 101 --head fc_ucf101 --crop 224
  p3d models p3d199-kinetics --length 64 --any-length
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", nargs="?", metavar="NAME", help="the net to print; none: list all")
    parser.add_argument("--classes", type=int, metavar="N", help="outputs (default: as published)")
    parser.add_argument(
        "--head",
        metavar="LAYER",
        help="name of the last layer (default: as published; a new name lets Caffe fine-tune "
        "weights that have another number of classes)",
    )
    parser.add_argument("--crop", type=_size, metavar="N|HxW", help="frame size (default: 160)")
    parser.add_argument("--length", type=int, metavar="N", help="frames of a clip (default: 16)")
    parser.add_argument("--batch", type=int, metavar="N", help="clips at once (default: 1)")
    parser.add_argument("--kinds", metavar="WORD", help="cycle of unit kinds (default: ABC)")
    parser.add_argument(
        "--any-length",
        action="store_true",
        default=None,
        help="keep res5 3-D and average over time too, for clips of more than 16 frames",
    )
    parser.add_argument("-o", "--out", metavar="FILE", help="write there (default: print)")


def run(args: argparse.Namespace) -> int:
    from p3d import models
    from p3d.atomic import replacing

    if args.name is None:
        for name in models.names():
            print(f"{name:22} {models.describe(name)}")
        return 0
    text = models.prototxt(
        args.name,
        classes=args.classes,
        head=args.head,
        crop=args.crop,
        length=args.length,
        batch=args.batch,
        kinds=args.kinds,
        any_length=args.any_length,
    )
    if args.out is None:
        sys.stdout.write(text)
    else:
        with replacing(args.out, "w") as file:
            file.write(text)
    return 0


def _size(text: str) -> int | tuple[int, int]:
    height, x, width = text.partition("x")
    return (int(height), int(width)) if x else int(height)
