"""fetch_nvcc.py without PyPI: wheels are files."""

from __future__ import annotations

import zipfile
from pathlib import Path

import fetch_nvcc
import pytest


def write_wheel(folder: Path) -> Path:
    """One that has compiler/bin/nvcc."""
    about = "one-1.0.dist-info"
    path = folder / "one-1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as wheel:
        wheel.writestr("compiler/bin/nvcc", "a compiler")
        wheel.writestr("compiler/include/a.h", "a header")
        wheel.writestr(f"{about}/METADATA", "Metadata-Version: 2.1\nName: one\nVersion: 1.0\n")
        wheel.writestr(f"{about}/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
        wheel.writestr(f"{about}/RECORD", "")
    return path


def test_it_fetches_where_pip_hides_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As it does from what runs while it builds a package."""
    (tmp_path / "pip.py").write_text("raise SystemExit('there is no pip')\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    folder = tmp_path / "made" / "compiler"
    fetch_nvcc.fetch([str(write_wheel(tmp_path))], folder, "/bin/")
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert [path.name for path in files] == ["nvcc"]
    assert files[0].read_text() == "a compiler"


def test_what_is_installed_is_not_fetched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    root = tmp_path / "nvidia" / "cu13"
    names = [name.replace("**/", "cccl/").replace("*", "") for name in fetch_nvcc.NEEDED]
    for path in [root / name for name in ["bin/nvcc", *names]]:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    monkeypatch.syspath_prepend(tmp_path)
    assert fetch_nvcc.main([str(tmp_path / "none")]) == 0
    assert capsys.readouterr().out == f"{root}/bin/nvcc\n"
    (root / names[-1]).unlink()
    assert fetch_nvcc.installed() is None


def test_it_says_why_it_cannot(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    with pytest.raises(RuntimeError, match="pip cannot fetch no-such-thing: "):
        fetch_nvcc.fetch(["no-such-thing"], tmp_path / "compiler")
    assert not (tmp_path / "compiler").exists()
