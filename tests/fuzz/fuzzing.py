"""Runs a program on many damaged files, a part of them on each processor."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

Run = Callable[[int, int], subprocess.CompletedProcess[str]]


def check(run: Run, cases: int, repeat: str) -> None:
    """run(first, count) prints how many of these cases were read and how many were refused, or
    ends with another code than 0; `repeat` says how to do that for one case."""
    parts = len(os.sched_getaffinity(0))
    edges = [cases * part // parts for part in range(parts + 1)]
    with ThreadPoolExecutor(parts) as pool:
        counts = [end - first for first, end in pairwise(edges)]
        done = list(pool.map(run, edges[:-1], counts))
    for part in done:
        assert part.returncode == 0, f"{part.stderr[-4000:]}\nrepeat with {repeat}"
    read, refused = (
        sum(int(number) for number in numbers)
        for numbers in zip(*(re.findall(r"\d+", part.stdout) for part in done), strict=True)
    )
    assert read + refused == cases
    assert min(read, refused) > cases // 10, "the mutations are too weak or too strong"
