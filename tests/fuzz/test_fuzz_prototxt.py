"""Thousands of damaged prototxts, in an engine with sanitizers: each works or is refused."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import cpp
import fuzzing
import pytest

PROGRAM = Path(__file__).with_name("mutated_prototxts.py")
CASES = 10_000


def test_damaged_prototxts() -> None:
    try:
        environment = cpp.sanitized_package()
    except RuntimeError as error:
        pytest.skip(f"no engine with sanitizers: {str(error)[-500:]}")

    def run(first: int, count: int) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, str(PROGRAM), str(first), str(count)]
        return subprocess.run(
            command, env=environment, capture_output=True, text=True, errors="replace", check=False
        )

    fuzzing.check(run, CASES, f"{sys.executable} {PROGRAM} CASE 1")
