"""p3d.caffe.weights: what loads into what, and what is refused."""

from __future__ import annotations

import logging

import h5py
import numpy as np
import pytest
import wire
from blobs import TINY, TINY_H5, Blob, blob, golden_params, ramp, write, write_h5

from p3d import Error
from p3d.caffe import weights


@pytest.mark.parametrize("path", [TINY, TINY_H5], ids=["caffemodel", "h5"])
def test_files_of_upstream(path):
    expected = golden_params()
    params = {name: [blob(*b.shape) for b in blobs] for name, blobs in expected.items()}
    params["new"] = [blob(2)]
    loaded = weights.load(params, path)
    assert sorted(loaded.loaded) == sorted(expected)
    assert loaded.ignored == []
    assert loaded.kept == ["new"]
    np.testing.assert_array_equal(params.pop("new")[0].data, [-1, -1])
    for name, blobs in params.items():
        for j, b in enumerate(blobs):
            np.testing.assert_array_equal(b.data, expected[name][j], err_msg=f"{name}/{j}")


# (stored, in the net, what the log says or None where Caffe loads it without a word)
ACCEPTED = [
    ((3, 4), (3, 4), None),
    ((), (), None),
    ((2, 0), (2, 0), None),
    ((5,), (1, 5), "one value per channel"),
    ((1, 5), (5,), "one value per channel"),
    ((1, 5, 1, 1), (1, 5), "one value per channel"),
    ((1, 5), (1, 5, 1, 1), "one value per channel"),
    ((1, 5, 1, 1, 1), (5,), "one value per channel"),
    ((6, 2, 3, 3), (6, 2, 1, 3, 3), "2-D kernels"),
    ((6, 2, 1, 3, 3), (6, 2, 3, 3), "2-D kernels"),
    ((6, 2, 1, 1), (6, 2, 1, 1, 1), "2-D kernels"),
]
REFUSED = [
    ((3, 4), (4, 3)),
    ((3, 4), (12,)),
    ((12,), (3, 4)),
    ((5, 1), (5,)),
    ((1, 1, 1, 5), (5,)),
    ((6, 2, 3, 3), (6, 2, 3, 3, 1)),
    ((6, 2, 3, 3), (6, 2, 3, 3, 3)),
    ((6, 2, 1, 3, 3), (6, 2, 3, 1, 3)),
    ((5,), (1, 6)),
    ((), (1,)),
]


@pytest.mark.parametrize("kind", ["caffemodel", "h5"])
@pytest.mark.parametrize(("stored", "wanted", "rule"), ACCEPTED)
def test_shapes_that_agree(tmp_path, caplog, kind, stored, wanted, rule):
    path = tmp_path / "w"
    if kind == "h5":
        write_h5(path, {"data/x/0": ramp(*stored)})
    else:
        write(path, wire.net(wire.layer("x", "y", wire.blob(ramp(*stored)))))
    target = blob(*wanted)
    with caplog.at_level(logging.INFO, "p3d"):
        weights.load({"x": [target]}, path)
    np.testing.assert_array_equal(target.data, ramp(*wanted))
    messages = [record.getMessage() for record in caplog.records]
    assert len(messages) == (rule is not None)
    if rule:
        assert f"{path}: {rule}" in messages[0]
        assert f"'x' blob 0 stored as {stored} for {wanted}" in messages[0]


@pytest.mark.parametrize("kind", ["caffemodel", "h5"])
@pytest.mark.parametrize(("stored", "wanted"), REFUSED)
def test_shapes_that_do_not(tmp_path, kind, stored, wanted):
    path = tmp_path / "w"
    if kind == "h5":
        write_h5(path, {"data/w/0": ramp(2), "data/x/0": ramp(*stored)})
    else:
        good, bad = wire.blob(ramp(2)), wire.blob(ramp(*stored))
        write(path, wire.net(wire.layer("w", "y", good), wire.layer("x", "y", bad)))
    params = {"w": [blob(2)], "x": [blob(*wanted)]}
    with pytest.raises(Error) as error:
        weights.load(params, path)
    assert f"file {path}, layer 'x', blob 0 has the shape {stored} in" in str(error.value)
    assert f"and {wanted} in the net; " in str(error.value)
    assert "rename the layer" in str(error.value)
    np.testing.assert_array_equal(params["w"][0].data, [-1, -1])


