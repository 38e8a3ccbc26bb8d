"""The torch module that tools/benchmark.py runs: a second opinion about what layers mean."""

from __future__ import annotations

import numpy as np
import pytest
from benchmarking import files
from benchmarking.race import _difference

from p3d import caffe, models
from p3d.caffe.prototxt import describe
from p3d.random_weights import fill

torch = pytest.importorskip("torch")

OTHER_LAYERS = """
layer { name: "x" type: "Input" top: "x"
        input_param { shape { dim: 2 dim: 4 dim: 5 dim: 9 dim: 8 } } }
layer { name: "c" type: "Convolution" bottom: "x" top: "c"
        convolution_param { num_output: 6 group: 2 kernel_size: 3 stride: 1 stride: 2 stride: 1
        pad: 1 dilation: 1 dilation: 1 dilation: 2 } }
layer { name: "norm" type: "BatchNorm" bottom: "c" top: "norm" }
layer { name: "scale" type: "Scale" bottom: "norm" top: "scale" scale_param { bias_term: true } }
layer { name: "leak" type: "ReLU" bottom: "scale" top: "leak" relu_param { negative_slope: 0.2 } }
layer { name: "relu" type: "ReLU" bottom: "norm" top: "relu" }
layer { name: "most" type: "Eltwise" bottom: "leak" bottom: "relu" bottom: "norm" top: "most"
        eltwise_param { operation: MAX } }
layer { name: "times" type: "Eltwise" bottom: "leak" bottom: "most" top: "times"
        eltwise_param { operation: PROD } }
layer { name: "sum" type: "Eltwise" bottom: "leak" bottom: "times" bottom: "relu" top: "sum"
        eltwise_param { coeff: 0.5 coeff: -1 coeff: 2 } }
layer { name: "pool" type: "Pooling3D" bottom: "sum" top: "pool" pooling3d_param { pool: AVE
        kernel_size: 3 stride: 2 pad: 1 kernel_l: 2 stride_l: 2 pad_l: 1 } }
layer { name: "all" type: "Pooling3D" bottom: "pool" top: "all"
        pooling3d_param { pool: MAX global_pooling: true } }
layer { name: "flat" type: "Reshape" bottom: "pool" top: "flat"
        reshape_param { shape { dim: -1 } axis: 1 num_axes: 2 } }
layer { name: "fc" type: "InnerProduct" bottom: "flat" top: "fc"
        inner_product_param { num_output: 5 bias_filler { type: "constant" value: 0.5 } } }
layer { name: "prob" type: "Softmax" bottom: "fc" top: "prob" }
"""


@pytest.mark.parametrize(
    "text",
    [
        models.prototxt("p3d63-kinetics", crop=48, classes=7, batch=2),
        models.prototxt("p3d63-kinetics-flow", crop=48, classes=7, length=5),
        OTHER_LAYERS,
    ],
    ids=["p3d63", "p3d63-flow", "other"],
)
def test_torch_gives_the_engines_numbers(text, tmp_path):
    from benchmarking.torch_net import CaffeNet

    net = caffe.Net(text, caffe.TEST)
    fill(net)
    source = net.inputs[0]
    clip = files.clips(tuple(net.blobs[source].shape)) / (1 if source == "data" else 100)
    names = [
        name for name in net.blobs if name not in (source, "pool5_drop") and "split" not in name
    ]
    net.blobs[source].data[...] = clip
    expected = net.forward(blobs=names)
    weights = {name: [np.array(b.data) for b in blobs] for name, blobs in net.params.items()}
    layers, defaults = describe(net.param)
    module = CaffeNet(layers, defaults, weights, [source], names)
    with torch.no_grad():
        found = dict(zip(names, module(torch.from_numpy(clip)), strict=True))
    for name in names:
        assert _difference(found[name].numpy(), expected[name]) < 1e-5, name
    eps = layers[2]["fields"].setdefault("bn_param", dict(defaults["bn_param"]))
    eps["eps"] = 0.1
    layers[2]["fields"]["batch_norm_param"] = dict(defaults["batch_norm_param"], eps=0.1)
    with torch.no_grad():
        spoiled = CaffeNet(layers, defaults, weights, [source], ["prob"])(torch.from_numpy(clip))[0]
    assert _difference(spoiled.numpy(), expected["prob"]) > 1e-4


def test_torch_refuses_what_it_does_not_know():
    from benchmarking.torch_net import CaffeNet

    layer = {"name": "a", "type": "LRN", "bottom": ["x"], "top": ["a"], "fields": {}}
    with pytest.raises(NotImplementedError, match="LRN"):
        CaffeNet([layer], {}, {}, ["x"], ["a"])
