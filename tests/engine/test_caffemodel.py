"""p3d._core.CaffemodelReader: every encoding of weights, and files that are none."""

from __future__ import annotations

import gzip
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import wire

from p3d import Error
from p3d._core import CaffemodelReader

GOLDEN = Path(__file__).parents[1] / "golden"
TINY = GOLDEN / "tiny/tiny_seeded.caffemodel"

W = np.array([[1.5, -0.0, np.nan], [np.inf, 1e-45, -3.25]], np.float32)
B = np.array([0.1, 7], np.float32)
DATA_W, DATA_B = wire.floats(W.ravel()), wire.floats(B)
SPLIT_W = (
    wire.floats(W.ravel()[:1], packed=False)
    + wire.floats(W.ravel()[1:4])
    + wire.floats([])
    + wire.floats(W.ravel()[4:5])
    + wire.floats(W.ravel()[5:], packed=False)
)
UNKNOWN = wire.field(8210, b"\x08\x01\x10") + wire.field(499, 1 << 63) + b"\xcd\x3e\x01\x02\x03\x04"


def weights_layer(w: bytes, b: bytes) -> bytes:
    return wire.layer("ip", "InnerProduct", w, b)


# name of the case: (layers field(s), expected shapes of the two blobs, expected type)
ENCODINGS = {
    "packed": (weights_layer(wire.blob(W), wire.blob(B)), (2, 3), (2,)),
    "one by one": (
        weights_layer(
            wire.shape([2, 3]) + wire.floats(W.ravel(), packed=False),
            wire.shape([2]) + wire.floats(B, packed=False),
        ),
        (2, 3),
        (2,),
    ),
    "in pieces": (weights_layer(wire.shape([2, 3]) + SPLIT_W, wire.blob(B)), (2, 3), (2,)),
    "doubles": (
        weights_layer(
            wire.shape([2, 3]) + wire.doubles(W.ravel()[:2]) + wire.doubles(W.ravel()[2:], False),
            wire.shape([2]) + wire.doubles(B),
        ),
        (2, 3),
        (2,),
    ),
    "doubles win over floats": (
        weights_layer(
            wire.shape([2, 3]) + wire.floats([9]) + wire.doubles(W.ravel()) + wire.floats([9]),
            wire.blob(B),
        ),
        (2, 3),
        (2,),
    ),
    "diffs and strangers between": (
        weights_layer(
            UNKNOWN + wire.floats([4] * 6, number=6) + wire.shape([2, 3]) + DATA_W + UNKNOWN,
            wire.shape([2]) + wire.floats([5, 5], False, number=6) + UNKNOWN + DATA_B,
        )
        + UNKNOWN,
        (2, 3),
        (2,),
    ),
    "data before shape, axes one by one": (
        weights_layer(
            DATA_W + wire.field(7, wire.field(1, 2) + wire.field(1, 3)),
            DATA_B + wire.field(7, b"") + wire.field(7, wire.field(1, 2)),
        ),
        (2, 3),
        (2,),
    ),
    "four old axes": (
        weights_layer(
            wire.old_shape(1, 1, 2, 3) + DATA_W,
            wire.old_shape(1, 1, 1, 2) + wire.shape([9, 9]) + DATA_B,
        ),
        (1, 1, 2, 3),
        (1, 1, 1, 2),
    ),
    "V1": (
        wire.v1_layer("ip", 14, wire.old_shape(1, 1, 2, 3) + DATA_W, wire.blob(B)),
        (1, 1, 2, 3),
        (2,),
    ),
    "V0": (
        wire.v0_layer("ip", "innerproduct", wire.old_shape(1, 1, 2, 3) + SPLIT_W, wire.blob(B)),
        (1, 1, 2, 3),
        (2,),
    ),
}


def write(path: Path, content: bytes) -> str:
    path.write_bytes(content)
    return str(path)


def open_bytes(tmp_path: Path, content: bytes) -> CaffemodelReader:
    return CaffemodelReader(write(tmp_path / "w.caffemodel", content))


@pytest.mark.parametrize("case", ENCODINGS)
def test_encodings(tmp_path, case):
    layers, w_shape, b_shape = ENCODINGS[case]
    before = wire.v1_layer("r", 18) if case in ("V0", "V1") else wire.layer("r", "ReLU")
    reader = open_bytes(tmp_path, wire.net(before, layers, name="né"))
    assert reader.name == "né"
    assert reader.layers == [
        ("r", "ReLU", []),
        ("ip", "InnerProduct", [w_shape, b_shape]),
    ]
    w, b = reader.read(1, 0), reader.read(1, 1)
    assert w.dtype == b.dtype == np.float32
    np.testing.assert_array_equal(w, W.reshape(w_shape))
    np.testing.assert_array_equal(np.signbit(w), np.signbit(W).reshape(w_shape))
    np.testing.assert_array_equal(b, B.reshape(b_shape))
    assert reader.is_legacy(1, 0) == (len(w_shape) == 4)


def test_blobs_without_axes_and_without_values(tmp_path):
    scalar, empty = wire.shape([]) + wire.floats([3]), wire.shape([2, 0])
    reader = open_bytes(tmp_path, wire.net(wire.layer("x", "Scale", scalar, b"", empty)))
    assert reader.layers == [("x", "Scale", [(), (), (2, 0)])]
    assert reader.read(0, 0) == np.float32(3)
    assert reader.read(0, 2).shape == (2, 0)
    with pytest.raises(Error, match=r"layer 'x', blob 1: its shape \(\) asks for 1 numbers.* 0"):
        reader.read(0, 1)


