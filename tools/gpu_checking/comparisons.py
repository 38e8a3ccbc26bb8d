"""P3D-199 and torch by turns, and what is asked of that."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from benchmarking import gpu_targets

from gpu_checking.running import CHOOSING_MORE, ROOT, Row, output_of, reason_of

COMPARISON = 240  # seconds for one: torch compiles for minutes
QUICK = ["--systems", "torch-last"]


def check_targets(
    library: Path,
    net: str,
    targets: Sequence[gpu_targets.Target],
    figures: dict[str, Any],
    deadline: float,
    options: Sequence[str] = (),
) -> Iterator[Row]:
    """A row for each target, with a profile where it was missed, until time.monotonic() is
    `deadline`. What was measured is added to `figures`.

    options: more of benchmark.py's
    """
    environment = {**os.environ, **CHOOSING_MORE, "P3D_CUDA_LIBRARY": str(library)}
    quick: list[str] = []  # what leaves the compiler of torch out, once it took too long
    for target in targets:
        what = gpu_targets.name_of(target)
        command: list[str | Path] = [sys.executable, ROOT / "tools" / "benchmark.py", "--json"]
        command += ["--net", net, "--device", "cuda:0", "--precision", target.precision, *options]
        command += ["--batch", str(target.batch), *(["--train"] if target.train else [])]
        error, output, quick = _compare(command, environment, quick, deadline)
        if error:
            reason, left_out = reason_of(error)
            yield Row(what, left_out, f"not run: {reason}")
            continue
        run = json.loads(output)["runs"][0]
        steps = _steps(environment, net, target, deadline - time.monotonic())
        floor = _floor(run, target, steps)
        found = gpu_targets.outcome(target, run, floor, whole=not quick)
        text = f"{found.verdict}: {found.result}"
        if quick:
            text += f"; torch.compile was left out, it takes more than {COMPARISON} s"
        if found.verdict == "missed" and steps:
            lines = gpu_targets.profile(run["device"], target.precision, steps)
            text = "\n    ".join([text, *lines])
        figures["comparisons"].append(
            {
                **target._asdict(),
                "verdict": found.verdict,
                "floor_ms": floor,
                "run": run,
                "profile": steps,
            }
        )
        yield Row(what, True, text)


def _compare(
    command: Sequence[str | Path], environment: dict[str, str], quick: list[str], deadline: float
) -> tuple[str, str, list[str]]:
    """(what went wrong, the output, QUICK once the compiler of torch took too long)."""
    for more in (quick, QUICK):
        left = min(deadline - time.monotonic(), COMPARISON)
        if left <= 0:
            return "no time was left", "", quick
        error, output = output_of([*command, *more], environment, left)
        if "was ended after" not in error or more:
            break
        quick = QUICK
    return error, output, quick


def _steps(
    environment: dict[str, str], net: str, target: gpu_targets.Target, left: float
) -> dict[str, Any] | None:
    """What `p3d time` says of the net in inference, None where it says nothing."""
    command = [sys.executable, "-m", "p3d", "time", net, "--json", "--iterations", "5"]
    command += ["--device", "cuda:0", "--batch", str(target.batch)]
    if target.precision != "float32":
        command += ["--precision", target.precision]
    error, output = output_of(command, environment, max(left, 1))
    found: dict[str, Any] | None = None if error else json.loads(output)
    return found


def _floor(
    run: dict[str, Any], target: gpu_targets.Target, steps: dict[str, Any] | None
) -> float | None:
    """Milliseconds per clip; of the products alone where the steps are not known."""
    values = sum(step["values"] for step in steps["steps"]) / target.batch if steps else 0
    passes = 3 if target.train else 1
    macs = run["gmac"] * 1e9
    return gpu_targets.floor_ms(run["device"], target.precision, macs, values, passes)
