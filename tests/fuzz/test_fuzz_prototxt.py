"""Thousands of damaged prototxts, in an engine with sanitizers: each works or is refused."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import cpp
import pytest

PROGRAM = Path(__file__).with_name("mutated_prototxts.py")
CASES = 20_000


def test_damaged_prototxts() -> None:
    try:
        environment = cpp.sanitized_package()
    except RuntimeError as error:
        pytest.skip(f"no engine with sanitizers: {str(error)[-500:]}")
    command = [sys.executable, str(PROGRAM), "0", str(CASES)]
    done = subprocess.run(
        command, env=environment, capture_output=True, text=True, errors="replace", check=False
    )
    last = done.stderr[-4000:]
    assert done.returncode == 0, f"{last}\nrepeat with {sys.executable} {PROGRAM} CASE 1"
    worked, refused = map(int, re.findall(r"\d+", done.stdout))
    assert worked + refused == CASES
    assert min(worked, refused) > CASES // 10, "the mutations are too weak or too strong"
