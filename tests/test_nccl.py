"""Where NCCL is looked for."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from p3d import nccl


def library(**variables: str) -> str:
    before = {name: text for name, text in os.environ.items() if name != nccl.VARIABLE}
    paths = [variables.get("PYTHONPATH", ""), before.get("PYTHONPATH", "")]
    variables["PYTHONPATH"] = os.pathsep.join(filter(None, paths))
    command = [sys.executable, "-c", "from p3d import nccl; print(nccl.library())"]
    environment = {**before, **variables}
    return subprocess.run(
        command, env=environment, capture_output=True, text=True, check=True
    ).stdout.strip()


def test_it_is_named_or_found_or_left_to_the_system(tmp_path: Path) -> None:
    assert library(**{nccl.VARIABLE: "mine.so"}) == "mine.so"
    assert library() == nccl.NAME or Path(library()).exists()
    wheel = tmp_path / "nvidia" / "nccl" / "lib" / nccl.NAME
    wheel.parent.mkdir(parents=True)
    wheel.touch()
    assert library(PYTHONPATH=str(tmp_path)) == str(wheel)
