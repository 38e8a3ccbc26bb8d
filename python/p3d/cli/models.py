"""`p3d models`: which nets there are, each of them as a prototxt, and how to train it."""

from __future__ import annotations

import argparse
import os
import sys
import warnings
from typing import Any

from p3d.cli._size import size

HELP = "list the known nets, print one as a prototxt, or write what training it takes"
EXAMPLES = """\
examples:
  p3d models
  p3d models p3d199-kinetics > deploy.prototxt
  p3d models p3d63-kinetics --classes 101 --head fc_ucf101 --crop 224
  p3d models p3d199-kinetics --length 64 --any-length
  p3d models p3d63-ucf101 --train own --data own/videos --classes 5 --head fc_own

--train writes own/train_val.prototxt and own/solver.prototxt, which read own/videos/train.txt and
own/videos/test.txt: lines `path label`, paths relative to own/videos, labels from 0. Have the lists
ready: as UCF-101's, yours is gone through 100 times, in 200 updates of 128 clips at least, and a
test takes each video once. The files of all nets and their data sets, in the authors' way, are in
prototxt/train; comments say what was published and what is our choice.
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
    parser.add_argument("--crop", type=size, metavar="N|HxW", help="frame size (default: 160)")
    parser.add_argument("--length", type=int, metavar="N", help="frames of a clip (default: 16)")
    parser.add_argument(
        "--batch", type=int, metavar="N", help="clips at once (default: 1; in training 8)"
    )
    parser.add_argument(
        "--kinds", metavar="WORD", help="cycle of unit kinds (default: ABC; S: no temporal part)"
    )
    parser.add_argument(
        "--units", type=_units, metavar="N,N,N,N", help="of res2 to res5 (default: as published)"
    )
    parser.add_argument("--width", type=int, metavar="N", help="channels of conv1 (default: 64)")
    parser.add_argument(
        "--any-length",
        action="store_true",
        default=None,
        help="keep res5 3-D and average over time too, for clips of more than 16 frames",
    )
    parser.add_argument(
        "--scratch",
        action="store_true",
        default=None,
        help="train every BN, to learn without start weights",
    )
    out = parser.add_mutually_exclusive_group()
    out.add_argument("-o", "--out", metavar="FILE", help="write there (default: print)")
    out.add_argument(
        "--train",
        metavar="DIR",
        help="write train_val.prototxt, solver.prototxt and deploy.prototxt there",
    )
    parser.add_argument(
        "--data",
        metavar="DIR",
        help="with --train: where train.txt and test.txt are (default: data/ and the data set)",
    )
    parser.add_argument(
        "--no-mirror",
        dest="mirror",
        action="store_false",
        help="with --train: never flip clips, for classes that tell left from right",
    )


def run(args: argparse.Namespace) -> int:
    from p3d import models
    from p3d.atomic import replacing
    from p3d.error import Error

    options = {name: getattr(args, name) for name in _OPTIONS}
    if args.train is None and (args.data is not None or not args.mirror):
        raise Error("--data and --no-mirror say how to train: name a folder with --train")
    if args.name is None:
        if args.out or args.train or any(value is not None for value in options.values()):
            raise Error("of which net? Name one of those that `p3d models` lists")
        for name in models.names():
            print(f"{name:22} {models.describe(name)}")
        return 0
    if args.train is not None:
        return _write_training(args, options)
    text = models.prototxt(args.name, **options)
    if args.out is None:
        sys.stdout.write(text)
    else:
        with replacing(args.out, "w") as file:
            file.write(text)
        print(f"wrote {args.out}")
    return 0


_OPTIONS = (
    "classes",
    "head",
    "crop",
    "length",
    "batch",
    "kinds",
    "any_length",
    "units",
    "width",
    "scratch",
)


def _write_training(args: argparse.Namespace, options: dict[str, Any]) -> int:
    from p3d import models
    from p3d.atomic import replacing
    from p3d.error import Error

    deployed = {**options, "batch": None, "scratch": None}
    trained, tested = (_videos(args.data, f"{part}.txt") for part in ("train", "test"))
    texts = {
        "train_val": models.train_val(
            args.name, data=args.data, mirror=args.mirror, tested=tested, **options
        ),
        "deploy": models.prototxt(args.name, **deployed),
        "solver": models.solver(
            args.name, folder=args.train, batch=args.batch, trained=trained, tested=tested
        ),
    }
    files = {os.path.join(args.train, f"{what}.prototxt"): text for what, text in texts.items()}
    for path, text in files.items():
        if _differs(path, text):
            raise Error(
                f"{path} is there and says something else: remove it, or name another folder"
            )
    os.makedirs(args.train, exist_ok=True)
    for path, text in files.items():
        with replacing(path, "w") as file:
            file.write(text)
        print(f"wrote {path}")
    return 0


def _differs(path: str, text: str) -> bool:
    """Whether there is such a file that somebody may have changed."""
    if not os.path.exists(path):
        return False
    with open(path, "rb") as file:
        return file.read() != text.encode()


def _videos(data: str | None, name: str) -> int | None:
    """The number of videos in a list of one's own, which may be made later."""
    if data is None:
        return None
    path, count = os.path.join(data, name), 0
    if os.path.isfile(path):
        with open(path, "rb") as file:
            count = sum(1 for line in file if line.strip())
    if count == 0:
        warnings.warn(
            f"no videos are in {path} yet: the solver is for as many as the data set's {name} has",
            stacklevel=1,
        )
    return count or None


def _units(text: str) -> tuple[int, ...]:
    return tuple(map(int, text.split(",")))
