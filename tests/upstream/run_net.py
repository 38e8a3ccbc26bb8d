"""Runs a net in a real Caffe: python run_net.py NET.prototxt TRAIN|TEST FORWARDS OUT.npz

OUT.npz gets every blob after every forward, as <forward>/<blob>.
"""

from __future__ import annotations

import os
import sys

os.environ.setdefault("GLOG_minloglevel", "2")

import caffe
import numpy as np


def main(prototxt: str, phase: str, forwards: str, out: str) -> None:
    net = caffe.Net(prototxt, getattr(caffe, phase))
    found = {}
    for number in range(int(forwards)):
        net.forward()
        for name, blob in net.blobs.items():
            found[f"{number}/{name}"] = blob.data.copy()
    np.savez(out, **found)


if __name__ == "__main__":
    main(*sys.argv[1:])
