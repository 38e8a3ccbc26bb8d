"""Losses and Accuracy on a GPU: where they run, and what they say of a label that is no class."""

from __future__ import annotations

import textwrap

import pytest

PREPARE = """
import numpy as np
import p3d.caffe as caffe

def make(text, labels):
    net = caffe.Net(
        'force_backward: true '
        'layer { name: "in" type: "Input" top: "x" top: "y" top: "pair" top: "matrix" '
        'input_param { shape { dim: 5 dim: 3 } '
        'shape { dim: 5 ' + ("" if labels else "dim: 3 ") + '} '
        'shape { dim: 5 } shape { dim: 3 dim: 3 } } } '
        'layer { name: "top" type: ' + text + ' top: "top" }',
        caffe.TRAIN,
    )
    random = np.random.default_rng(3)
    net.blobs["x"].data[...] = random.uniform(0.1, 0.9, (5, 3))
    net.blobs["y"].data[...] = random.integers(0, 3, net.blobs["y"].shape)
    net.blobs["pair"].data[...] = [0, 1, 0, 1, 1]
    net.blobs["matrix"].data[...] = random.uniform(0.1, 2, (3, 3))
    return net

def message(net):
    try:
        net.forward()
    except Exception as error:
        return str(error)
    return "no error"
"""
TWO = ' bottom: "x" bottom: "y"'
ACCURACY = f'"Accuracy" accuracy_param {{ top_k: 2 }}{TWO}'
LABELLED = [
    f'"HingeLoss"{TWO}',
    f'"MultinomialLogisticLoss"{TWO}',
    f'"InfogainLoss"{TWO} bottom: "matrix"',
]
PAIRED = [
    f'"EuclideanLoss"{TWO}',
    f'"SigmoidCrossEntropyLoss" loss_param {{ ignore_label: 1 }}{TWO}',
    f'"ContrastiveLoss"{TWO} bottom: "pair"',
]


@pytest.mark.parametrize("layer", [ACCURACY, *LABELLED, *PAIRED])
def test_it_runs_on_the_gpu(run, layer) -> None:
    """Its kernel is the first of its net: where that fails, so does the net."""
    code = f"""
    net = make({layer!r}, {layer not in PAIRED})
    want = net.forward()["top"].copy()
    caffe.set_mode_gpu()
    print(message(net))
    np.testing.assert_allclose(net.forward()["top"], want, rtol=1e-6)
    """
    done = run("-c", PREPARE + textwrap.dedent(code), P3D_SIMULATED_FAULT="1 once")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "kernel 1 fails on the simulated GPU" in done.stdout


@pytest.mark.parametrize("layer", [*LABELLED, *PAIRED])
def test_gradients_are_those_of_the_processor(run, layer) -> None:
    code = f"""
    net = make({layer!r}, {layer in LABELLED})
    net.forward()
    net.backward()
    want = net.blobs["x"].diff.copy()
    assert want.any()
    caffe.set_mode_gpu()
    net.blobs["x"].diff[...] = np.nan
    net.forward()
    net.backward()
    np.testing.assert_allclose(net.blobs["x"].diff, want, rtol=1e-6)
    """
    done = run("-c", PREPARE + textwrap.dedent(code))
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("layer", [ACCURACY, *LABELLED])
@pytest.mark.parametrize("label", ["3", "-1", "np.nan"])
def test_a_label_that_is_no_class(run, layer, label) -> None:
    code = f"""
    net = make({layer!r}, True)
    net.blobs["y"].data[2] = {label}
    want = message(net)
    assert "at place 2 is not one of the 3 classes" in want, want
    caffe.set_mode_gpu()
    assert message(net) == want, message(net)
    net.blobs["y"].data[2] = 1
    net.forward()
    """
    done = run("-c", PREPARE + textwrap.dedent(code))
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_pair_that_is_neither_similar_nor_not(run) -> None:
    code = f"""
    net = make({PAIRED[-1]!r}, False)
    net.blobs["pair"].data[3] = np.nan
    want = message(net)
    assert "label 3 is NaN; give 1 for a similar pair" in want, want
    caffe.set_mode_gpu()
    assert message(net) == want, message(net)
    """
    done = run("-c", PREPARE + textwrap.dedent(code))
    assert done.returncode == 0, done.stdout + done.stderr
