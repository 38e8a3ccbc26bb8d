"""p3d.caffe.weights: what loads into what, what is refused, and what saved files hold."""

from __future__ import annotations

import logging
import sys
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np
import pytest
import wire

from p3d import Error
from p3d.caffe import weight_writer, weights
from p3d.caffe.proto import caffe_pb2

GOLDEN = Path(__file__).parents[1] / "golden"
TINY = GOLDEN / "tiny/tiny_seeded.caffemodel"
TINY_H5 = GOLDEN / "tiny/tiny_seeded.caffemodel.h5"


@dataclass
class Blob:
    data: np.ndarray

    @property
    def shape(self) -> tuple[int, ...]:
        return self.data.shape


def blob(*shape: int, dtype: str = "f4") -> Blob:
    return Blob(np.full(shape, -1, dtype))


def ramp(*shape: int) -> np.ndarray:
    return np.arange(np.prod(shape, dtype=int), dtype="f4").reshape(shape)


def write(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


def write_h5(path: Path, datasets: dict[str, np.ndarray]) -> Path:
    with h5py.File(path, "w") as file:
        for name, values in datasets.items():
            file.create_dataset(name, data=values)
    return path


def golden_params() -> dict[str, list[np.ndarray]]:
    params: dict[str, list[np.ndarray]] = {}
    with np.load(GOLDEN / "tiny/tiny_test.npz") as arrays:
        for key in arrays:
            if key.startswith("param/"):
                params.setdefault(key.split("/")[1], []).append(arrays[key])
    return params


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


# --- HDF5


def test_shared_parameters_are_stored_once(tmp_path):
    net = caffe_pb2.NetParameter(name="siamese")
    for name, params in (("a", ["w", "b"]), ("b", ["w", "b"]), ("c", ["", ""])):
        layer = net.layer.add(name=name, type="InnerProduct")
        for param in params:
            layer.param.add(name=param)
    assert weights.shared_params(net) == {("b", 0), ("b", 1)}
    a, c = [Blob(ramp(2, 3)), Blob(ramp(2))], [Blob(ramp(2, 3) + 9), Blob(ramp(2) + 9)]
    weights.save_hdf5(net, {"a": a, "b": a, "c": c}, tmp_path / "w.h5")
    with h5py.File(tmp_path / "w.h5") as file:
        assert {name: sorted(file["data"][name]) for name in file["data"]} == {
            "a": ["0", "1"],
            "b": [],
            "c": ["0", "1"],
        }
    one, two = [blob(2, 3), blob(2)], [blob(2, 3), blob(2)]
    into = {"a": one, "b": one, "c": two}
    weights.load(into, tmp_path / "w.h5", shared=weights.shared_params(net))
    np.testing.assert_array_equal(one[0].data, ramp(2, 3))
    np.testing.assert_array_equal(two[1].data, ramp(2) + 9)
    with pytest.raises(Error, match="layer 'b': it stores 0 blobs"):
        weights.load(into, tmp_path / "w.h5")
    weights.save(net, {"a": a, "b": a, "c": c}, tmp_path / "w")
    saved = caffe_pb2.NetParameter.FromString((tmp_path / "w").read_bytes())
    assert [len(layer.blobs) for layer in saved.layer] == [2, 2, 2]


def test_hdf5_with_slashes_in_names_and_other_types_of_numbers(tmp_path):
    path = write_h5(
        tmp_path / "w",
        {
            "data/inception_3a/1x1/0": ramp(2).astype("f8"),
            "data/inception_3a/3x3/0": ramp(3).astype("i4"),
            "data/inception_3a/3x3/note": ramp(1),
            "other": ramp(1),
        },
    )
    params = {"inception_3a/1x1": [blob(2)], "inception_3a/3x3": [blob(3)]}
    weights.load(params, path)
    np.testing.assert_array_equal(params["inception_3a/3x3"][0].data, ramp(3))
    with weights.open_weights(path) as file:
        assert file.layers == [("inception_3a/1x1", "", [(2,)]), ("inception_3a/3x3", "", [(3,)])]


def test_wrong_hdf5_files(tmp_path):
    path = tmp_path / "w"
    state = GOLDEN / "solvers/sgd_iter_20.caffemodel.h5"
    for content, message in {
        state.read_bytes()[:50000]: "is damaged or cut short",
        state.read_bytes()[:1000]: "is damaged or cut short",
        b"\x89HDF\r\n\x1a\n" * 9: "is damaged or cut short",
    }.items():
        with pytest.raises(Error, match=f"file {path} {message}"):
            weights.load({}, write(path, content))
    for datasets, message in (
        ({"learned_net": ramp(1)}, "is a solverstate"),
        ({"model_weights/a/0": ramp(1)}, r"no group 'data' .* it has \['model_weights'\]"),
        ({"data": ramp(1)}, "no group 'data'"),
        ({}, "nothing at all"),
    ):
        with pytest.raises(Error, match=f"file {path} .*{message}"):
            weights.load({}, write_h5(path, datasets))
    write_h5(path, {"data/x/0": np.array([b"text"])})
    with pytest.raises(Error, match=r"layer 'x', blob 0 holds \|S4, not numbers"):
        weights.load({"x": [blob(1)]}, path)


def test_damaged_compressed_data_loads_nothing(tmp_path):
    path, values = tmp_path / "w", np.random.default_rng(0).standard_normal(5000).astype("f4")
    with h5py.File(path, "w") as file:
        file.create_dataset("data/a/0", data=ramp(2))
        file.create_dataset("data/x/0", data=values, compression="gzip", fletcher32=True)
    content = bytearray(path.read_bytes())
    with h5py.File(path) as file:
        chunk = file["data/x/0"].id.get_chunk_info(0).byte_offset
    content[chunk + 100 : chunk + 200] = bytes(100)
    params = {"a": [blob(2)], "x": [blob(5000)]}
    with pytest.raises(Error, match="is damaged"):
        weights.load(params, write(path, bytes(content)))
    np.testing.assert_array_equal(params["a"][0].data, [-1, -1])


def test_circular_and_outside_links_are_not_followed(tmp_path):
    path = write_h5(tmp_path / "w", {"data/x/0": ramp(2)})
    with h5py.File(path, "a") as file:
        file["data/x/loop"] = file["data"]
        file["data/soft"] = h5py.SoftLink("/data")
        file["data/y"] = h5py.ExternalLink("/etc/passwd", "/data")
    with weights.open_weights(path) as file:
        assert [layer[0] for layer in file.layers] == ["x"]


def test_without_h5py(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "h5py", None)
    for action in (
        lambda: weights.load({}, TINY_H5),
        lambda: weights.save_hdf5(caffe_pb2.NetParameter(), {}, tmp_path / "w"),
    ):
        with pytest.raises(Error, match=r"needs h5py: pip install 'caffe-p3d\[hdf5\]'"):
            action()
    assert not list(tmp_path.iterdir())


# --- saving


def golden_net() -> caffe_pb2.NetParameter:
    net = caffe_pb2.NetParameter.FromString(TINY.read_bytes())
    for layer in net.layer:
        layer.ClearField("blobs")
    return net


def test_a_saved_file_is_the_one_that_caffe_saves(tmp_path):
    params = {name: [Blob(b) for b in blobs] for name, blobs in golden_params().items()}
    weights.save(golden_net(), params, tmp_path / "w")
    ours = caffe_pb2.NetParameter.FromString((tmp_path / "w").read_bytes())
    theirs = caffe_pb2.NetParameter.FromString(TINY.read_bytes())
    assert ours == theirs
    assert (tmp_path / "w").stat().st_size == TINY.stat().st_size
    again = {name: [blob(*b.shape) for b in blobs] for name, blobs in params.items()}
    weights.load(again, tmp_path / "w")
    for name, blobs in again.items():
        for j, b in enumerate(blobs):
            np.testing.assert_array_equal(b.data, params[name][j].data)


def test_a_saved_hdf5_file_is_the_one_that_caffe_saves(tmp_path):
    params = {name: [Blob(b) for b in blobs] for name, blobs in golden_params().items()}
    weights.save_hdf5(golden_net(), params, tmp_path / "w")

    def tree(path: Path) -> dict[str, object]:
        found: dict[str, object] = {}
        with h5py.File(path) as file:
            file.visititems(
                lambda name, item: found.update(
                    {name: (item.dtype, item[()].tobytes()) if hasattr(item, "dtype") else None}
                )
            )
        return found

    assert tree(tmp_path / "w") == tree(TINY_H5)


@pytest.mark.parametrize("save", [weights.save, weights.save_hdf5])
@pytest.mark.parametrize(
    "values",
    [np.array(np.nan, "f4"), ramp(0), ramp(2, 0, 3), ramp(4, 6)[:, ::2], ramp(3, 4).T, ramp(70000)],
    ids=lambda v: str(v.shape),
)
def test_arrays_of_any_shape_are_saved(tmp_path, save, values):
    net = caffe_pb2.NetParameter(name="n" * 200)
    net.layer.add(name="x" * 300, type="y").blobs.add().data.append(4)
    save(net, {"x" * 300: [Blob(values), Blob(values)]}, tmp_path / "w")
    with weights.open_weights(tmp_path / "w") as file:
        assert [(name, shapes) for name, _, shapes in file.layers] == [
            ("x" * 300, [values.shape] * 2)
        ]
        np.testing.assert_array_equal(file.read(0, 1), values)
    assert len(net.layer[0].blobs) == 1


def test_doubles_stay_doubles(tmp_path):
    net = caffe_pb2.NetParameter()
    net.layer.add(name="x", type="y")
    weights.save(net, {"x": [Blob(np.array([0.1, 1e300]))]}, tmp_path / "w")
    saved = caffe_pb2.NetParameter.FromString((tmp_path / "w").read_bytes())
    assert list(saved.layer[0].blobs[0].double_data) == [0.1, 1e300]


@pytest.mark.parametrize("save", [weights.save, weights.save_hdf5])
def test_a_failed_save_leaves_the_old_file(tmp_path, save):
    class Broken:
        shape = (2,)

        @property
        def data(self) -> np.ndarray:
            raise ZeroDivisionError

    net = caffe_pb2.NetParameter()
    net.layer.add(name="a")
    net.layer.add(name="x")
    path = write(tmp_path / "w", b"old")
    with pytest.raises(ZeroDivisionError):
        save(net, {"a": [Blob(ramp(70000))], "x": [Broken()]}, path)
    assert path.read_bytes() == b"old"
    assert [p.name for p in tmp_path.iterdir()] == ["w"]
    with pytest.raises(Error, match="cannot write"):
        save(net, {}, tmp_path / "missing" / "w")


def test_files_that_caffe_cannot_read_are_announced(tmp_path, caplog, monkeypatch):
    net = caffe_pb2.NetParameter()
    net.layer.add(name="x")
    monkeypatch.setattr(weight_writer, "_CAFFE_LIMIT", 1000)
    weights.save(net, {"x": [Blob(ramp(100))]}, tmp_path / "w")
    assert not caplog.records
    weights.save(net, {"x": [Blob(ramp(300))]}, tmp_path / "w")
    assert "Caffe itself cannot read protobuf files of 2 GiB" in caplog.text


def test_hdf5_needs_names(tmp_path):
    for name in ("", ".", "/"):
        net = caffe_pb2.NetParameter()
        net.layer.add(name=name)
        with pytest.raises(Error, match="HDF5 stores no layer named"):
            weights.save_hdf5(net, {}, tmp_path / "w")
