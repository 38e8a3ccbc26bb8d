"""p3d.caffe.weights: into and out of the nets of the engine."""

from __future__ import annotations

import h5py
import numpy as np
import pytest
from blobs import GOLDEN, TINY, TINY_H5, golden_params, ramp, write

from p3d import Error
from p3d.caffe.proto import caffe_pb2
from p3d.caffe.pycaffe import Net


@pytest.fixture
def tiny() -> Net:
    with np.load(GOLDEN / "tiny/tiny_test.npz") as arrays:
        return Net(str(arrays["prototxt"]), caffe_pb2.TEST)


@pytest.mark.parametrize("path", [TINY, TINY_H5], ids=["caffemodel", "h5"])
def test_a_net_gives_upstreams_output(tiny, path):
    held = tiny.params["fc_tiny"][1].data
    tiny.copy_from(path)
    for name, blobs in golden_params().items():
        for j, values in enumerate(blobs):
            np.testing.assert_array_equal(tiny.params[name][j].data, values)
    np.testing.assert_array_equal(held, golden_params()["fc_tiny"][1])
    with np.load(GOLDEN / "tiny/tiny_test.npz") as arrays:
        mean = np.float32([104, 117, 123]).reshape(1, 3, 1, 1, 1)
        tiny.blobs["data"].data[...] = arrays["data_u8"] - mean
        np.testing.assert_allclose(tiny.forward()["prob"], arrays["blob/prob"], atol=1e-5)


@pytest.mark.parametrize("kind", ["caffemodel", "h5"])
def test_a_net_saves_what_it_loads(tiny, tmp_path, kind):
    tiny.copy_from(TINY)
    tiny.forward()
    (tiny.save if kind == "caffemodel" else tiny.save_hdf5)(tmp_path / "w")
    other = Net(tiny.param, caffe_pb2.TEST)
    other.copy_from(tmp_path / "w")
    for name, blobs in golden_params().items():
        for j, values in enumerate(blobs):
            np.testing.assert_array_equal(other.params[name][j].data, values)


def test_a_net_stays_as_it_is_when_loading_fails(tiny, tmp_path):
    tiny.copy_from(TINY)
    cut = write(tmp_path / "cut", TINY.read_bytes()[:-100])
    with h5py.File(write(tmp_path / "bad.h5", TINY_H5.read_bytes()), "a") as file:
        del file["data/fc_tiny/1"]
        file["data/fc_tiny/1"] = ramp(6)
        file["data/conv1/0"][...] = 0
    for path in (cut, tmp_path / "bad.h5"):
        with pytest.raises(Error, match="layer 'fc_tiny'"):
            tiny.copy_from(path)
        np.testing.assert_array_equal(tiny.params["conv1"][0].data, golden_params()["conv1"][0])


@pytest.mark.parametrize("kind", ["caffemodel", "h5"])
def test_shared_parameters_of_a_net(tmp_path, kind):
    layer = """
        layer {{ name: "{0}" type: "InnerProduct" bottom: "{1}" top: "{0}"
                 param {{ name: "w" }} param {{ name: "b" }}
                 inner_product_param {{ num_output: 4 weight_filler {{ type: "xavier" }} }} }}"""
    data = 'layer { name: "a" type: "Input" top: "a" input_param { shape { dim: 2 dim: 4 } } }'
    nets = [Net(data + layer.format("b", "a") + layer.format("c", "b"), 1) for _ in range(2)]
    (nets[0].save if kind == "caffemodel" else nets[0].save_hdf5)(tmp_path / "w")
    nets[1].copy_from(tmp_path / "w")
    for name in "bc":
        for j in range(2):
            expected = nets[0].params["b"][j].data
            np.testing.assert_array_equal(nets[1].params[name][j].data, expected)


def test_arrays_of_the_wrong_size_are_refused(tiny):
    with pytest.raises(Error, match="3 values for a blob of 5"):
        tiny.params["fc_tiny"][1].assign(np.zeros(3, "f4"))