@pytest.mark.parametrize(
    ("stored", "wanted", "fits"),
    [
        ((1, 1, 1, 5), (5,), True),
        ((1, 1, 3, 4), (3, 4), True),
        ((1, 2, 3, 4), (2, 3, 4), True),
        ((4, 3, 2, 2), (4, 3, 2, 2), True),
        ((1, 1, 1, 1), (), True),
        ((1, 5, 1, 1), (1, 5), True),
        ((4, 3, 2, 2), (4, 3, 1, 2, 2), True),
        ((2, 1, 3, 4), (3, 4), False),
        ((1, 1, 5, 1), (5,), False),
    ],
)
def test_four_old_axes(tmp_path, stored, wanted, fits):
    content = wire.old_shape(*stored) + wire.floats(ramp(*stored).ravel())
    path = write(tmp_path / "w", wire.net(wire.v1_layer("x", 4, content)))
    target = blob(*wanted)
    if fits:
        weights.load({"x": [target]}, path)
        np.testing.assert_array_equal(target.data, ramp(*wanted))
    else:
        with pytest.raises(Error, match="has the shape"):
            weights.load({"x": [target]}, path)


@pytest.mark.parametrize(
    ("stored", "wanted", "hint"),
    [
        (1, 2, "stores 1 blobs, (2,), and the net's layer of that name has 2, (2,) (2,)"),
        (2, 1, "stores 2 blobs"),
        (0, 1, "stores 0 blobs, none,"),
        (1, 0, "has 0, none;"),
        (3, 4, "BN has four, Caffe's BatchNorm three"),
    ],
)
@pytest.mark.parametrize("kind", ["caffemodel", "h5"])
def test_the_number_of_blobs_must_agree(tmp_path, kind, stored, wanted, hint):
    path = tmp_path / "w"
    if kind == "h5":
        write_h5(path, {f"data/x/{j}": ramp(2) for j in range(stored)} | {"data/y/0": ramp(1)})
        with h5py.File(path, "a") as file:
            file.require_group("data/x")
    else:
        write(path, wire.net(wire.layer("x", "Some", *[wire.blob(ramp(2))] * stored)))
    with pytest.raises(Error) as error:
        weights.load({"x": [blob(2) for _ in range(wanted)]}, path)
    assert f"file {path}, layer 'x'" in str(error.value)
    assert hint in str(error.value)


def test_nothing_is_loaded_when_numbers_are_missing(tmp_path):
    short = wire.shape([3]) + wire.floats([1, 2])
    layers = wire.layer("w", "y", wire.blob(ramp(2))) + wire.layer("x", "y", short)
    params = {"w": [blob(2)], "x": [blob(3)]}
    with pytest.raises(Error, match=r"layer 'x', blob 0: its shape \(3\) asks for 3 numbers"):
        weights.load(params, write(tmp_path / "w", wire.net(layers)))
    np.testing.assert_array_equal(params["w"][0].data, [-1, -1])
    assert weights.load({"w": params["w"]}, tmp_path / "w").ignored == ["x"]


def test_a_name_that_repeats(tmp_path):
    one, two = wire.blob(ramp(2)), wire.blob(ramp(2) + 5)
    path = write(tmp_path / "w", wire.net(wire.layer("x", "y", one), wire.layer("x", "y", two)))
    target = blob(2)
    assert weights.load({"x": [target]}, path).loaded == ["x"]
    np.testing.assert_array_equal(target.data, [5, 6])


def test_the_log_names_what_is_left_over(tmp_path, caplog):
    layers = [wire.layer(f"old{i}", "y", wire.blob(ramp(2))) for i in range(9)]
    path = write(tmp_path / "w", wire.net(wire.layer("relu", "ReLU"), *layers))
    with caplog.at_level(logging.INFO, "p3d"):
        weights.load({"old0": [blob(2)], "new": [blob(2)]}, path)
    ignored, kept = (record.getMessage() for record in caplog.records)
    assert ignored.endswith("ignored: old1, old2, old3, old4, old5, old6 and 2 more")
    assert kept.endswith("not in the file, unchanged: new")
    caplog.clear()
    weights.load({"new": [blob(2)]}, path)
    assert [r.levelname for r in caplog.records] == ["WARNING"]
    assert "no layer of the net is in this file" in caplog.text


@pytest.mark.parametrize("order", ["C", "F", "strided", "f8"])
def test_targets_of_any_kind(tmp_path, order):
    path = write(tmp_path / "w", wire.net(wire.layer("x", "y", wire.blob(ramp(3, 4)))))
    target = Blob(
        {
            "C": np.zeros((3, 4), "f4"),
            "F": np.zeros((3, 4), "f4", order="F"),
            "strided": np.zeros((3, 8), "f4")[:, ::2],
            "f8": np.zeros((3, 4)),
        }[order]
    )
    weights.load({"x": [target]}, path)
    np.testing.assert_array_equal(target.data, ramp(3, 4))
