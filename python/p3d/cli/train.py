"""`p3d train`: a net from a solver.prototxt."""

from __future__ import annotations

import argparse
import contextlib
import os
import warnings
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import Any

RUNS_NETS = True
SEVERAL_GPUS = True
HELP = "train a net as a solver.prototxt says"
EXAMPLES = """\
examples:
  p3d train --solver prototxt/train/p3d63-ucf101/solver.prototxt --weights start.caffemodel
  p3d train --solver solver.prototxt --snapshot snapshots/p3d_iter_500.solverstate
  p3d train --solver solver.prototxt --weights p3d_resnet_kinetics_iter_190000.caffemodel
  p3d train --solver solver.prototxt --device cuda:0,1

Ctrl-C (and SIGTERM) writes a snapshot at the end of the iteration and stops; SIGHUP writes one and
goes on. What went wrong for another reason leaves a snapshot of the last iteration that was
complete and finite, or a line that says why it could not. A training that goes on from a snapshot
equals one that never stopped, bit for bit: data, augmentation and dropout too.

Several GPUs of one machine (--device cuda:0,1 or cuda:all; Caffe's -gpu 0,1 or all) train one net,
each with batches of its own of the prototxt's batch_size, so the batch is as many times as large.
A BN with `sync: true` takes its statistics from all of them. Needs nvidia-nccl-cu13 of PyPI.

The log on standard error has Caffe's words. train.jsonl, beside the snapshots, has the same for
programs and for `p3d plot`; TensorBoard's files are written where its writer is installed.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    from p3d.training.signals import EFFECTS

    parser.add_argument("--solver", required=True, metavar="PROTOTXT", help="what to do")
    start = parser.add_mutually_exclusive_group()
    start.add_argument(
        "--weights", metavar="W[,W]", help="start from these .caffemodel(.h5), by layers' names"
    )
    start.add_argument("--snapshot", metavar="STATE", help="go on from this .solverstate(.h5)")
    parser.add_argument("--threads", type=int, metavar="N", help="default: all cores")
    parser.add_argument(
        "--gpu", dest="device", type="cuda:{}".format, metavar="0,1", help="as --device cuda:0,1"
    )
    for name, usual in (("sigint", "stop"), ("sighup", "snapshot")):
        parser.add_argument(
            f"--{name}-effect",
            choices=EFFECTS,
            default=usual,
            help=f"what {name.upper()} does (default: {usual})",
        )


def run(args: argparse.Namespace) -> int:
    from p3d import gpu
    from p3d.caffe import backend
    from p3d.training import glog, signals

    device = args.device or os.environ.get("P3D_DEVICE")
    gpus = gpu.several(device) if device else []
    if len(gpus) == 1:
        os.environ["P3D_DEVICE"] = f"cuda:{gpus[0]}"
    threads = args.threads
    if threads is None and len(gpus) > 1:
        threads = _threads_of_each(gpus)
    if threads is not None:
        backend.set_num_threads(threads)
    if not device:
        _heed_solver_mode(args.solver)
    with glog.shown(), _others(args, gpus, threads) as joined:
        solver = _solver(args)
        effects = (args.sigint_effect, args.sighup_effect)
        with joined(solver), signals.wishes(*effects) as wishes, _bar(solver):
            _solve(solver, wishes)
    if wishes.stopped_by is None:
        return 0
    print(f"stopped at iteration {solver.iter}; go on with --snapshot")
    return 128 + wishes.stopped_by


def _threads_of_each(gpus: list[int]) -> int:
    from p3d.video.decode import cores

    return max(1, cores() // len(gpus))


@contextlib.contextmanager
def _others(
    args: argparse.Namespace, gpus: list[int], threads: int | None
) -> Iterator[Callable[[Any], AbstractContextManager[None]]]:
    """Inside, the processes of the other GPUs are there; the solver is joined to them."""
    if len(gpus) < 2:
        yield lambda _: contextlib.nullcontext()
        return
    from p3d.training.followers import following

    job = {"solver": args.solver, "snapshot": args.snapshot, "threads": threads}
    with following(gpus, job) as followers:
        yield followers.joined


def _heed_solver_mode(solver: str) -> None:
    """`solver_mode: GPU`, as `caffe train` takes it, where there are kernels for GPUs."""
    from p3d import gpu
    from p3d.caffe import backend, solver_file

    if gpu.library() is None or backend.current() != "embedded" or not os.path.isfile(solver):
        return
    param, _ = solver_file.load(solver)
    if param.HasField("solver_mode") and param.solver_mode == param.GPU:
        backend.set_device(f"cuda:{param.device_id}")


def _solver(args: argparse.Namespace) -> Any:
    """The solver, where it starts, with those that look on."""
    from p3d import caffe
    from p3d.error import Error
    from p3d.training import record

    start = [name.strip() for name in args.weights.split(",")] if args.weights else []
    for path in (args.solver, *start, *filter(None, [args.snapshot])):
        if not os.path.isfile(path):  # a real Caffe would end the process
            kind = "it is no file" if os.path.exists(path) else "there is no such file"
            raise Error(f"{path}: {kind}")
    solver = caffe.get_solver(args.solver)
    for weights in start:
        solver.net.copy_from(weights)
    if args.snapshot:
        solver.restore(args.snapshot)
    if hasattr(solver, "observers"):
        _warn_of_nothing(solver.param, args.solver)
        if not (start or args.snapshot or solver.param.weights):
            _warn_of_frozen(solver.net.param, args.solver)
        path = record.path_of(solver.param.snapshot_prefix)
        solver.observers.append(record.Record(path, solver.iter))
        if (board := record.tensorboard(os.path.dirname(path) or ".")) is not None:
            solver.observers.append(board)
    return solver


def _warn_of_nothing(param: Any, solver: str) -> None:
    """A missing number is 0 to Caffe, too, and such a training ends as if all were well."""
    for name, what in (
        ("max_iter", "the training ends at once"),
        ("base_lr", "nothing is learned"),
    ):
        if not param.HasField(name):
            warnings.warn(f"{solver} has no {name}: {what}", stacklevel=1)


def _warn_of_frozen(net: Any, solver: str) -> None:
    """Of BN that nothing fits to the data: those that are frozen and come from no weights."""
    frozen = [layer.name for layer in net.layer if layer.type == "BN" and layer.bn_param.frozen]
    if frozen:
        warnings.warn(
            f"{solver} starts without weights, and BN is frozen in {len(frozen)} of its "
            f"layers, such as '{frozen[0]}': they stay as they are, and little is learned; give "
            "--weights, or let BN learn (`p3d models --scratch`)",
            stacklevel=1,
        )


def _solve(solver: Any, wishes: Any) -> None:
    """Up to max_iter. A real Caffe's solver is not asked in mid-solve, so it is led by steps."""
    if hasattr(solver, "requested_action"):
        solver.requested_action = wishes.take
        solver.solve()
        return
    wish = None
    while solver.iter < solver.param.max_iter and wish != "stop":
        solver.step(1)
        if (wish := wishes.take()) is not None:
            solver.snapshot()
    if wish != "stop":
        solver.snapshot()


@contextlib.contextmanager
def _bar(solver: Any) -> Iterator[None]:
    """On a terminal: iterations and the time left."""
    from tqdm import tqdm

    total, start = solver.param.max_iter, solver.iter
    with tqdm(total=total, initial=start, unit="iter", disable=None, dynamic_ncols=True) as bar:
        solver.add_callback(lambda: None, bar.update)
        yield
