"""`p3d test`: how well a net does on its test data."""

from __future__ import annotations

import argparse
import json
from typing import Any

RUNS_NETS = True
HELP = "score a net on its test data"
EXAMPLES = """\
examples:
  p3d test --solver solver.prototxt --weights snapshots/p3d_iter_7500.caffemodel
  p3d test --model train_val.prototxt --weights W.caffemodel --iterations 100 --json

Every batch's outputs and their means are told in the words of `caffe test`.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--model", "--net", metavar="PROTOTXT", help="the net, taken in phase TEST")
    what.add_argument("--solver", metavar="PROTOTXT", help="its (first) test net and test_iter")
    parser.add_argument("--weights", required=True, metavar="W", help=".caffemodel(.h5)")
    parser.add_argument(
        "--iterations", type=int, metavar="N", help="batches (default: the solver's, or 50)"
    )
    parser.add_argument("--threads", type=int, metavar="N", help="default: all cores")
    parser.add_argument(
        "--gpu", dest="device", type="cuda:{}".format, metavar="N", help="as --device cuda:N"
    )
    parser.add_argument("--json", action="store_true", help="print the means as one JSON object")


def run(args: argparse.Namespace) -> int:
    from p3d.caffe import backend
    from p3d.error import Error
    from p3d.training import scoring

    if args.iterations is not None and args.iterations < 1:
        raise Error(f"--iterations {args.iterations}: at least one batch has to be scored")
    if args.threads is not None:
        backend.set_num_threads(args.threads)
    net, batches = scoring.test_net(args.model, args.solver)
    batches = args.iterations or batches
    say: Any = (lambda _: None) if args.json else print
    means = scoring.score(net, args.weights, batches, say)
    if args.json:
        print(json.dumps({"iterations": batches, **means}))
    return 0
