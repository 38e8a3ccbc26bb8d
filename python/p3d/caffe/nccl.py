"""pycaffe's NCCL: solvers in several processes, each with a GPU of its own, that train one net."""

from __future__ import annotations

import hashlib
import math
import struct
import threading
import weakref
from collections.abc import Callable
from typing import Any

from p3d import _core, gpu, nccl
from p3d.caffe import mode, place
from p3d.caffe.proto import caffe_pb2
from p3d.error import Error
from p3d.meeting import Meeting, Member

GRACE = 1.0  # seconds for what is on its way, when another rank has ended


class NCCL:
    """A solver's way to those of the other ranks. Each process says first

        caffe.set_device(gpu); caffe.set_mode_gpu()
        caffe.set_solver_count(count); caffe.set_solver_rank(rank)

    then makes its solver, and `NCCL(solver, uid)` with the uid that one process made; this waits
    until all are there. After `bcast()` and `solver.add_callback(nccl)` every step averages the
    gradients over the ranks, so all keep the same weights. Only rank 0 tests, displays and writes
    snapshots. When a rank ends early, the others get an Error that names it.
    """

    def __init__(self, solver: Any, uid: bytes, check: Callable[[], None] = lambda: None) -> None:
        """Beyond pycaffe's: `check` is called while others are waited for, and may raise."""
        rank, count = mode.solver_rank(), mode.solver_count()
        device = gpu.used()
        if device is None or not _core.gpu_mode():
            raise Error("NCCL is for GPUs: call set_device and set_mode_gpu first")
        nccl.load()
        uid = bytes(uid)
        self._solver, self._rank = solver, rank
        self._meeting = Meeting(uid, rank, count, device, _purpose(solver), check)
        self._over = threading.Event()
        self._ended: list[Member] = []
        self._end = weakref.finalize(self, _leave, self._meeting, self._over)
        self._end.atexit = False
        _core.join_ranks(uid, rank, count)
        if rank == 0:
            self._meeting.close_door()
        watched = (self._meeting, self._over, self._ended)
        threading.Thread(target=_watch, args=watched, daemon=True).start()

    @staticmethod
    def new_uid() -> bytes:
        """What one process makes and all give to NCCL; new for every training."""
        nccl.load()
        return _core.new_ranks_id()

    def bcast(self) -> None:
        """Give all ranks the weights of rank 0, and its random numbers and places in the data, of
        which each rank has its own share.

        Raises Error where the ranks are not at the same iteration.
        """
        self._solver._updater.copy_from_rank0()
        here = place.to_message(place.save([self._solver.net])).SerializeToString()
        head = struct.pack("<qq", self._solver.iter, len(here))
        iteration, size = struct.unpack("<qq", _core.from_rank0(head))
        message = caffe_pb2.SolverPlace.FromString(_core.from_rank0(here[:size].ljust(size)))
        if self._solver.iter != iteration:
            raise Error(
                f"rank {self._rank} is at iteration {self._solver.iter}, rank 0 at {iteration}: "
                "restore the same snapshot on every rank"
            )
        place.follow(message, [self._solver.net])
        self._hear_others()

    def on_start(self) -> None:
        """For add_callback."""

    def on_gradients_ready(self) -> None:
        """For add_callback: gradients become their mean over the ranks."""
        self._solver._updater.average_over_ranks()
        self._hear_others()

    def mean(self, value: float) -> float:
        """Of the values of all ranks."""
        values = _core.from_all_ranks(struct.pack("<d", value))
        return math.fsum(struct.unpack("<d", each)[0] for each in values) / len(values)

    def _hear_others(self) -> None:
        """The solver's snapshots have what recurrent layers hand on, that of every rank."""
        if not (own := place.handed_on(self._solver.net)):
            return
        message = caffe_pb2.SolverPlace()
        for name, state in own.items():
            message.layer.add(layer=name, state=state)
        self._solver._others = {
            (rank, entry.layer): entry.state
            for rank, part in enumerate(_exchange(message.SerializeToString()))
            for entry in caffe_pb2.SolverPlace.FromString(part).layer
            if rank != self._rank
        }

    @property
    def ended(self) -> int | None:
        """The rank whose end has ended the training, None as long as all live."""
        return self._ended[0].rank if self._ended else None

    def check(self) -> None:
        """Raises Error where another rank has ended: what came of its values is worth nothing."""
        _core.check_ranks()

    def leave(self) -> None:
        """Nothing more is exchanged; the other ranks learn that this one has ended."""
        if self._end.alive:
            _core.abort_ranks("this rank has left")
            self._end()


def _purpose(solver: Any) -> str:
    """What is the same on all ranks, or they would exchange values of different kinds."""
    param, net = solver.param, solver.net
    shapes = [[tuple(blob.shape) for blob in layer.blobs] for layer in net.layers]
    synchronised = [d.name for d in net.param.layer if d.type == "BN" and d.bn_param.sync]
    kind = (solver.type, param.iter_size, param.lr_policy, shapes, synchronised)
    return hashlib.sha256(repr((*kind, solver._updater.params)).encode()).hexdigest()


def _exchange(own: bytes) -> list[bytes]:
    """The bytes of all ranks, whose lengths may differ."""
    lengths = [
        struct.unpack("<q", length)[0]
        for length in _core.from_all_ranks(struct.pack("<q", len(own)))
    ]
    parts = _core.from_all_ranks(own.ljust(max(lengths), b"\0"))
    return [part[:length] for part, length in zip(parts, lengths, strict=True)]


def _watch(meeting: Meeting, over: threading.Event, ended: list[Member]) -> None:
    """Until it is over, or another rank is: then nobody waits for it any longer."""
    while not over.wait(0.1):
        if (gone := meeting.ended()) is not None:
            if not over.wait(GRACE):
                ended.append(gone)
                _core.abort_ranks(f"{gone} has ended, so the training cannot go on")
            return


def _leave(meeting: Meeting, over: threading.Event) -> None:
    over.set()
    _core.leave_ranks()
    meeting.leave()
