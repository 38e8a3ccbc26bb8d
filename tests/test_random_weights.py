"""Random weights keep a net in a range in which its numbers mean something."""

from __future__ import annotations

import numpy as np
import pytest
from recipe import waves_input

from p3d import caffe, models, random_weights

NET = models.prototxt("p3d63-kinetics", crop=64, classes=7)
OTHER_KINDS = """
layer { name: "data" type: "Input" top: "data"
        input_param { shape { dim: 2 dim: 4 dim: 9 dim: 9 } } }
layer { name: "norm" type: "BatchNorm" bottom: "data" top: "norm" }
layer { name: "scale" type: "Scale" bottom: "norm" top: "scale" scale_param { bias_term: true } }
layer { name: "up" type: "Deconvolution" bottom: "scale" top: "up"
        convolution_param { num_output: 6 kernel_size: 3 group: 2 } }
layer { name: "bias" type: "Bias" bottom: "up" top: "bias"
        bias_param { filler { type: "constant" value: 0.125 } } }
"""


@pytest.fixture
def filled():
    net = caffe.Net(NET, caffe.TEST)
    random_weights.fill(net)
    return net


def test_activations_stay_in_range(filled):
    filled.blobs["data"].data[...] = waves_input((1, 3, 16, 64, 64))
    stages = [name for name in filled.blobs if name.startswith("res") and name.count("_") == 0]
    out = filled.forward(blobs=[*stages, "pool5"])
    assert len(stages) == 3 + 4 + 6 + 3
    for name, values in out.items():
        assert 1e-3 < np.abs(values).max() < 1e3, name
    assert out["prob"].max() < 0.9


def test_the_file_has_what_fill_gives(filled, tmp_path):
    path = tmp_path / "w.caffemodel"
    random_weights.write(caffe.Net(NET, caffe.TEST), path)
    read = caffe.Net(NET, path, caffe.TEST)
    for name, blobs in filled.params.items():
        for index, blob in enumerate(blobs):
            other = read.params[name][index].data
            np.testing.assert_array_equal(other, blob.data, err_msg=f"{name} {index}")


def test_kinds(tmp_path):
    net = caffe.Net(OTHER_KINDS, caffe.TEST)
    random_weights.fill(net)
    assert net.params["norm"][2].data == 1
    assert net.params["norm"][1].data.min() >= 0.5
    assert 0.8 <= net.params["scale"][0].data.min() < net.params["scale"][0].data.max() <= 1.2
    assert net.params["up"][0].data.std() == pytest.approx(np.sqrt(2 / 27), rel=0.3)
    assert not net.params["up"][1].data.any()
    assert (net.params["bias"][0].data == 0.125).all()
    random_weights.write(net, tmp_path / "w.caffemodel")
    caffe.Net(OTHER_KINDS, tmp_path / "w.caffemodel", caffe.TEST)
