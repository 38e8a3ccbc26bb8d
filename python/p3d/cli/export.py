"""`p3d export`: a net with its weights as a file for other runtimes."""

from __future__ import annotations

import argparse
import os
from typing import Any

RUNS_NETS = True
HELP = "write a net and its weights as an ONNX file"
EXAMPLES = """\
examples:
  p3d export p3d_resnet_kinetics_iter_190000.caffemodel -o p3d.onnx
  p3d export finetuned.caffemodel --net deploy.prototxt --blobs pool5 -o features.onnx
  p3d export w.caffemodel --crop 224 --batch 4 --check -o p3d.onnx

Needs the package onnx: pip install 'caffe-p3d[onnx]'. Feed blobs as Caffe takes them: frames
0..255, BGR, minus 104/117/123.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "source",
        metavar="WEIGHTS|NET",
        help=".caffemodel or .caffemodel.h5; or a prototxt or a name of `p3d models`, which then "
        "gets random weights (to measure speed)",
    )
    parser.add_argument(
        "--net", metavar="NET|PROTOTXT", help="the weights' net (default: told from the weights)"
    )
    parser.add_argument("--onnx", action="store_true", help="the format (there is no other yet)")
    parser.add_argument("-o", "--out", required=True, metavar="FILE", help="the file to write")
    parser.add_argument(
        "--blobs", nargs="+", metavar="A,B", help="outputs (default: those of the net)"
    )
    parser.add_argument("--crop", type=int, metavar="N", help="frame size of a known net")
    parser.add_argument("--length", type=int, metavar="N", help="frames per clip of a known net")
    parser.add_argument("--batch", type=int, metavar="N", help="clips at once (default: any)")
    parser.add_argument(
        "--check", action="store_true", help="compare with ONNX Runtime on a random clip"
    )


def run(args: argparse.Namespace) -> int:
    from p3d.caffe.prototxt import parse_net
    from p3d.export.onnx import export
    from p3d.export.sources import net_text, random_weights, read_weights

    weights, net = _sort_out(args)
    options = {"crop": args.crop, "length": args.length, "batch": args.batch}
    name, text = net_text(weights, net, **{k: v for k, v in options.items() if v is not None})
    arrays = read_weights(weights) if weights else random_weights(text)
    param = parse_net(text, name)
    blobs = [blob for word in args.blobs or [] for blob in word.split(",")]  # as extract takes them
    export(param, arrays, args.out, blobs=blobs or None, dynamic=args.batch is None)
    print(f"{args.out}: {name}{'' if weights else ' with RANDOM WEIGHTS'}")
    return _check(text, arrays, args) if args.check else 0


def _sort_out(args: argparse.Namespace) -> tuple[str | None, str | None]:
    """(weights, net) from the positional argument and --net."""
    from p3d import models
    from p3d.error import Error

    ending = os.path.splitext(args.source)[1]
    is_net = args.source in models.names() or ending in (".prototxt", ".pt", ".txt")
    if not is_net and (ending or os.path.exists(args.source)):
        return args.source, args.net
    if args.net is not None:
        raise Error(f"{args.source} and --net {args.net} are both nets: name the weights first")
    return None, args.source


def _check(text: str, arrays: Any, args: argparse.Namespace) -> int:
    from p3d.export.check import TOLERANCE, worst_difference

    worst = worst_difference(text, arrays, args.out)
    print(f"largest difference to ONNX Runtime: {worst:.1e} of the largest value")
    return 0 if worst < TOLERANCE else 1
