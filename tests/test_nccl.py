"""Where NCCL is looked for."""

from __future__ import annotations

from pathlib import Path

import pytest

from p3d import nccl


def test_the_library_is_named_or_found_or_left_to_the_system(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(nccl.VARIABLE, "mine.so")
    assert nccl.library() == "mine.so"
    monkeypatch.delenv(nccl.VARIABLE)
    monkeypatch.setattr("sys.path", [str(tmp_path)])
    assert nccl.library() == nccl.NAME
    wheel = tmp_path / "nvidia" / "nccl" / "lib" / nccl.NAME
    wheel.parent.mkdir(parents=True)
    wheel.touch()
    monkeypatch.syspath_prepend(tmp_path)
    assert nccl.library() == str(wheel)
