"""Trains one net in several processes, as a script for pycaffe does: see test_ranks.py.

The argument is JSON, see Plan. Each rank leaves `rank<r>.npz` with what it has then, `rank<r>.json`
with the losses and the error that ended it, if any.
"""

from __future__ import annotations

import json
import logging
import multiprocessing
import os
import signal
import sys
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

IN_VAIN = ("late", "same_rank")  # in which a rank waits for one that does not come


class Plan(NamedTuple):
    """What to do: iterations from `start` (a .solverstate) or the beginning."""

    solver: str
    ranks: int
    iterations: int
    out: str
    start: str | None = None
    scenario: str = "train"


def rank_of(plan: Plan, rank: int, uid: bytes) -> None:
    import p3d.caffe as caffe
    from p3d import meeting

    meeting.PATIENCE = 2.0 if plan.scenario in IN_VAIN else 120.0
    caffe.set_device(rank)
    caffe.set_mode_gpu()
    caffe.set_solver_count(plan.ranks)
    caffe.set_solver_rank(rank)
    caffe.set_multiprocess(True)
    told: dict[str, Any] = {"losses": [], "error": None, "log": [], "events": []}
    try:
        getattr(sys.modules[__name__], plan.scenario)(caffe, plan, rank, uid, told)
    except RuntimeError as error:
        told["error"] = str(error)
    Path(plan.out, f"rank{rank}.json").write_text(json.dumps(told))


def made(caffe: Any, plan: Plan) -> Any:
    solver = caffe.get_solver(plan.solver)
    if plan.start:
        solver.restore(plan.start)
    return solver


def follow(caffe: Any, plan: Plan, solver: Any, uid: bytes, told: Any) -> Any:
    nccl = None
    if plan.ranks > 1:
        nccl = caffe.NCCL(solver, uid)
        nccl.bcast()
        solver.add_callback(nccl)
        if solver.param.layer_wise_reduce:
            solver.net.after_backward(nccl)
    solver.add_callback(
        lambda: None, lambda: told["losses"].append(float(solver.net.blobs["loss"].data))
    )
    return nccl


def keep(plan: Plan, rank: int, solver: Any) -> None:
    values = {
        f"{name}/{i}": blob.data.copy()
        for name, blobs in solver.net.params.items()
        for i, blob in enumerate(blobs)
    }
    values |= {f"history/{i}": b.data.copy() for i, b in enumerate(solver._updater.history)}
    np.savez(Path(plan.out, f"rank{rank}.npz"), **values)


def train(caffe: Any, plan: Plan, rank: int, uid: bytes, told: Any) -> None:
    solver = made(caffe, plan)
    follow(caffe, plan, solver, uid, told)
    solver.step(plan.iterations)
    keep(plan, rank, solver)


def solve(caffe: Any, plan: Plan, rank: int, uid: bytes, told: Any) -> None:
    log = logging.getLogger("p3d")
    log.setLevel(logging.INFO)
    log.addFilter(lambda record: told["log"].append(record.getMessage()) or True)
    solver = made(caffe, plan)
    solver.observers.append(told["events"].append)
    follow(caffe, plan, solver, uid, told)
    solver.solve()
    keep(plan, rank, solver)


def bcast(caffe: Any, plan: Plan, rank: int, uid: bytes, told: Any) -> None:
    from p3d import _core

    solver = made(caffe, plan)
    for blobs in solver.net.params.values():
        for blob in blobs:
            blob.data[...] += rank
    if plan.ranks > 1:
        caffe.NCCL(solver, uid).bcast()
    told["random"] = _core.random_state()
    told["batch"] = solver.net.forward(["label"])["label"].tolist()
    keep(plan, rank, solver)


def _end_in_mid_training(caffe: Any, plan: Plan, rank: int, uid: bytes, told: Any, end: Any):
    solver = made(caffe, plan)
    follow(caffe, plan, solver, uid, told)
    if rank == plan.ranks - 1:
        solver.add_callback(lambda: solver.iter == 3 and end(), lambda: None)
    solver.step(plan.iterations)


def killed(caffe: Any, plan: Plan, rank: int, uid: bytes, told: Any) -> None:
    def end() -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    _end_in_mid_training(caffe, plan, rank, uid, told, end)


