"""Windows and products as tools/benchmark.py counts them are the engine's."""

from __future__ import annotations

import itertools

import pytest
from benchmarking import files
from benchmarking.geometry import conv_products, pool_windows

from p3d import caffe, models
from p3d.caffe.prototxt import describe

CONVOLUTIONS = [
    (size, kernel, stride, pad, dilation)
    for size, kernel, stride, pad, dilation in itertools.product(
        (1, 2, 5, 9), (1, 3, 4), (1, 2, 3), (0, 1, 3), (1, 2)
    )
    if size + 2 * pad > dilation * (kernel - 1)
]


@pytest.mark.parametrize(("size", "kernel", "stride", "pad", "dilation"), CONVOLUTIONS)
def test_products(size, kernel, stride, pad, dilation):
    text = f"""
        layer {{ name: "x" type: "Input" top: "x"
                 input_param {{ shape {{ dim: 2 dim: 4 dim: {size} dim: 6 }} }} }}
        layer {{ name: "y" type: "Convolution" bottom: "x" top: "y" convolution_param {{
                 num_output: 6 group: 2 kernel_size: {kernel} kernel_size: 1
                 stride: {stride} stride: 1 pad: {pad} pad: 0 dilation: {dilation} dilation: 1
                 bias_term: false weight_filler {{ type: "constant" value: 1 }} }} }}"""
    net = caffe.Net(text, caffe.TEST)
    net.blobs["x"].data[...] = 1
    net.forward()
    param = describe(net.param)[0][1]["fields"]["convolution_param"]
    every, real = conv_products(param, net.blobs["x"].shape)
    assert every == net.layer_dict["y"].macs
    assert real == net.blobs["y"].data.sum()  # ones: every product with data counts one


def test_the_products_of_p3d199():
    net = caffe.Net(models.prototxt("p3d199-kinetics", batch=2), caffe.TEST)
    work = files.work_of(net, 2)
    assert work.macs == pytest.approx(18.40e9, rel=1e-3)
    assert 1 - work.macs_without_padding / work.macs == pytest.approx(0.076, abs=1e-3)


WINDOWS = [(5, 2, 2, 0), (6, 3, 2, 0), (7, 3, 2, 1), (4, 2, 2, 1), (5, 1, 2, 0), (9, 4, 3, 2)]


@pytest.mark.parametrize(("size", "kernel", "stride", "pad"), WINDOWS)
def test_pool_windows_are_the_engines(size, kernel, stride, pad):
    text = f"""
        layer {{ name: "x" type: "Input" top: "x"
                 input_param {{ shape {{ dim: 1 dim: 1 dim: {size} dim: {size} }} }} }}
        layer {{ name: "y" type: "Pooling" bottom: "x" top: "y" pooling_param {{
                 pool: MAX kernel_size: {kernel} stride: {stride} pad: {pad} }} }}"""
    net = caffe.Net(text, caffe.TEST)
    counts = pool_windows([size] * 2, [kernel] * 2, [stride] * 2, [pad] * 2, True)
    assert counts == list(net.blobs["y"].shape[2:])
