"""`p3d plot`: a training as a picture."""

from __future__ import annotations

import argparse

HELP = "loss, test scores and learning rate of a training as a picture"
EXAMPLES = """\
examples:
  p3d plot snapshots/train.jsonl -o curves.png
  p3d plot caffe.INFO -o curves.png                     the log of a real Caffe
  p3d plot one/train.jsonl other/train.jsonl -o both.png
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "training", nargs="+", metavar="FILE", help="a train.jsonl, or the log of a training"
    )
    parser.add_argument("-o", "--out", required=True, metavar="FILE", help="an image, such as .png")


def run(args: argparse.Namespace) -> int:
    from p3d.showing import training_curves
    from p3d.training import caffe_log, record

    trainings = {}
    for path in args.training:
        if path.endswith(".jsonl"):
            trainings[path] = list(record.read(path))
        else:
            with open(path, encoding="utf-8", errors="replace") as file:
                trainings[path] = list(caffe_log.events(file))
    points = training_curves.write(trainings, args.out)
    print(f"{points} points of {', '.join(args.training)} -> {args.out}")
    return 0
