"""p3d._core.CaffemodelReader: every encoding of weights."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import wire
from blobs import GOLDEN, TINY, write

from p3d import Error
from p3d._core import Blob, Blob64, CaffemodelReader

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
    reader = CaffemodelReader(GOLDEN / file)
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


def test_offsets_beyond_four_gigabytes(tmp_path):
    """A sparse file: five gigabytes of something unknown between two layers."""
    path, gap = tmp_path / "w.caffemodel", 5 << 30
    start = wire.net(ENCODINGS["packed"][0]) + wire.varint(499 << 3 | 2) + wire.varint(gap)
    with path.open("wb") as file:
        file.write(start)
        file.seek(gap, 1)
        file.write(ENCODINGS["in pieces"][0])
    reader = CaffemodelReader(path)
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


def test_blobs_of_the_engine(tmp_path):
    """Straight from the file, doubles with all their digits."""
    values = wire.doubles([0.1, 1e300])
    layer = wire.layer("x", "y", wire.shape([2]) + values, wire.blob(B))
    reader = open_bytes(tmp_path, wire.net(layer))
    exact, rounded = Blob64([2]), Blob([1, 2])
    exact.read_from(reader, 0, 0)
    np.testing.assert_array_equal(exact.data, [0.1, 1e300])
    exact.read_from(reader, 0, 1)
    np.testing.assert_array_equal(exact.data, B.astype("f8"))
    rounded.read_from(reader, 0, 0)
    np.testing.assert_array_equal(rounded.data, [[np.float32(0.1), np.inf]])
    with pytest.raises(Error, match="the file's blob has 2 values, the net's 3"):
        Blob([3]).read_from(reader, 0, 0)


def test_several_threads_share_a_reader():
    reader = CaffemodelReader(TINY)
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
