"""Classifier and Detector, on nets whose output can be worked out by hand."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

import p3d
from p3d.caffe import io
from p3d.caffe.classifier import Classifier
from p3d.caffe.detector import Detector

RNG = np.random.default_rng(1701)

MEAN_OF_PLANES = """
    layer {{ name: "data" type: "Input" top: "data" input_param {{ shape {{ dim: {dims} }} }} }}
    layer {{ name: "mean" type: "{kind}" bottom: "data" top: "mean"
      {field} {{ pool: AVE global_pooling: true }} }}
"""
IMAGES = MEAN_OF_PLANES.format(dims=[4, 3, 6, 8], kind="Pooling", field="pooling_param")
CLIPS = MEAN_OF_PLANES.format(dims=[4, 3, 5, 6, 8], kind="Pooling3D", field="pooling3d_param")


def prepared_mean(crop: np.ndarray) -> np.ndarray:
    """What the nets give for a crop (..., h, w, RGB) with the settings below."""
    bgr = crop.reshape(-1, 3).mean(axis=0)[::-1]
    return (bgr * 255 - [1, 2, 3]) * 0.5


SETTINGS = {
    "mean": np.array([1.0, 2.0, 3.0]),
    "raw_scale": 255,
    "channel_swap": (2, 1, 0),
    "input_scale": 0.5,
}


@pytest.mark.parametrize(("net", "lead"), [(IMAGES, ()), (CLIPS, (5,))], ids=["images", "clips"])
@pytest.mark.parametrize("count", [1, 3, 4, 9])
def test_predict(net: str, lead: tuple[int, ...], count: int) -> None:
    classifier = Classifier(net, None, image_dims=(9, 11), **SETTINGS)
    inputs = [RNG.random((*lead, 13, 17, 3), np.float32) for _ in range(count)]
    resized = [io.resize_image(item, (9, 11)) for item in inputs]
    found = classifier.predict(inputs, oversample=False)
    central = [prepared_mean(item[..., 1:7, 1:9, :]) for item in resized]
    np.testing.assert_allclose(found.reshape(count, 3), central, rtol=1e-4)
    found = classifier.predict(inputs)
    crops = io.oversample(resized, (6, 8)).reshape(count, 10, -1, 3)
    expected = [np.mean([prepared_mean(crop) for crop in ten], axis=0) for ten in crops]
    assert found.shape == (count, 3)
    np.testing.assert_allclose(found, expected, rtol=1e-4)


def test_predict_of_whole_images() -> None:
    classifier = Classifier(IMAGES, None)
    image = RNG.random((6, 8, 3), np.float32)
    found = classifier.predict([image], oversample=False)
    np.testing.assert_allclose(found.ravel(), image.mean(axis=(0, 1)), rtol=1e-5)
    assert classifier.image_dims.tolist() == classifier.crop_dims.tolist() == [6, 8]


def test_what_a_classifier_cannot_do() -> None:
    with pytest.raises(ValueError, match="6x8 is larger than the image, 5x8"):
        Classifier(IMAGES, None, image_dims=(5, 8)).predict([np.zeros((9, 9, 3))], oversample=False)
    with pytest.raises(ValueError, match="clips of 5 frames"):
        Classifier(CLIPS, None).predict([np.zeros((4, 9, 9, 3))])
    matrix = 'layer { name: "d" type: "Input" top: "d" input_param { shape { dim: [1, 2] } } }'
    with pytest.raises(p3d.Error, match=r"'d' has shape \(1, 2\)"):
        Classifier(matrix, None)


# ---------------------------------------------------------------- Detector

SQUARE = MEAN_OF_PLANES.format(dims=[2, 3, 8, 8], kind="Pooling", field="pooling_param")


def test_detect_windows(tmp_path: Path) -> None:
    image = RNG.integers(0, 256, (20, 30, 3), np.uint8)
    path = str(tmp_path / "image.png")
    cv2.imwrite(path, image)
    windows = [(0, 0, 20, 30), (5, 6, 13, 14), (12, 20, 20, 30)]
    found = Detector(SQUARE, None, **SETTINGS).detect_windows([(path, windows), (path, [])])
    assert [d["window"] for d in found] == windows
    assert {d["filename"] for d in found} == {path}
    for d in found:
        top, left, bottom, right = d["window"]
        crop = io.resize_image(io.load_image(path)[top:bottom, left:right], (8, 8))
        np.testing.assert_allclose(d["prediction"].ravel(), prepared_mean(crop), rtol=1e-4)
    assert Detector(SQUARE, None).detect_windows([]) == []


# (window, context_pad, rows and columns of the image that are shown, where in the crop)
CONTEXT = [
    # The window and its context are inside: all of the crop.
    ((8, 12, 11, 15), 2, (slice(6, 14), slice(10, 18)), (slice(0, 8), slice(0, 8))),
    # A corner: 2 of 9 rows and columns are outside.
    ((0, 0, 3, 3), 2, (slice(0, 6), slice(0, 6)), (slice(2, 8), slice(2, 8))),
    # The other corner.
    ((16, 26, 20, 30), 2, (slice(14, 20), slice(24, 30)), (slice(0, 5), slice(0, 5))),
]


@pytest.mark.parametrize(("window", "pad", "shown", "place"), CONTEXT)
def test_context(window: tuple, pad: int, shown: tuple, place: tuple) -> None:
    detector = Detector(SQUARE, None, context_pad=pad, **SETTINGS)
    image = RNG.random((20, 30, 3), np.float32)
    crop = detector.crop(image, window)
    assert crop.shape == (8, 8, 3)
    size = (place[0].stop - place[0].start, place[1].stop - place[1].start)
    np.testing.assert_allclose(crop[place], io.resize_image(image[shown], size))
    outside = np.ones((8, 8), bool)
    outside[place] = False
    np.testing.assert_allclose(crop[outside], np.tile([[3, 2, 1]], (outside.sum(), 1)) / 255)
    # What is outside is the mean: the net sees zero there.
    prepared = detector.transformer.preprocess("data", crop)
    np.testing.assert_allclose(prepared[:, outside], 0, atol=1e-4)


@pytest.mark.parametrize("seed", range(20))
def test_any_window_gives_a_crop(seed: int) -> None:
    rng = np.random.default_rng(seed)
    pad = int(rng.integers(1, 4))
    detector = Detector(SQUARE, None, context_pad=pad)
    image = rng.random((20, 30, 3), np.float32)
    for _ in range(20):
        top, left = rng.integers(-3, 19), rng.integers(-3, 29)
        window = (top, left, max(top, 0) + rng.integers(1, 40), max(left, 0) + rng.integers(1, 40))
        assert detector.crop(image, window).shape == (8, 8, 3), (window, pad)


def test_what_a_detector_cannot_do() -> None:
    detector = Detector(SQUARE, None)
    for window in [(5, 5, 5, 9), (20, 0, 25, 5), (-9, 0, -1, 5)]:
        with pytest.raises(ValueError, match="shows nothing"):
            detector.crop(np.zeros((20, 30, 3)), window)
    with pytest.raises(p3d.Error, match="leaves nothing"):
        Detector(SQUARE, None, context_pad=4)
    with pytest.raises(p3d.Error, match="needs \\(N, C, H, W\\)"):
        Detector(CLIPS, None)
    with pytest.raises(p3d.Error, match="selective_search"):
        detector.detect_selective_search(["a.png"])
