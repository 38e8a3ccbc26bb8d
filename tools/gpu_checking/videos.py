"""From video files to features, and to updates."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from gpu_checking.running import CHOOSING_MORE, ROOT, Row, output_of, reason_of

END_TO_END = "{}, end to end, bf16"


def check_extraction(
    library: Path,
    net: str,
    figures: dict[str, Any],
    deadline: float,
    videos: int = 256,
    batch: int = 64,
) -> Row:
    """The row of an extraction from video files to features; "not run" behind the deadline."""

    def say(found: dict[str, Any]) -> str:
        rate, alone = found["clips_per_second"], found["net_clips_per_second"]
        return (
            f"{rate:.1f} clips/s in batches of {found['batch']}, the net alone {alone:.1f}; "
            f"{found['waiting']:.0%} of the time the net waited for frames"
        )

    command = ["end_to_end", net, "cuda:0", videos, batch]
    return _end_to_end("extraction", command, library, figures, deadline, say)


def check_training(
    library: Path,
    net: str,
    figures: dict[str, Any],
    deadline: float,
    batch: int = 8,
    iterations: int = 30,
) -> Row:
    """The row of a training from video files; "not run" behind the deadline."""

    def say(found: dict[str, Any]) -> str:
        rate, alone = found["iterations_per_second"], found["net_iterations_per_second"]
        return (
            f"{rate:.2f} iterations/s of {batch} clips, {rate * batch:.1f} clips/s; the net alone "
            f"{alone:.2f} iterations/s"
        )

    command = ["end_to_end_training", net, "cuda:0", batch, iterations]
    return _end_to_end("training", command, library, figures, deadline, say)


def _end_to_end(
    kind: str,
    program: Sequence[Any],
    library: Path,
    figures: dict[str, Any],
    deadline: float,
    say: Callable[[dict[str, Any]], str],
) -> Row:
    """The row of a program of benchmarking, whose figures `say` puts in words."""
    what = END_TO_END.format(kind)
    left = deadline - time.monotonic()
    if left <= 0:
        return Row(what, True, "not run: no time was left")
    paths = [str(ROOT / "tools"), os.environ.get("PYTHONPATH", "")]
    environment = {
        **os.environ,
        **CHOOSING_MORE,
        "P3D_CUDA_LIBRARY": str(library),
        "P3D_PRECISION": "bf16",
        "PYTHONPATH": os.pathsep.join(filter(None, paths)),
    }
    command = [sys.executable, "-m", f"benchmarking.{program[0]}", *program[1:]]
    error, output = output_of(command, environment, left)
    if error:
        reason, left_out = reason_of(error)
        return Row(what, left_out, f"not run: {reason}")
    found = figures[f"{kind}_end_to_end"] = json.loads(output)
    return Row(what, found["on_gpu"], say(found))
