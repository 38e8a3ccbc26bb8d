from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from golden_cases import ISAS

import p3d.caffe as caffe
from p3d import _core


@pytest.fixture(params=ISAS)
def isa(request: pytest.FixtureRequest) -> Iterator[str]:
    """Runs the test with every instruction set of this machine, on a GPU with the fastest."""
    if _core.gpu_mode() and request.param != ISAS[-1]:
        pytest.skip("kernels of the GPU have no instruction set")
    before = _core.isa()
    _core.set_isa(request.param)
    yield request.param
    _core.set_isa(before)


@pytest.fixture
def in_bf16() -> Iterator[None]:
    """Runs the test in bfloat16; it may choose instruction sets."""
    before = _core.isa()
    caffe.set_precision("bf16")
    yield
    caffe.set_precision("float32")
    _core.set_isa(before)


@pytest.fixture(autouse=True)
def long_double() -> Iterator[None]:
    """Fails where the engine left long double without registers: MMX, which a compiler may use for
    vectors unasked, takes them, and importing h5py crashes then."""
    yield
    assert np.longdouble(1) + np.longdouble(1) == 2
