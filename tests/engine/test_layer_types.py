"""Every layer type of upstream Caffe that works on its own."""

from __future__ import annotations

import pytest

import p3d.caffe as caffe

# What REGISTER_LAYER_CLASS and REGISTER_LAYER_CREATOR of BVLC Caffe 1.0 name, without the
# layer that reads windows (WindowData).
UPSTREAM = """
AbsVal Accuracy ArgMax BatchNorm BatchReindex Bias BNLL Clip Concat ContrastiveLoss Convolution
Crop Data Deconvolution Dropout DummyData Eltwise ELU Embed EuclideanLoss Exp Filter Flatten
HDF5Data HDF5Output HingeLoss Im2col ImageData InfogainLoss InnerProduct Input Log LRN LSTM LSTMUnit
MemoryData MultinomialLogisticLoss MVN Parameter Pooling Power PReLU Python Reduction ReLU Reshape
RNN Scale Sigmoid SigmoidCrossEntropyLoss Silence Slice Softmax SoftmaxWithLoss Split SPP Swish
TanH Threshold Tile
"""
PUBLISHED_WITH_P3D = "BN Pooling3D VideoData"


@pytest.mark.parametrize("name", f"{UPSTREAM} {PUBLISHED_WITH_P3D}".split())
def test_known(name: str) -> None:
    assert name in caffe.layer_type_list()


def test_unknown_type_suggests_the_nearest() -> None:
    with pytest.raises(RuntimeError, match=r"'x'.*did you mean 'Convolution'"):
        caffe.Net('layer { name: "x" type: "Convolutoin" top: "x" }', caffe.TEST)


def test_unknown_type_says_how_to_add_it() -> None:
    with pytest.raises(RuntimeError, match=r"Interp 'x': there is no layer type Interp.*Python"):
        caffe.Net('layer { name: "x" type: "Interp" top: "x" }', caffe.TEST)


def test_what_only_upstream_reads() -> None:
    with pytest.raises(RuntimeError, match=r"WindowData 'x': reads .*windows.*ImageData"):
        caffe.Net('layer { name: "x" type: "WindowData" top: "x" }', caffe.TEST)