def test_runs_longer_and_shorter_than_the_windows(tmp_path):
    """Pieces of every size, so that each way of reading and each border is met."""
    rng = np.random.default_rng(1701)
    pieces = [rng.standard_normal(n).astype("f4") for n in (1, 4095, 4096, 4097, 40000, 3, 1, 1, 9)]
    values = np.concatenate(pieces)
    encoded = b"".join(wire.floats(p, packed=i % 4 != 3) for i, p in enumerate(pieces))
    as_double = b"".join(wire.doubles(p, packed=i % 4 != 3) for i, p in enumerate(pieces))
    dims = wire.shape([len(values)])
    reader = open_bytes(tmp_path, wire.net(wire.layer("x", "y", dims + encoded, dims + as_double)))
    np.testing.assert_array_equal(reader.read(0, 0), values)
    np.testing.assert_array_equal(reader.read(0, 1), values)


@pytest.mark.parametrize(
    ("file", "arrays", "prefix"),
    [
        ("tiny/tiny_seeded.caffemodel", "tiny/tiny_test.npz", "param/"),
        ("solvers/sgd_iter_20.caffemodel", "solvers/sgd.npz", "param_final/"),
    ],
)
def test_files_of_upstream(file, arrays, prefix):
    reader = CaffemodelReader(str(GOLDEN / file))
    expected = np.load(GOLDEN / arrays)
    found = {
        f"{prefix}{name}/{j}": reader.read(i, j)
        for i, (name, _, shapes) in enumerate(reader.layers)
        for j in range(len(shapes))
    }
    assert reader.name == "TINY_P3D"
    assert sorted(found) == sorted(k for k in expected if k.startswith(prefix))
    for key, value in found.items():
        np.testing.assert_array_equal(value, expected[key], err_msg=key, strict=True)


def test_old_type_names(tmp_path):
    known = {4: "Convolution", 14: "InnerProduct", 35: "AbsVal", 21: "SoftmaxWithLoss", 0: ""}
    net = wire.net(*(wire.v1_layer("x", number) for number in [*known, 777, 1 << 63]))
    types = [type_ for _, type_, _ in open_bytes(tmp_path, net).layers]
    assert types == [*known.values(), "", ""]
    words = {"conv": "Convolution", "images": "ImageData", "padding": "padding"}
    net = wire.net(*(wire.v0_layer("x", word) for word in words))
    assert [t for _, t, _ in open_bytes(tmp_path, net).layers] == list(words.values())


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
    first, second = ENCODINGS["in pieces"][0], ENCODINGS["four old axes"][0]
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


def test_offsets_beyond_four_gigabytes(tmp_path):
    """A sparse file: five gigabytes of something unknown between two layers."""
    path, gap = tmp_path / "w.caffemodel", 5 << 30
    start = wire.net(ENCODINGS["packed"][0]) + wire.varint(499 << 3 | 2) + wire.varint(gap)
    with path.open("wb") as file:
        file.write(start)
        file.seek(gap, 1)
        file.write(ENCODINGS["in pieces"][0])
    reader = CaffemodelReader(str(path))
    assert [layer[0] for layer in reader.layers] == ["ip", "ip"]
    np.testing.assert_array_equal(reader.read(1, 0), W)


def test_read_into(tmp_path):
    reader = open_bytes(tmp_path, wire.net(ENCODINGS["in pieces"][0]))
    out = np.zeros((1, 6), np.float32)
    reader.read_into(0, 0, out)
    np.testing.assert_array_equal(out.ravel(), W.ravel())
    with pytest.raises(ValueError, match="holds 5 numbers, the blob 6"):
        reader.read_into(0, 0, np.zeros(5, np.float32))
    out.flags.writeable = False
    with pytest.raises(ValueError, match="writeable"):
        reader.read_into(0, 0, out)
    for unfit in (np.zeros(6), np.zeros((6, 2), np.float32)[:, 0], [0.0] * 6):
        with pytest.raises(TypeError):
            reader.read_into(0, 0, unfit)
    for layer, blob in ((0, 2), (1, 0), (1 << 40, 0)):
        with pytest.raises(Error, match="has no blob"):
            reader.read(layer, blob)


def test_several_threads_share_a_reader():
    reader = CaffemodelReader(str(TINY))
    where = [(i, j) for i, layer in enumerate(reader.layers) for j in range(len(layer[2]))]
    alone = [reader.read(i, j) for i, j in where]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda ij: reader.read(*ij), where * 8))
    for k, array in enumerate(together):
        np.testing.assert_array_equal(array, alone[k % len(where)])


def test_names_that_are_no_text(tmp_path):
    path = os.fsencode(tmp_path / "w") + b"\xff.caffemodel"
    with open(path, "wb") as file:
        file.write(wire.net(wire.layer(b"\xff\n\xfe", "b", wire.shape([3]))))
    reader = CaffemodelReader(Path(os.fsdecode(path)))
    assert reader.layers == [("�\n�", "b", [(3,)])]
    with pytest.raises(Error, match=r"layer '\?\?\?'") as error:
        reader.read(0, 0)
    assert os.fsdecode(path) in str(error.value)
