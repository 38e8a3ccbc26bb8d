"""Colour jitter against a plain reference, one step after the other."""

from __future__ import annotations

import colorsys
import math

import numpy as np
import pytest

from p3d import Error
from p3d.caffe.proto import caffe_pb2
from p3d.data.jitter import Jitter, apply, draw, is_wanted
from p3d.data.seeds import generator

Param = caffe_pb2.VideoDataParameter


def clip(length: int = 3) -> list[np.ndarray]:
    random = np.random.default_rng(2)
    return [random.integers(60, 190, (5, 7, 3)).astype(np.uint8) for _ in range(length)]


def grey(frames) -> np.ndarray:
    b, g, r = np.moveaxis(np.asarray(frames, float), -1, 0)
    return (0.299 * r + 0.587 * g + 0.114 * b)[..., None]


def plain(frames, jitter: Jitter) -> np.ndarray:
    values = np.asarray(frames, float) * jitter.brightness
    values = jitter.contrast * values + (1 - jitter.contrast) * grey(values).mean()
    return jitter.saturation * values + (1 - jitter.saturation) * grey(values)


@pytest.mark.parametrize(
    "factors",
    [(1, 1, 1), (0.7, 1, 1), (1.3, 1, 1), (1, 0.5, 1), (1, 1.2, 1), (1, 1, 0), (1, 1, 1.4),
     (1.1, 0.8, 0.6)],
)  # fmt: skip
def test_against_steps_one_by_one(factors: tuple[float, ...]) -> None:
    jitter = Jitter(*factors, 0.0)
    found = np.asarray(apply(clip(), jitter), float)
    np.testing.assert_allclose(found, plain(clip(), jitter).clip(0, 255), atol=0.75)


def test_a_third_of_the_circle_swaps_the_colours() -> None:
    found = apply(clip(), Jitter(1, 1, 1, 2 * math.pi / 3))
    np.testing.assert_allclose(found, np.asarray(clip())[..., [1, 2, 0]], atol=1)


@pytest.mark.parametrize("share", [-0.1, 0.05, 0.25])
def test_hue_turns_hues_and_keeps_greys(share: float) -> None:
    jitter = Jitter(1, 1, 1, share * 2 * math.pi)
    flat = [np.full((2, 2, 3), 77, np.uint8)]
    np.testing.assert_array_equal(apply(flat, jitter), flat)
    colour = [np.full((2, 2, 3), (100, 100, 140), np.uint8)]  # a pale red
    b, g, r = np.asarray(apply(colour, jitter), float)[0, 0, 0]
    hue = colorsys.rgb_to_hsv(r, g, b)[0]
    assert abs((hue - share + 0.5) % 1 - 0.5) < 0.03


def test_draws_stay_in_their_ranges_and_reach_their_ends() -> None:
    param = Param(brightness=0.4, contrast=1.5, hue=0.1)
    random = generator(8)
    drawn = np.array([draw(param, random) for _ in range(2000)])
    low, high = [0.6, 0, 1, -0.2 * math.pi], [1.4, 2.5, 1, 0.2 * math.pi]
    np.testing.assert_allclose(drawn.min(0), low, atol=0.01)
    np.testing.assert_allclose(drawn.max(0), high, atol=0.01)


@pytest.mark.parametrize(
    ("param", "wanted"), [(Param(), False), (Param(hue=0.1), True), (Param(use_flow=True), False)]
)
def test_is_wanted(param, wanted: bool) -> None:
    assert is_wanted(param) is wanted


@pytest.mark.parametrize(
    ("param", "message"),
    [
        (Param(brightness=-1), "0 or more"),
        (Param(hue=0.6), "hue is 0 to 0.5"),
        (Param(hue=0.1, use_flow=True), "flow has no colours"),
    ],
)
def test_what_cannot_be(param, message: str) -> None:
    with pytest.raises(Error, match=message):
        is_wanted(param)
