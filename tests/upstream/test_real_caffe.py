"""The harness itself: what it exchanges in a tree, and what it says where there is no apt."""

from __future__ import annotations

import os
from pathlib import Path

import apt_source
import prepare
import pytest
import real_caffe


def write(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


def contents(root: Path) -> dict[str, str]:
    return {str(p.relative_to(root)): p.read_text() for p in root.rglob("*") if p.is_file()}


def test_exchange_touches_what_differs_only(tmp_path: Path) -> None:
    tree, manifest = tmp_path / "tree", tmp_path / "files"
    first = write(tmp_path / "1", {"a/same": "1", "a/changed": "1", "a/gone": "1"})
    real_caffe.exchange(first, tree, manifest)
    write(tree, {"a/built": "by make"})
    for name in ("same", "changed"):
        os.utime(tree / "a" / name, (1000, 1000))
    second = write(tmp_path / "2", {"a/same": "1", "a/changed": "2", "new/file": "2"})
    real_caffe.exchange(second, tree, manifest)
    assert contents(tree) == {
        "a/same": "1",
        "a/changed": "2",
        "new/file": "2",
        "a/built": "by make",
    }
    assert (tree / "a" / "same").stat().st_mtime == 1000
    assert (tree / "a" / "changed").stat().st_mtime > 1000
    write(first, {"a/same": "3"})
    real_caffe.exchange(first, tree, manifest)
    assert contents(tree) == {"a/same": "3", "a/changed": "1", "a/gone": "1", "a/built": "by make"}


def test_a_command_that_fails_shows_its_errors(tmp_path: Path) -> None:
    script = "for i in $(seq 99); do echo $i; done; echo x.cpp: error: here; seq 99; exit 1"
    with pytest.raises(RuntimeError, match=r"all of its output is in .*log\nx.cpp: error: here"):
        real_caffe._run(["bash", "-c", script], tmp_path / "log", dict(os.environ))


@pytest.mark.parametrize("option", ["--install", "--packages"])
def test_without_apt_it_is_skipped(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], option: str
) -> None:
    monkeypatch.setenv("PATH", "")
    monkeypatch.setattr("sys.argv", ["prepare.py", option])
    prepare.main()
    assert capsys.readouterr().out == "UPSTREAM SKIPPED: there is no apt on this machine\n"


def test_missing_packages_are_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("apt-get", "dpkg-query"):
        (tmp_path / name).write_text("#!/bin/sh\necho make installed\n")
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin")
    monkeypatch.setattr("sys.argv", ["prepare.py"])
    assert "make" not in apt_source.missing_packages()
    prepare.main()
    out = capsys.readouterr().out
    assert out.startswith("UPSTREAM SKIPPED: these packages are missing: apt-get install g++ cmake")