def raising(caffe: Any, plan: Plan, rank: int, uid: bytes, told: Any) -> None:
    """The process goes on living."""

    def end() -> None:
        raise RuntimeError("the disk with the clips is gone")

    _end_in_mid_training(caffe, plan, rank, uid, told, end)


def diverging(caffe: Any, plan: Plan, rank: int, uid: bytes, told: Any) -> None:
    """One rank alone has weights that are no numbers."""
    solver = made(caffe, plan)
    follow(caffe, plan, solver, uid, told)

    def spoil() -> None:
        if solver.iter == 3 and rank == plan.ranks - 1:
            solver.net.params["fc"][0].data[0, 0] = np.nan

    solver.add_callback(spoil, lambda: None)
    solver.step(plan.iterations)


def passes(caffe: Any, plan: Plan, rank: int, uid: bytes, told: Any) -> None:
    """One forward and backward, layer by layer."""
    solver = made(caffe, plan)
    if plan.ranks > 1:
        nccl = caffe.NCCL(solver, uid)
        nccl.bcast()
    net = solver.net
    net.run_by_layer()
    net.forward()
    net.clear_param_diffs()
    net.backward()
    values = {f"{name} data": net.blobs[name].data for name in ("bn", "fc")}
    values |= {"conv diff": net.blobs["conv"].diff}
    values |= {f"{name} gradient": net.params[name][0].diff for name in ("conv", "bn")}
    values |= {"bias gradient": net.params["bn"][1].diff}
    values |= {f"running {i}": net.params["bn"][i].data for i in (2, 3)}
    np.savez(Path(plan.out, f"rank{rank}.npz"), **values)


def first_alone(caffe: Any, plan: Plan, rank: int, uid: bytes, told: Any) -> None:
    """Rank 0 runs its net while the other already waits for the next joint step."""
    solver = made(caffe, plan)
    nccl = caffe.NCCL(solver, uid)
    for _ in range(3):
        if rank == 0:
            solver.net.forward()
            solver.net.backward()
    nccl.bcast()
    keep(plan, rank, solver)


def asking_alone(caffe: Any, plan: Plan, rank: int, uid: bytes, told: Any) -> None:
    """A rank wants a gradient that its plan did not keep, which all would have to make again."""
    solver = made(caffe, plan)
    follow(caffe, plan, solver, uid, told)
    solver.step(1)
    if rank == 0:
        print(solver.net.blobs["conv"].diff.sum())


def late(caffe: Any, plan: Plan, rank: int, uid: bytes, told: Any) -> None:
    """The last rank does not come."""
    if rank < plan.ranks - 1:
        caffe.NCCL(made(caffe, plan), uid)


def same_gpu(caffe: Any, plan: Plan, rank: int, uid: bytes, told: Any) -> None:
    caffe.set_device(0)
    caffe.NCCL(made(caffe, plan), uid)


def same_rank(caffe: Any, plan: Plan, rank: int, uid: bytes, told: Any) -> None:
    caffe.set_solver_rank(0)
    caffe.NCCL(made(caffe, plan), uid)


def other_count(caffe: Any, plan: Plan, rank: int, uid: bytes, told: Any) -> None:
    caffe.set_solver_count(plan.ranks + (rank == 0))
    caffe.NCCL(made(caffe, plan), uid)


def other_net(caffe: Any, plan: Plan, rank: int, uid: bytes, told: Any) -> None:
    text = Path(plan.solver).read_text()
    mine = text.replace('"fixed"', '"plateau" plateau_winsize: 5') if rank else text
    caffe.NCCL(caffe.get_solver(mine), uid)


def on_the_processor(caffe: Any, plan: Plan, rank: int, uid: bytes, told: Any) -> None:
    caffe.set_mode_cpu()
    caffe.NCCL(made(caffe, plan), uid)


def main(plan: Plan) -> None:
    import p3d.caffe as caffe

    uid = caffe.NCCL.new_uid() if plan.ranks > 1 else b""
    processes = [
        multiprocessing.Process(target=rank_of, args=(plan, rank, uid))
        for rank in range(plan.ranks)
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join()


if __name__ == "__main__":
    main(Plan(**json.loads(sys.argv[1])))
