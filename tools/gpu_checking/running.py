"""Programs, what they print, and the rows of the table that it makes."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]
PROGRAM = 240  # seconds: a kernel may wait for ever
# What measures a net may compare that many seconds more, with those of training for the first time.
CHOOSING_MORE = {"P3D_CONVOLUTION_SECONDS": "60"}


class Row(NamedTuple):
    what: str
    passed: bool
    result: str


def run(command: list[str | Path]) -> str:
    """What a command that fails prints; nothing if it succeeds."""
    return output_of(command)[0]


def output_of(
    command: Sequence[str | Path],
    environment: dict[str, str] | None = None,
    seconds: float | None = None,
) -> tuple[str, str]:
    """(what a command that fails prints, or nothing; what it prints on stdout)"""
    words = list(map(str, command))
    # A group of its own, so that nothing which it started goes on computing.
    done = subprocess.Popen(
        words,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
        start_new_session=True,
    )
    try:
        out, said = done.communicate(timeout=seconds)
    except BaseException as error:
        os.killpg(done.pid, signal.SIGKILL)
        done.communicate()
        if not isinstance(error, subprocess.TimeoutExpired):
            raise
        return f"{' '.join(words)}\nit was ended after {seconds:.0f} s", ""
    text = f"{' '.join(words)}\n{(out + said)[-4000:]}" if done.returncode else ""
    return text, out


def reason_of(error: str) -> tuple[str, bool]:
    """Why a comparison was not made, and whether that is no failure."""
    lines = error.strip().splitlines()
    refused = [line.strip() for line in lines if "REFUSED" in line]
    reason = (refused or lines)[-1]
    left_out = ("has no precision", "was ended after", "no time was left")
    return reason, any(words in reason for words in left_out)


def run_program(program: Path, arguments: list[str], seconds: float = PROGRAM) -> Row:
    """A program's row: its output."""
    command = [str(program), *arguments]
    try:
        done = subprocess.run(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=seconds
        )
    except subprocess.TimeoutExpired:
        return Row(program.name, False, f"it was ended after {seconds:.0f} s")
    return Row(program.name, done.returncode == 0, in_lines(done.stdout))


def in_lines(output: str) -> str:
    """Of a row: the line, or all of them below it if there are more."""
    lines = output.strip().splitlines()
    return "\n    ".join(["", *lines] if lines[1:] else lines)
