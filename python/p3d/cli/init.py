"""`p3d init`: start weights for training, from a 2-D ResNet or a P3D net for other channels."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from p3d.start_weights import Start

RUNS_NETS = True
HELP = "make start weights for a P3D net from a 2-D ResNet-50, 101 or 152, or flow from frames"
EXAMPLES = """\
examples:
  p3d init --from ResNet-50-model.caffemodel -o start.caffemodel
  p3d init --from ResNet-152-model.caffemodel --net p3d199-ucf101-flow -o start.caffemodel
  p3d init --from p3d_frames.caffemodel --net p3d199-ucf101-flow -o start.caffemodel
  p3d train --solver prototxt/train/p3d63-ucf101/solver.prototxt --weights start.caffemodel

Temporal convolutions start as the identity (zero where they stand beside the spatial one), so that
the net is the 2-D one at first; this is checked. With --temporal gaussian they start from small
random values as in the paper. To fine-tune a P3D net, its caffemodel is all the start it takes,
unless it is of frames and the net to train of flow, or the other way round: then conv1 gets the
mean of its kernels for each channel and all else is taken, the last layer if it has the same shape.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--from",
        dest="source",
        required=True,
        metavar="CAFFEMODEL",
        help="the 2-D ResNet, with the layer names of He's release, or a P3D net",
    )
    parser.add_argument(
        "--net",
        metavar="NAME|FILE",
        help="a net of `p3d models`, or a deploy prototxt (default: the frame net as deep)",
    )
    parser.add_argument("-o", "--out", required=True, metavar="FILE", help="write there")
    parser.add_argument(
        "--temporal",
        default="identity",
        choices=("identity", "gaussian"),
        help="the start of temporal convolutions (default: identity)",
    )


def run(args: argparse.Namespace) -> int:
    from p3d import start_weights

    start = start_weights.write(args.source, args.out, args.net, args.temporal)
    print(f"{args.source} -> {args.out}, for {start.net}")
    _say("taken", start.taken)
    if start.channels[0] != start.channels[1]:
        print(f"conv1: the mean of {start.channels[0]} channels for each of {start.channels[1]}")
    if not start.from_p3d:
        _say(args.temporal, start.temporal)
    _say("by the net's fillers", start.filled)
    _say("left", start.left)
    if args.temporal == "identity":
        _compare(args, start)
    return 0


_CLOSE = 1e-3


def _compare(args: argparse.Namespace, start: Start) -> None:
    from p3d import start_weights
    from p3d.error import Error

    kind = "a clip of equal channels" if start.from_p3d else "a clip of equal frames"
    net = "the net it comes from" if start.from_p3d else "the 2-D net"
    off = start_weights.difference(args.source, args.out, start.prototxt)
    if off > _CLOSE:
        raise Error(
            f"{start.net} does not start as {net}: pool5 of {kind} is off by {off:.1e} of its "
            "largest value; are its units those of `p3d models`?"
        )
    same = f"of {net}" if start.from_p3d else f"of the frame in {net}"
    print(f"pool5 of {kind} is that {same}, to {off:.1e}")


def _say(what: str, layers: Sequence[str]) -> None:
    some = ", ".join([*layers[:3], *["..."] * (len(layers) > 3)])
    count = f"{len(layers):4} layer{'s' * (len(layers) != 1)}"
    print(f"{what:20} {count}{': ' * bool(layers)}{some}")
