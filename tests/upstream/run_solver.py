"""Trains in a real Caffe: python run_solver.py SOLVER.prototxt START ITERATIONS OUT.npz

START is a .caffemodel to begin with, or a .solverstate(.h5) to go on from. OUT.npz gets the loss of
every iteration as "loss" and the weights as <layer>/<index>; a snapshot is written at the end.
"""

from __future__ import annotations

import os
import sys

os.environ.setdefault("GLOG_minloglevel", "2")

import caffe
import numpy as np


def main(prototxt: str, start: str, iterations: str, out: str) -> None:
    solver = caffe.get_solver(prototxt)
    if ".solverstate" in start:
        solver.restore(start)
    else:
        solver.net.copy_from(start)
    losses = []
    for _ in range(int(iterations)):
        solver.step(1)
        losses.append(float(solver.net.blobs["loss"].data))
    solver.snapshot()
    weights = {
        f"{name}/{index}": blob.data
        for name, blobs in solver.net.params.items()
        for index, blob in enumerate(blobs)
    }
    np.savez(out, loss=losses, **weights)


if __name__ == "__main__":
    main(*sys.argv[1:])
