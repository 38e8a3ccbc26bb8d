"""Rows of a rank's own for test_ranks_command.py, and what happens to it in mid-training.

$ACTING is "rank:iteration:action"; rank * is every one.
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from typing import Any

import training_nets

import p3d.caffe as caffe


class Rows(training_nets.Rows):
    def setup(self, bottom: Any, top: Any) -> None:
        super().setup(bottom, top)
        if self.phase == caffe.TRAIN:
            Path(f"rank{caffe.solver_rank()}.pid").write_text(str(os.getpid()))

    def forward(self, bottom: Any, top: Any) -> None:
        rank = caffe.solver_rank()
        if self.phase == caffe.TRAIN:
            for who, when, action in [text.split(":") for text in [os.environ["ACTING"]] if text]:
                if who in ("*", str(rank)) and int(when) == self.position:
                    getattr(sys.modules[__name__], action)()
        super().forward(bottom, top)
        top[0].data[...] += rank


def kill() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def interrupt() -> None:
    os.kill(os.getpid(), signal.SIGINT)


def fail() -> None:
    raise OSError("the disk with the rows is gone")
