"""p3d.atomic: a file is written whole or not at all."""

from __future__ import annotations

import errno
import os

import pytest

from p3d import Error
from p3d.atomic import replacing


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


def test_a_pipe_stays_one(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(Error, match="pipe: it is a device or a pipe"), replacing(tmp_path / "pipe"):
        pass
    assert (tmp_path / "pipe").is_fifo()


@pytest.mark.parametrize("where", ["missing/x.npy", "."])
def test_a_place_that_cannot_be_written_is_named(tmp_path, where):
    target = tmp_path / where
    with pytest.raises(Error, match=r"cannot write .*tmp"), replacing(target) as file:
        file.write(b"new")
    assert not [p for p in tmp_path.iterdir() if p.suffix == ".tmp"]
