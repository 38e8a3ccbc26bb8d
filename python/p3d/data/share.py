"""Which items of its data a layer takes where several processes train one net."""

from __future__ import annotations

import sys
from typing import Any, NamedTuple

from p3d.caffe import backend


class Share(NamedTuple):
    """Of `ranks` items in a row, the one at place `rank`."""

    rank: int
    ranks: int


ALL = Share(0, 1)


def of_this_process(train: bool) -> Share:
    """In phase TRAIN every rank (see caffe.NCCL) has its own items, all of one order, so that n
    batches of n ranks are one batch n times as large. TEST takes all."""
    if not train:
        return ALL
    caffe = _caffe()
    if not hasattr(caffe, "solver_count"):  # an old Caffe
        return ALL
    return Share(caffe.solver_rank(), caffe.solver_count())


def _caffe() -> Any:
    """A real one that runs by itself has not been chosen as a backend."""
    if not backend.is_settled() and "caffe" in sys.modules:
        return sys.modules["caffe"]
    return backend.interface()
