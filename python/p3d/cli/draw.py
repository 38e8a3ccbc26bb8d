"""`p3d draw`: a picture of a net."""

from __future__ import annotations

import argparse

HELP = "draw a net"
EXAMPLES = """\
examples:
  p3d draw p3d63-kinetics -o p3d63.svg --shapes
  p3d draw train_val.prototxt -o net.svg --phase TRAIN --rankdir LR
  p3d draw deploy.prototxt -o net.png          (needs pydot and graphviz)
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("net", metavar="NET|PROTOTXT", help="a name of `p3d models`, or a file")
    parser.add_argument(
        "-o", "--out", required=True, metavar="FILE", help="the picture; its ending says the format"
    )
    parser.add_argument(
        "--rankdir", choices=("TB", "LR", "BT", "RL"), default="TB", help="where data flows (TB)"
    )
    parser.add_argument("--phase", choices=("TRAIN", "TEST"), help="only the layers of that phase")
    parser.add_argument(
        "--shapes", action="store_true", help="write the shapes of the blobs (svg; builds the net)"
    )


def run(args: argparse.Namespace) -> int:
    from p3d.caffe import TEST, TRAIN, Net, draw
    from p3d.caffe.prototxt import parse_net
    from p3d.export.sources import net_text

    _, text = net_text(None, args.net)
    net = parse_net(text, args.net)
    phase = {"TRAIN": TRAIN, "TEST": TEST, None: None}[args.phase]
    shapes = None
    if args.shapes:
        shapes = draw.blob_shapes(Net(text, TEST if phase is None else phase))
    draw.draw_net_to_file(net, args.out, args.rankdir, phase=phase, shapes=shapes)
    print(f"wrote {args.out}")
    return 0
