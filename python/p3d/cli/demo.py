"""`p3d demo`: extraction and training from end to end, without anything to download."""

from __future__ import annotations

import argparse
import os
import time
from typing import Any

RUNS_NETS = True
HELP = "make videos and random weights, extract features; or make videos and train on them"
EXAMPLES = """\
examples:
  p3d demo
  p3d demo --net p3d63-kinetics --out /tmp/p3d-demo --cache /tmp/p3d-cache

  p3d demo train

`p3d demo train` draws videos of eight motions, each of which is another one backwards in time, and
trains a small P3D net on them and the same net without its temporal convolutions, which cannot see
the direction of time. It takes some minutes and writes videos, prototxts, weights and pictures.

The random weights (254 MiB for P3D-199) are kept in the cache; delete them there when you are done.
"""
_REAL = """\
Real weights are the files that the authors released (see the README of their repository,
ZhaofanQiu/pseudo-3d-residual-networks); put them anywhere and name them:
  p3d extract {video} --weights p3d_resnet_kinetics_iter_190000.caffemodel
  p3d extract {video} --weights p3d_resnet_sports1m_iter_150000.caffemodel
`p3d info FILE` tells whether a file is what it should be."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "what", nargs="?", default="extract", choices=("extract", "train"), help="default: extract"
    )
    parser.add_argument(
        "--out", default="p3d-demo", metavar="DIR", help="where to write (default: p3d-demo)"
    )
    parser.add_argument(
        "--cache",
        metavar="DIR",
        help="where weights are kept (default: $P3D_CACHE, or else ~/.cache/caffe-p3d)",
    )
    parser.add_argument(
        "--net", metavar="NAME", help="a net for frames of `p3d models` (default: p3d199-kinetics)"
    )
    parser.add_argument("--crop", type=int, metavar="N", help="pixels on a side (default: 160)")
    parser.add_argument(
        "--iterations", type=int, metavar="N", help="of the training of each net (default: 400)"
    )


def run(args: argparse.Namespace) -> int:
    return _train(args) if args.what == "train" else _extract(args)


def _train(args: argparse.Namespace) -> int:
    from p3d import learning_demo as demo
    from p3d.error import Error

    for option in ("net", "crop"):
        if getattr(args, option) is not None:
            raise Error(f"train has a net of its own: --{option} is for `p3d demo` alone")
    size = demo.Size() if args.iterations is None else demo.Size(args.iterations)
    start = time.perf_counter()
    learned = demo.learn(args.out, size, print)
    print(f"\n{'test videos':28} {'right':>6} {'but for the direction of time':>30}")
    for name, table in learned.tables.items():
        right, pairs = demo.accuracy(table), demo.pair_accuracy(table)
        print(f"{_NETS[name]:28} {right:6.1%} {pairs:30.1%}")
    print(f"\n{time.perf_counter() - start:.0f} s; {learned.curves}, {learned.confusion}")
    return 0


_NETS = {"p3d": "P3D", "without-t": "without temporal kernels"}


def _extract(args: argparse.Namespace) -> int:
    from p3d import demo, gpu, random_weights
    from p3d.extractor import Extractor
    from p3d.jobs.output import Output
    from p3d.jobs.result import Result

    net = args.net or "p3d199-kinetics"
    weights = os.path.join(
        args.cache or gpu.cache(), f"{net}-random-{random_weights.SEED}.caffemodel"
    )
    demo.write_weights(weights, net)
    videos = demo.write_videos(os.path.join(args.out, "videos"))
    extractor = Extractor(weights, blobs=("pool5", "prob"), crop=args.crop)
    start = time.perf_counter()
    clips, lines = 0, []
    print("\nRANDOM WEIGHTS: the numbers are computed as always, the classes mean nothing\n")
    print(f"{'video':12} {'frames':>6} {'clips':>5} {'|pool5|':>8}  likeliest classes")
    for video, features in zip(videos, extractor.extract_many(videos), strict=True):
        if isinstance(features, Exception):
            raise features
        name = os.path.splitext(os.path.basename(video))[0]
        result = Result(os.path.join(args.out, "features", name), Output("npz"), 1, None)
        for number, row in enumerate(zip(*features.values(), strict=True)):
            result.add(number, dict(zip(features, row, strict=True)))
        result.finish(features.meta)
        clips += len(features["pool5"])
        lines.append(_line(os.path.basename(video), extractor, features))
        print(lines[-1])
    seconds = time.perf_counter() - start
    picture = os.path.join(args.out, "clips.png")
    captions = [f"{line.split()[0]} (RANDOM WEIGHTS)" for line in lines]
    demo.write_picture(picture, videos, extractor.recipe, captions)
    print(f"\n{clips} clips in {seconds:.1f} s, {clips / seconds:.1f} clips/s")
    print(f"features: {os.path.join(args.out, 'features')}   clips as a picture: {picture}\n")
    print(_REAL.format(video=videos[0]))
    return 0


def _line(video: str, extractor: Any, features: Any) -> str:
    length = sum(float(v) ** 2 for v in features["pool5"].mean(axis=0)) ** 0.5
    best = ", ".join(f"{name} {p:.3f}" for name, p in extractor.top(features, 3))
    clips = len(features["pool5"])
    return f"{video:12} {features.meta['frames']:6} {clips:5} {length:8.3f}  {best}"
