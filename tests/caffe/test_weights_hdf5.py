"""p3d.caffe.weights: .caffemodel.h5 files."""

from __future__ import annotations

import sys

import h5py
import numpy as np
import pytest
from blobs import GOLDEN, TINY_H5, Blob, blob, ramp, write, write_h5

from p3d import Error
from p3d.caffe import weights
from p3d.caffe.proto import caffe_pb2


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


@pytest.mark.parametrize("compression", [None, "gzip"])
def test_promises_that_would_fill_the_memory(tmp_path, compression):
    path = tmp_path / "w"
    with h5py.File(path, "w") as file:
        file.create_dataset("data/x/0", (1 << 20, 1 << 25), "f4", compression=compression)
    with pytest.raises(Error, match=f"file {path} promises {1 << 45} values in"):
        weights.open_weights(path)


def test_a_dataset_without_values(tmp_path):
    path = tmp_path / "w"
    with h5py.File(path, "w") as file:
        file["data/x/0"] = h5py.Empty("f4")
    with pytest.raises(Error, match=r"layer 'x'.*stores 1 blobs, missing"):
        weights.load({"x": [blob(1)]}, path)


def test_circular_and_outside_links_are_not_followed(tmp_path):
    path = write_h5(tmp_path / "w", {"data/x/0": ramp(2)})
    with h5py.File(path, "a") as file:
        file["data/x/loop"] = file["data"]
        file["data/soft"] = h5py.SoftLink("/data")
        file["data/y"] = h5py.ExternalLink("/etc/passwd", "/data")
        file["data/x/1"] = np.dtype("f4")  # a named type
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
