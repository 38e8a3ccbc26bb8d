"""The any-length variant in the engine, with weights of the released layout."""

from __future__ import annotations

import numpy as np
import pytest
from recipe import fill_params, normal_input

import p3d.caffe as caffe
from p3d import models

OPTIONS = {"crop": 48, "classes": 7}


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    path = tmp_path_factory.mktemp("weights") / "p3d63.caffemodel"
    net = caffe.Net(models.prototxt("p3d63-kinetics", **OPTIONS), caffe.TEST)
    for layer, blobs in net.params.items():
        for i, blob in enumerate(blobs):
            blob.data[...] = fill_params(layer, i, tuple(blob.data.shape))
    net.save(str(path))
    yield path
    path.unlink()


def probabilities(weights, clip, **options):
    text = models.prototxt("p3d63-kinetics", **OPTIONS, **options, length=clip.shape[2])
    net = caffe.Net(text, caffe.TEST, weights=str(weights))
    net.blobs["data"].data[...] = clip
    return net.forward()["prob"].copy()


@pytest.mark.parametrize("length", [16, 13, 1])
def test_up_to_16_frames_it_is_the_released_net(weights, length):
    clip = normal_input("any-length", (1, 3, length, 48, 48), 50.0)
    usual = probabilities(weights, clip)
    np.testing.assert_allclose(probabilities(weights, clip, any_length=True), usual, rtol=1e-4)


def test_longer_clips_run_and_count(weights):
    clip = normal_input("any-length", (1, 3, 40, 48, 48), 50.0)
    long = probabilities(weights, clip, any_length=True)
    cut = probabilities(weights, clip[:, :, :32], any_length=True)
    assert abs(long.sum() - 1) < 1e-5
    assert np.abs(long - cut).max() > 1e-4


def test_a_clip_that_is_too_long_names_the_variant() -> None:
    net = caffe.Net(models.prototxt("p3d63-kinetics", crop=32), caffe.TEST)
    net.blobs["data"].reshape(1, 3, 32, 32, 32)
    with pytest.raises(RuntimeError, match="p3d models NAME --any-length"):
        net.reshape()
