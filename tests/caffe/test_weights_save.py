"""p3d.caffe.weights: what saved files hold."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest
from blobs import TINY, TINY_H5, Blob, blob, golden_params, ramp, write

from p3d import Error
from p3d.caffe import weight_writer, weights
from p3d.caffe.proto import caffe_pb2


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


def test_what_caffe_adds_to_layers_is_saved(tmp_path):
    """As a real Caffe saved these."""
    net = caffe_pb2.NetParameter()
    net.layer.add(name="bn", type="BN").param.add(lr_mult=2)
    net.layer.add(name="frozen", type="BN").bn_param.frozen = True
    net.layer.add(name="norm", type="BatchNorm").param.add(lr_mult=0, decay_mult=0)
    net.layer.add(name="loss", type="EuclideanLoss")
    net.layer.add(name="half", type="HingeLoss", loss_weight=[0.5])
    net.layer.add(name="ip", type="InnerProduct")
    weights.save(net, {}, tmp_path / "w")
    saved = caffe_pb2.NetParameter.FromString((tmp_path / "w").read_bytes())
    fixed = caffe_pb2.ParamSpec(lr_mult=0, decay_mult=0)
    bn, frozen, norm, loss, half, ip = saved.layer
    assert list(bn.param) == [
        caffe_pb2.ParamSpec(lr_mult=2),
        caffe_pb2.ParamSpec(),
        fixed,
        fixed,
    ]
    assert list(frozen.param) == [fixed] * 4
    assert list(norm.param) == [fixed] + [caffe_pb2.ParamSpec(lr_mult=0)] * 2
    assert (loss.loss_weight, half.loss_weight) == ([1], [0.5])
    assert ip == net.layer[5]
    assert not net.layer[3].loss_weight


def test_hdf5_has_diffs_of_shared_parameters(tmp_path):
    net = caffe_pb2.NetParameter()
    for name in ("a", "b"):
        net.layer.add(name=name).param.add(name="w")
    params = {name: [Blob(ramp(3))] for name in ("a", "b")}
    for (b,) in params.values():
        b.diff = b.data
    weights.save_hdf5(net, params, tmp_path / "w", with_diffs=True)
    with h5py.File(tmp_path / "w") as file:
        assert [sorted(file[place]) for place in ("data/a", "data/b", "diff/a", "diff/b")] == [
            ["0"],
            [],
            ["0"],
            ["0"],
        ]


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
