"""p3d._core.CaffemodelReader: files that are no caffemodels, cut short or damaged."""

from __future__ import annotations

import gzip
import os
from pathlib import Path

import pytest
import wire
from blobs import GOLDEN, TINY, write

from p3d import Error
from p3d._core import CaffemodelReader


def open_bytes(tmp_path: Path, content: bytes) -> CaffemodelReader:
    return CaffemodelReader(write(tmp_path / "w.caffemodel", content))


WRONG = {
    "empty": (b"", "is empty"),
    "zeros": (bytes(9000), "begins with zeros"),
    "hdf5": ((GOLDEN / "tiny/tiny_seeded.caffemodel.h5").read_bytes(), "is an HDF5 file"),
    "solverstate": ((GOLDEN / "solvers/sgd_iter_20.solverstate").read_bytes(), "is a solverstate"),
    "mean image": (wire.old_shape(1, 3, 1, 1) + wire.floats([1, 2, 3]), "mean image"),
    "new mean image": (wire.floats([1, 2, 3]) + wire.shape([3]), "mean image"),
    "onnx": (wire.field(1, 8) + wire.field(2, "pytorch") + wire.field(7, b"\x0a\x00"), "ONNX"),
    "prototxt": (b'name: "net"\nlayer { name: "a" }\n', "is text .* a prototxt .*binary"),
    "page": (b"\n <!DOCTYPE html>\n<html><body>Sign in", "is a web page"),
    "xml": (b"<?xml version='1.0'?><Error><Code>AccessDenied", "is a web page"),
    "text": ("größe 404".encode(), 'is text that begins "gr\\?\\?'),
    "gzip": (gzip.compress(b"x" * 100), "gzip: unpack"),
    "zip": (b"PK\x03\x04" + bytes(40), "zip archive"),
    "pickle": (b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19.", "pickle"),
    "git-lfs": (b"version https://git-lfs.github.com/spec/v1\noid sha256:0", "git lfs pull"),
    "jpeg": (b"\xff\xd8\xff\xe0\x00\x10JFIF\x00\x01", "damaged or no caffemodel.* at byte 0"),
    "no layers": (wire.field(1, "name") + wire.field(5, 1), "holds no layers"),
    "old and new": (wire.net(wire.v1_layer("a", 4), wire.layer("b", "x")), "mixes layers"),
}


@pytest.mark.parametrize("case", WRONG)
def test_wrong_files(tmp_path, case):
    content, message = WRONG[case]
    with pytest.raises(Error, match=f"^file .*w.caffemodel .*{message}") as error:
        open_bytes(tmp_path, content)
    assert len(str(error.value)) < 400 + len(str(tmp_path))
    assert "\n" not in str(error.value)


def test_places_that_are_no_files(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for place, message in {
        "missing": "Could not open file .*missing: No such file",
        ".": "a directory",
        "pipe": "not a regular file",
    }.items():
        with pytest.raises(Error, match=message):
            CaffemodelReader(str(tmp_path / place))


DAMAGED = {
    "a layer's field longer than it": (wire.field(100, b"\x0a\x7f\x01"), "past the end of its"),
    "field 0": (wire.layer("a", "b") + b"\x02\x00", "field number at byte 12 in layer 'a'"),
    "wire type 3": (wire.layer("a", "b") + b"\xa3\x06", "impossible field type"),
    "wire type 7": (wire.field(100, b"\x0f"), "field type .* in its layer number 0"),
    "endless varint": (wire.field(100, b"\x08" + b"\xff" * 12), "more than ten bytes"),
    "huge length": (wire.field(1, "a") + b"\xa2\x06" + b"\xff" * 9 + b"\x01", "past the end"),
    "varint cut by its message": (wire.field(100, b"\x08\x80"), "cut off"),
    "ragged floats": (wire.layer("a", "b", wire.field(5, b"12345")), "do not fill"),
    "ragged doubles": (wire.layer("a", "b", wire.field(8, b"12345")), "do not fill"),
    "33 axes": (wire.layer("a", "b", wire.shape([1] * 33)), "more than 32 axes"),
    "negative axis": (wire.layer("a", "b", wire.shape([2, -1])), "negative axis .* layer 'a'"),
    "negative old axis": (wire.layer("a", "b", wire.field(2, -5)), "negative axis"),
    "overflow": (wire.layer("a", "b", wire.shape([1 << 32, 1 << 31])), "impossible shape"),
    "long name": (wire.layer("a" * 70000, "b"), "a name of over 64 KiB"),
    "too many layers": (wire.field(100, b"") * 140000, "too many layers"),
    "too many blobs": (wire.field(100, wire.field(7, b"") * 300000), "too many blobs"),
}


@pytest.mark.parametrize("case", DAMAGED)
def test_damaged_files(tmp_path, case):
    content, message = DAMAGED[case]
    with pytest.raises(Error, match=f"is damaged or no caffemodel: .*{message}.*again$"):
        open_bytes(tmp_path, wire.field(1, "\x01") + content)


def test_too_many_pieces(tmp_path):
    pieces = (wire.floats([1]) + wire.floats([1], packed=False)) * (2**20 + 1)
    with pytest.raises(Error, match="weights in too many pieces"):
        open_bytes(tmp_path, wire.net(wire.layer("a", "b", pieces)))


def test_a_shape_without_its_numbers_allocates_nothing(tmp_path):
    net = wire.net(wire.layer("a", "b", wire.shape([1 << 40, 1 << 20]) + wire.floats([1, 2])))
    reader = open_bytes(tmp_path, net)
    message = r"layer 'a', blob 0: its shape \(1099511627776, 1048576\) asks for .*stores 2;"
    for read in (reader.read, reader.check):
        with pytest.raises(Error, match=message):
            read(0, 0)


def test_cut_at_every_byte(tmp_path):
    pieces = wire.floats([1], packed=False) + wire.floats([2, 3])
    first = wire.layer("ip", "InnerProduct", wire.shape([3]) + pieces, wire.shape([1]) + pieces)
    old = wire.old_shape(1, 1, 1, 3) + wire.field(8210, b"odd") + wire.doubles([1, 2, 3])
    second = wire.layer("ip", "InnerProduct", old, old)
    whole = wire.net(first, second)
    ends = {len(wire.net(first)), len(whole)}
    for size in range(5, len(whole)):
        path = write(tmp_path / "w.caffemodel", whole[:size])
        if size in ends:
            assert len(CaffemodelReader(path).layers) == 1
            continue
        with pytest.raises(Error, match=rf"is cut short .*: it has {size} bytes and goes on") as e:
            CaffemodelReader(path)
        assert (size > min(ends) + 8) <= ("in layer 'ip'" in str(e.value))


def test_a_file_that_shrinks_after_it_was_opened(tmp_path):
    path = write(tmp_path / "w.caffemodel", TINY.read_bytes())
    reader = CaffemodelReader(path)
    os.truncate(path, 5000)
    last = next(i for i, layer in enumerate(reader.layers) if layer[0] == "fc_tiny")
    with pytest.raises(Error, match=r"ends at byte .* something is writing to it"):
        reader.read(last, 0)
