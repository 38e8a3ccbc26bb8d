"""Where the processes of a training on several GPUs meet."""

from __future__ import annotations

import os
import tempfile
import time
from pathlib import Path

import pytest

from p3d.meeting import FORGOTTEN, Meeting


def test_what_killed_processes_left_is_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    for name in ("p3d-ranks-old", "p3d-ranks-new", "p3d-other"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "0").touch()
    long_ago = time.time() - 2 * FORGOTTEN
    for name in ("p3d-ranks-old", "p3d-other"):
        os.utime(tmp_path / name, (long_ago, long_ago))
    meeting = Meeting(b"name", 0, 1, 0, "", lambda: None)
    assert {path.name for path in tmp_path.iterdir()} > {"p3d-ranks-new", "p3d-other"}
    assert not (tmp_path / "p3d-ranks-old").exists()
    meeting.close_door()
    meeting.leave()
    assert len(list(tmp_path.iterdir())) == 2
