"""The roof that reports compare with."""

from __future__ import annotations

import pytest

from p3d import _core


@pytest.fixture(autouse=True)
def restore():
    before = _core.isa(), _core.num_threads()
    yield
    _core.set_isa(before[0])
    _core.set_num_threads(before[1])


@pytest.mark.parametrize("isa", _core.isa_names())
@pytest.mark.parametrize("threads", [1, 3])
def test_every_set_has_a_peak(isa, threads):
    _core.set_isa(isa)
    _core.set_num_threads(threads)
    assert 0.05 < _core.fma_peak(0) < 1e5
