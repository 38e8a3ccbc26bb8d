"""Checks results, then times the systems in turns."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from statistics import median
from typing import NamedTuple

import numpy as np

from .files import Job
from .systems import System
from .training_files import Training
from .worker import Failed, Worker, installed

#: How many times what one set of rounding errors changes another may change.
ROUNDING = 8


class Row(NamedTuple):
    """One system's result. `fault` says why there are no times.

    ms_per_clip and min_ms are of single clips; `times_ours` is the median over the rounds of this
    system's time over the engine's in the same round.
    """

    system: str
    precision: str
    version: str = ""
    fault: str = ""
    difference: float | None = None  # the largest, relative to its blob
    ms_per_clip: float | None = None
    min_ms: float | None = None
    times_ours: float | None = None
    first_result_s: float | None = None
    peak_mib: float | None = None


def race(
    systems: Sequence[System],
    job: Job | Training,
    *,
    batch: int,
    rounds: int,
    forwards: int,
    nudged: System | None = None,
    say: Callable[[str], object] = lambda line: None,
) -> list[Row]:
    """One row per system. The first is the engine, which has to work. Another one that is not
    installed, fails, or gives other results than the engine is not timed.

    nudged: the engine after rounding errors. A result may be off by `ROUNDING` times what that
    changes, where this is more than the system's tolerance; results are compared as a whole, for
    rounding errors change single values more than others.
    """
    with ExitStack() as stack:
        rows: dict[str, Row] = {}
        workers: dict[str, Worker] = {}
        expected: dict[str, np.ndarray] | None = None
        noise: dict[str, float] = {}
        for system in systems:
            row = Row(system.name, system.precision)
            if not installed(system):
                rows[system.name] = row._replace(fault="not installed")
                continue
            say(f"{system.name}: loads and is checked")
            worker = Worker(system, job)
            stack.callback(worker.stop)
            rows[system.name], results = _check(worker, row, expected, noise)
            if expected is None:
                expected = results
                if results is not None and nudged is not None:
                    noise = _noise(Worker(nudged, job), results)
            if rows[system.name].fault and system is systems[0]:
                raise RuntimeError(f"{system.name}: {rows[system.name].fault}")
            if rows[system.name].fault:
                worker.stop()
            else:
                workers[system.name] = worker
        times = _take_turns(workers, rounds, forwards, say)
        for name, worker in workers.items():
            rows[name] = _finish(rows[name], worker, times[name], times[systems[0].name], batch)
        return list(rows.values())


def _noise(worker: Worker, expected: dict[str, np.ndarray]) -> dict[str, float]:
    try:
        worker.start()
        results = worker.results()
    finally:
        worker.stop()
    return {name: _difference(results[name], other, True) for name, other in expected.items()}


def _check(
    worker: Worker,
    row: Row,
    expected: dict[str, np.ndarray] | None,
    noise: dict[str, float],
) -> tuple[Row, dict[str, np.ndarray] | None]:
    try:
        version, first = worker.start()
        results = worker.results()
    except Failed as failed:
        return row._replace(fault=f"fails: {failed}"), None
    differences = {
        name: _difference(results[name], other, whole=bool(noise))
        for name, other in (expected or results).items()
    }
    row = row._replace(version=version, first_result_s=first, difference=max(differences.values()))
    for name, off in differences.items():
        allowed = max(worker.system.tolerance, ROUNDING * noise.get(name, 0))
        if not off <= allowed:  # not a number is not equal to anything
            fault = f"REFUSED: {name} differs by {off:.2g}, more than {allowed:.2g}"
            return row._replace(fault=fault), results
    return row, results


def _difference(found: np.ndarray, expected: np.ndarray, whole: bool) -> float:
    """The largest, relative to the largest value, or of the whole, relative to its norm; infinite
    where the shapes are not the same."""
    if found.shape != expected.shape or not np.isfinite(expected).all():
        return float("inf")
    order = 2 if whole else np.inf
    off, size = (np.linalg.norm(np.ravel(x), order) for x in (found - expected, expected))
    return float(off / max(size, 1e-30))


def _take_turns(
    workers: dict[str, Worker], rounds: int, forwards: int, say: Callable[[str], object]
) -> dict[str, list[list[float]]]:
    """Seconds by system and round. In each round everybody runs once to warm up, then `forwards`
    times; the round's first is another one each time."""
    times: dict[str, list[list[float]]] = {name: [] for name in workers}
    names = list(workers)
    for turn in range(rounds):
        say(f"round {turn + 1} of {rounds}")
        for name in names[turn % len(names) :] + names[: turn % len(names)]:
            times[name].append(workers[name].run(forwards + 1)[1:])
    return times


def _finish(
    row: Row, worker: Worker, times: list[list[float]], ours: list[list[float]], batch: int
) -> Row:
    scale = 1e3 / (batch * worker.system.clips)
    rounds = [median(seconds) * scale for seconds in times]
    ours_by_round = [median(seconds) * 1e3 / batch for seconds in ours]
    return row._replace(
        ms_per_clip=median(rounds),
        min_ms=min(map(min, times)) * scale,
        times_ours=median(a / b for a, b in zip(rounds, ours_by_round, strict=True)),
        peak_mib=worker.peak_memory(),
    )
