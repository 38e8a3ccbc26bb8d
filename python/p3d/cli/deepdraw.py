"""`p3d deepdraw`: what a class, or a channel, looks for."""

from __future__ import annotations

import argparse
from typing import Any

from p3d.cli._relax_reshape import add_relax_reshape

RUNS_NETS = True
HELP = "the clip that a class, or a channel of any blob, likes best, as a video"
EXAMPLES = """\
examples:
  p3d deepdraw "playing guitar" --weights W -o guitar.mp4
  p3d deepdraw 17 --blob res4b35 --weights W -o channel.png       channel 17; a frame beside another

It starts from noise and changes the clip so that the class's score grows (gradient ascent): a
forward and a backward for each of --steps, some minutes for P3D-199 on a few cores. Of weights for
flow the picture shows where things move by colours: x from left to right is red, y down is green.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("what", metavar="CLASS|CHANNEL", help="a class by name, or a number from 0")
    parser.add_argument("--weights", required=True, metavar="W", help=".caffemodel(.h5)")
    parser.add_argument("-o", "--out", required=True, metavar="FILE", help=".mp4, or an image")
    parser.add_argument(
        "--net", metavar="NAME|FILE", help="of `p3d models`, or a prototxt (default: the weights')"
    )
    parser.add_argument("--blob", metavar="B", help="(default: what the last Softmax reads)")
    parser.add_argument("--labels", metavar="FILE", help="class names (default: the weights')")
    parser.add_argument("--steps", type=int, default=200, metavar="N", help="of the ascent (200)")
    parser.add_argument("--seed", type=int, default=1, metavar="N", help="of the noise (1)")
    parser.add_argument("--threads", type=int, metavar="N", help="default: all cores")
    add_relax_reshape(parser)


def run(args: argparse.Namespace) -> int:
    from tqdm import tqdm

    from p3d import deepdraw
    from p3d.caffe import backend
    from p3d.error import Error
    from p3d.labels import check_count
    from p3d.loading import check_filled, load_net
    from p3d.showing import drawn_clip

    if not 1 <= args.steps <= 100_000 or args.seed < 0:
        raise Error(
            f"--steps {args.steps}, --seed {args.seed}: --steps takes 1 to 100000, --seed 0 or more"
        )
    drawn_clip.check_place(args.out)
    if args.threads is not None:
        backend.set_num_threads(args.threads)
    loaded = load_net(
        args.weights,
        args.net,
        labels=args.labels,
        relax_reshape=args.relax_reshape,
        backward=True,
    )
    blob = args.blob or deepdraw.class_scores(loaded.net)
    check_filled(loaded, [blob])
    channels = deepdraw.channels_of(loaded.net, blob)
    names = loaded.labels
    if names is not None and args.blob is None:
        check_count(names, channels)
    elif names is not None and len(names) != channels:  # it is no blob of classes
        names = None
    channel = deepdraw.channel_named(args.what, names)
    schedule = deepdraw.Schedule(steps=args.steps)
    with tqdm(total=args.steps, unit="step", disable=None, dynamic_ncols=True) as bar:

        def on_step(score: float) -> None:
            bar.set_postfix_str(f"{score:.4g}", refresh=False)
            bar.update()

        drawn = deepdraw.draw(loaded.net, blob, channel, schedule, args.seed, on_step)
    path = drawn_clip.write(drawn.pixels, args.out)
    print(f"{args.what}: {_told(blob, channel, drawn.scores)} -> {path}")
    return 0


def _told(blob: str, channel: int, scores: Any) -> str:
    return f"{blob}[{channel}] {scores[0]:.4g}, after {len(scores) - 1} steps {scores[-1]:.4g}"
