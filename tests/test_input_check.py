"""Input that a net was not trained on is recognised by its numbers."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pytest
from fake_net import FakeBlob

import p3d
from p3d.input_check import InputWarning, check_input, log_odd_input

RNG = np.random.default_rng(1701)
PIXELS = RNG.integers(0, 256, (3, 4, 8, 8)).astype(np.float32)
MEAN = np.float32([104, 117, 123]).reshape(3, 1, 1, 1)
IMAGENET = (PIXELS / 255 - 0.45) / 0.225
FLOW = RNG.integers(0, 256, (2, 4, 8, 8)).astype(np.float32)


@pytest.mark.parametrize(
    ("data", "word"),
    [
        (PIXELS / 255, "scaled to 0..1"),
        (PIXELS[None] / 255, "scaled to 0..1"),
        (PIXELS / 127.5 - 1, "normalised"),
        (IMAGENET, "normalised"),
        (PIXELS, "no mean was subtracted"),
        (PIXELS.astype(np.uint8), "no mean was subtracted"),
        (PIXELS[None] * 0.3, "no mean was subtracted"),
        (FLOW, "no mean was subtracted"),
        (FLOW / 255, "scaled to 0..1"),
        (np.full_like(PIXELS, np.nan), "not finite"),
        (np.where(PIXELS < 255, PIXELS, np.inf), "not finite"),
    ],
)
def test_odd_input_is_named_with_the_cure(data, word):
    with pytest.warns(InputWarning, match=word) as caught:
        text = check_input(data)
    assert text == str(caught[0].message)
    assert "128" in text if data.shape[-4] == 2 else "104, 117, 123" in text


@pytest.mark.parametrize(
    "data",
    [
        PIXELS - MEAN,
        (PIXELS - MEAN)[None],
        PIXELS * 0.2 - MEAN,  # a dark video
        np.zeros_like(PIXELS),
        FLOW - 128,
        RNG.normal(0, 20, (3, 4, 8, 8)),
        np.float32([[1, 2], [3, 4]]),  # no clip at all
    ],
)
def test_good_input_is_let_alone(data):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert p3d.check_input(data) is None


class Net:
    """What log_odd_input needs of a net."""

    inputs = ("data", "label")

    def __init__(self, name, data):
        self.name = name
        self.blobs = {"data": FakeBlob(*data.shape), "label": FakeBlob(1)}
        self.blobs["data"].data[...] = data


@pytest.mark.parametrize(
    ("name", "data", "lines"),
    [
        ("DEPLOY_P3D_RESNET_KINETICS", PIXELS[None] / 255, 1),
        ("DEPLOY_P3D_RESNET_KINETICS", (PIXELS - MEAN)[None], 0),
        ("C3D", PIXELS[None] / 255, 0),
    ],
)
def test_a_net_says_it_in_the_log(name, data, lines, caplog):
    log_odd_input(Net(name, data))
    assert len(caplog.records) == lines
    assert all("blob 'data': the data is between" in r.getMessage() for r in caplog.records)


def test_a_net_with_weights_looks_at_its_first_input(caplog):
    from p3d import caffe

    golden = Path(__file__).parent / "golden" / "tiny"
    weights = str(golden / "tiny_seeded.caffemodel")
    net = caffe.Net(str(golden / "tiny.prototxt"), weights, caffe.TEST)
    net.blobs["data"].data[...] = RNG.random(net.blobs["data"].shape)
    for _ in range(3):
        net.forward()
    assert sum("looks scaled to 0..1" in r.getMessage() for r in caplog.records) == 1
    caplog.clear()
    net = caffe.Net(str(golden / "tiny.prototxt"), weights, caffe.TEST)
    net.blobs["data"].data[...] = RNG.integers(-100, 130, net.blobs["data"].shape)
    net.forward()
    assert not [r for r in caplog.records if "looks" in r.getMessage()]
