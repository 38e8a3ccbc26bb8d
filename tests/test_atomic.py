"""p3d.atomic: a file is written whole or not at all."""

from __future__ import annotations

import errno
import os

import pytest

from p3d import Error
from p3d.atomic import append, replacing
from p3d.error import DiskFull


def test_the_file_appears_with_its_whole_content(tmp_path):
    target = tmp_path / "x.txt"
    target.write_text("old")
    with replacing(target, "w") as file:
        file.write("né")
        assert target.read_text() == "old"
    assert target.read_bytes() == "né".encode()
    assert [p.name for p in tmp_path.iterdir()] == ["x.txt"]
    assert target.stat().st_mode & 0o400


def test_a_failure_leaves_the_old_file_and_nothing_else(tmp_path):
    target = tmp_path / "x.bin"
    target.write_bytes(b"old")
    with pytest.raises(TypeError), replacing(target) as file:
        file.writelines([b"new", "text into a binary file"])
    assert target.read_bytes() == b"old"
    assert [p.name for p in tmp_path.iterdir()] == ["x.bin"]


def test_a_full_disk_is_named_and_what_cannot_be_read_inside_keeps_its_name(tmp_path):
    target = tmp_path / "x.bin"
    target.write_bytes(b"old")
    with pytest.raises(Error, match=r"cannot write .*x\.bin: No space left"), replacing(target):
        raise OSError(errno.ENOSPC, "No space left on device")  # as a write does
    with pytest.raises(FileNotFoundError, match="gone"), replacing(target):
        (tmp_path / "gone").read_bytes()
    assert target.read_bytes() == b"old"
    assert [p.name for p in tmp_path.iterdir()] == ["x.bin"]


def test_text_that_cannot_be_written_is_named(tmp_path):
    words = r"cannot write .*x\.txt: .* UTF-8: .*a/caf\\udce9"
    with pytest.raises(Error, match=words), replacing(tmp_path / "x.txt", "w") as file:
        file.write("folder: a/caf\udce9")
    assert not list(tmp_path.iterdir())


def test_what_a_full_disk_takes_at_the_very_end_is_named(tmp_path, monkeypatch):
    """Bytes that wait in a buffer, and would be written again when the file is closed."""
    monkeypatch.setattr("p3d.atomic.open", full_disk, raising=False)
    words = r"cannot write .*x\.txt: No space left.*make room"
    with pytest.raises(DiskFull, match=words), replacing(tmp_path / "x.txt", "w") as file:
        file.write("new")
    assert not list(tmp_path.iterdir())


def full_disk(handle, mode, encoding):
    os.close(handle)
    return open("/dev/full", mode, encoding=encoding)


def test_a_line_is_appended_whole_or_not_at_all(tmp_path, monkeypatch):
    path = tmp_path / "x.jsonl"
    append(path, "one")
    write = os.write
    with monkeypatch.context() as full:
        full.setattr(os, "write", lambda handle, data: write(handle, data[:2]))
        with pytest.raises(DiskFull, match=r"cannot write .*x\.jsonl"):
            append(path, "two")
    append(path, "three")
    assert path.read_text() == "one\nthree\n"


def test_a_pipe_stays_one(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(Error, match="pipe: it is a device or a pipe"), replacing(tmp_path / "pipe"):
        pass
    assert (tmp_path / "pipe").is_fifo()


@pytest.mark.parametrize("where", ["missing/x.npy", ".", "x" * 300, "x\0y"])
def test_a_place_that_cannot_be_written_is_named(tmp_path, where):
    target = tmp_path / where
    with pytest.raises(Error, match=r"cannot write .*tmp"), replacing(target) as file:
        file.write(b"new")
    assert not [p for p in tmp_path.iterdir() if p.suffix == ".tmp"]
