"""Where the randomness of data comes from."""

from __future__ import annotations

import secrets

import numpy as np

from p3d.caffe import backend


def new_seed() -> int:
    """Follows from caffe.set_random_seed in the embedded engine; a real Caffe keeps its own to
    itself, and the operating system gives one."""
    if backend.current() == "embedded":
        from p3d import _core

        return _core.next_seed()
    return secrets.randbits(64)


def generator(seed: int, *place: int) -> np.random.Generator:
    """The random numbers of one place (epoch, item...), the same whenever it is asked for."""
    return np.random.Generator(np.random.PCG64([seed, *place]))
