from __future__ import annotations

from collections.abc import Iterator

import pytest
from golden_cases import ISAS

from p3d import _core


@pytest.fixture(params=ISAS)
def isa(request: pytest.FixtureRequest) -> Iterator[str]:
    """Runs the test with every instruction set of this machine."""
    before = _core.isa()
    _core.set_isa(request.param)
    yield request.param
    _core.set_isa(before)
