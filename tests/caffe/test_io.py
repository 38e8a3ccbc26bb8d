"""caffe.io: blobs, images, clips and the Transformer."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

import p3d
from p3d.caffe import io
from p3d.caffe.proto import caffe_pb2

RNG = np.random.default_rng(1701)

# ---------------------------------------------------------------- blobs


@pytest.mark.parametrize("shape", [(), (1,), (3, 0, 2), (2, 3), (1, 3, 4, 5), (1, 3, 2, 4, 5)])
@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.uint8])
def test_blobproto_round_trip(shape: tuple[int, ...], dtype: type) -> None:
    array = (RNG.random(shape) * 9).astype(dtype)
    blob = io.array_to_blobproto(array, diff=array + 1)
    blob = caffe_pb2.BlobProto.FromString(blob.SerializeToString())
    for found, expected in [
        (io.blobproto_to_array(blob), array),
        (io.blobproto_to_array(blob, return_diff=True), array + 1),
    ]:
        assert found.shape == shape
        np.testing.assert_array_equal(found.astype(np.float32), expected.astype(np.float32))


def test_blobproto_of_other_kinds() -> None:
    legacy = caffe_pb2.BlobProto(num=1, channels=1, height=2, width=3, data=range(6))
    assert io.blobproto_to_array(legacy).shape == (1, 1, 2, 3)
    double = caffe_pb2.BlobProto(double_data=[0.1, 0.2], shape={"dim": [2]})
    assert io.blobproto_to_array(double).tolist() == [0.1, 0.2]
    assert io.blobproto_to_array(caffe_pb2.BlobProto(data=[123])) == 123


@pytest.mark.parametrize(
    "blob",
    [caffe_pb2.BlobProto(data=range(4)), caffe_pb2.BlobProto(data=[1], shape={"dim": [2**40, 2]}),
     caffe_pb2.BlobProto(data=range(4), num=3)],
    ids=["no shape", "huge shape", "legacy"],
)  # fmt: skip
def test_blobproto_of_another_size(blob: Any) -> None:
    with pytest.raises(ValueError, match="reshape"):
        io.blobproto_to_array(blob)


def test_diff_of_another_shape() -> None:
    with pytest.raises(ValueError, match="shape"):
        io.array_to_blobproto(np.zeros(3), diff=np.zeros((3, 1)))


def test_blobprotovector_round_trip() -> None:
    arrays = [np.arange(6.0).reshape(2, 3), np.ones((1, 1, 2)), np.array(5.0)]
    packed = io.arraylist_to_blobprotovector_str(arrays)
    assert isinstance(packed, bytes)
    for found, expected in zip(io.blobprotovector_str_to_arraylist(packed), arrays, strict=True):
        np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("dtype", [np.uint8, np.float32, np.int64])
def test_datum_round_trip(dtype: type) -> None:
    array = np.arange(24).reshape(2, 3, 4).astype(dtype)
    datum = io.array_to_datum(array, label=7)
    assert datum.label == 7
    assert bool(datum.data) == (dtype is np.uint8)
    found = io.datum_to_array(caffe_pb2.Datum.FromString(datum.SerializeToString()))
    assert found.dtype == (np.uint8 if dtype is np.uint8 else float)
    np.testing.assert_array_equal(found, array)
    found[:] = 0  # writable
    assert not io.array_to_datum(array).HasField("label")


def test_datum_of_an_encoded_image() -> None:
    image = RNG.integers(0, 256, (5, 7, 3), np.uint8)
    datum = caffe_pb2.Datum(data=cv2.imencode(".png", image)[1].tobytes(), encoded=True)
    np.testing.assert_array_equal(io.datum_to_array(datum), image.transpose(2, 0, 1))
    for data in (b"", b"no image"):
        with pytest.raises(ValueError, match="encoded"):
            io.datum_to_array(caffe_pb2.Datum(data=data, encoded=True))


@pytest.mark.parametrize("shape", [(2,), (2, 3), (1, 3, 2, 4)])
def test_datum_has_three_axes(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="Incorrect array shape"):
        io.array_to_datum(np.zeros(shape))


# ---------------------------------------------------------------- images

COLOUR = np.array([[[10, 20, 30], [255, 0, 128]]], np.uint8)  # B, G, R


@pytest.mark.parametrize(
    ("stored", "expected"),
    [
        (COLOUR, COLOUR[:, :, ::-1] / 255),
        (COLOUR.astype(np.uint16) * 257, COLOUR[:, :, ::-1] / 255),
        (np.dstack([COLOUR, [[0, 9]]]).astype(np.uint8), COLOUR[:, :, ::-1] / 255),
        (COLOUR[:, :, 0], np.repeat(COLOUR[:, :, :1], 3, axis=2) / 255),
    ],
    ids=["8 bit", "16 bit", "alpha", "grey"],
)
def test_load_image(tmp_path: Path, stored: np.ndarray, expected: np.ndarray) -> None:
    path = tmp_path / "im ä.png"
    path.write_bytes(cv2.imencode(".png", stored)[1].tobytes())
    image = io.load_image(path)
    assert image.dtype == np.float32
    np.testing.assert_allclose(image, expected, rtol=1e-6)
    grey = io.load_image(str(path), color=False)
    assert grey.shape == (1, 2, 1)
    luma = expected @ [0.2125, 0.7154, 0.0721]
    np.testing.assert_allclose(grey[:, :, 0], luma, rtol=1e-5)


def test_load_image_that_is_none(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        io.load_image(tmp_path / "missing.png")
    for content in (b"", b"text"):
        (tmp_path / "x.png").write_bytes(content)
        with pytest.raises(p3d.Error, match=r"x\.png"):
            io.load_image(tmp_path / "x.png")


GREY = [[1, 1.2083333, 1.625, 1.625], [1.75, 2.25, 2.75, 2.5], [2.25, 2.875, 3.2916667, 2.875]]
FLOW = [[1, 1.3333333, 1.6666667, 2], [2, 2.3333333, 2.6666667, 3], [3, 3.3333333, 3.6666667, 4]]


def resize_by_hand(image: np.ndarray, height: int, width: int) -> np.ndarray:
    """As Caffe does: by scipy's zoom, or, where there are 1 or 3 channels, by scikit-image's
    resize with a constant border."""

    def weights(size: int, new: int) -> np.ndarray:
        place = (np.arange(new) + 0.5) * size / new - 0.5
        if channels not in (1, 3):
            place = np.linspace(0, size - 1, new)
        return np.maximum(1 - abs(place[:, None] - np.arange(size)), 0)

    h, w, channels = image.shape
    least = image.min()
    return least + np.einsum("ih,jw,hwk->ijk", weights(h, height), weights(w, width), image - least)


@pytest.mark.parametrize("channels", [1, 2, 3, 4, 5, 9])
@pytest.mark.parametrize("size", [(5, 7), (3, 4), (11, 2), (1, 1), (10, 14)])
def test_resize_image(channels: int, size: tuple[int, int]) -> None:
    image = (RNG.random((5, 7, channels)) * 300 - 100).astype(np.float32)
    found = io.resize_image(image, size)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, resize_by_hand(image, *size), rtol=1e-4, atol=1e-3)
    clip = io.resize_image(np.stack([image, -image]), np.array(size))
    np.testing.assert_array_equal(clip, [found, io.resize_image(-image, size)])


def test_resize_image_at_the_border() -> None:
    """Numbers of Caffe 1.0 with scikit-image and scipy."""
    image = np.array([[[1.0], [2.0]], [[3.0], [4.0]]], np.float32)
    grey = io.resize_image(image, (3, 4))[..., 0]
    np.testing.assert_allclose(grey, GREY, atol=1e-6)
    flow = io.resize_image(np.concatenate([image, -image], 2), (3, 4))
    np.testing.assert_allclose(flow[..., 0], FLOW, atol=1e-6)
    np.testing.assert_array_equal(flow[..., 1], -flow[..., 0])


def test_resize_image_orders() -> None:
    image = np.array([[[0.0], [1.0]]], np.float32)
    assert io.resize_image(image, (1, 4), interp_order=0).ravel().tolist() == [0, 0, 1, 1]
    assert io.resize_image(image, (1, 4), 1).ravel().tolist() == [0, 0.25, 0.75, 0.75]
    assert io.resize_image(image, (1, 4), 3).shape == (1, 4, 1)
    for arguments in [(image, (1, 4), 2), (image[0], (1, 4)), (image[:0], (1, 4))]:
        with pytest.raises(ValueError, match=r"interp_order|shape"):
            io.resize_image(*arguments)


@pytest.mark.parametrize("lead", [(), (2,)], ids=["image", "clip"])
@pytest.mark.parametrize("size", [(5, 8), (6, 7)])
def test_oversample(lead: tuple[int, ...], size: tuple[int, int]) -> None:
    images = RNG.random((3, *lead, *size, 2), np.float32)
    crops = io.oversample(images, (3, 4))
    assert crops.shape == (30, *lead, 3, 4, 2)
    h, w = size
    places = [(0, 0), (0, w - 4), (h - 3, 0), (h - 3, w - 4), ((h - 3) // 2, (w - 4) // 2)]
    for n, image in enumerate(images):
        for i, (y, x) in enumerate(places):
            expected = image[..., y : y + 3, x : x + 4, :]
            np.testing.assert_array_equal(crops[10 * n + i], expected)
            np.testing.assert_array_equal(crops[10 * n + 5 + i], expected[..., ::-1, :])
    with pytest.raises(ValueError, match="larger"):
        io.oversample(images, (9, 9))


# ---------------------------------------------------------------- Transformer


@pytest.mark.parametrize("image", [(10, 12), (10, 12, 1), (10, 12, 4)])
@pytest.mark.parametrize("mean", [(3,), (3, 10, 12)])
def test_a_mean_makes_no_image_of_three_channels(image: tuple[int, ...], mean: tuple[int, ...]):
    t = io.Transformer({"data": (1, 3, 10, 12)})
    if len(image) == 3:
        t.set_transpose("data", (2, 0, 1))
    t.set_mean("data", np.ones(mean, np.float32))
    with pytest.raises(ValueError, match="cannot be subtracted from an image"):
        t.preprocess("data", np.ones(image, np.float32))


IMAGES, CLIPS = (2, 3, 4, 5), (2, 3, 6, 4, 5)


def transformer(shape: tuple[int, ...], mean: Any = (1.0, 2.0, 3.0)) -> io.Transformer:
    t = io.Transformer({"data": shape})
    t.set_transpose("data", (2, 0, 1) if len(shape) == 4 else (3, 0, 1, 2))
    t.set_channel_swap("data", (2, 1, 0))
    t.set_raw_scale("data", 255)
    t.set_mean("data", np.array(mean))
    t.set_input_scale("data", 0.5)
    return t


@pytest.mark.parametrize("shape", [IMAGES, CLIPS], ids=["image", "clip"])
def test_transformer_order(shape: tuple[int, ...]) -> None:
    """transpose, swap, raw scale, mean, input scale: any other order gives other numbers."""
    t = transformer(shape)
    data = RNG.random((*shape[2:], 3), np.float32)
    before = data.copy()
    found = t.preprocess("data", data)
    assert found.shape == shape[1:]
    assert found.dtype == np.float32
    for channel, mean in enumerate([1, 2, 3]):
        expected = (data[..., 2 - channel] * 255 - mean) * 0.5
        np.testing.assert_allclose(found[channel], expected, rtol=1e-5, atol=1e-4)
    np.testing.assert_allclose(t.deprocess("data", found), data, atol=1e-6)
    np.testing.assert_allclose(t.deprocess("data", found[np.newaxis]), data, atol=1e-6)
    np.testing.assert_array_equal(data, before)


@pytest.mark.parametrize("shape", [IMAGES, CLIPS], ids=["image", "clip"])
def test_transformer_resizes_first(shape: tuple[int, ...]) -> None:
    t = transformer(shape)
    data = RNG.random((*shape[2:-2], 9, 7, 3))
    expected = t.preprocess("data", io.resize_image(data, shape[-2:]))
    np.testing.assert_array_equal(t.preprocess("data", data), expected)


@pytest.mark.parametrize("shape", [IMAGES, CLIPS], ids=["image", "clip"])
def test_transformer_without_settings(shape: tuple[int, ...]) -> None:
    data = RNG.integers(0, 256, (*shape[2:], 3), np.uint8)
    t = io.Transformer({"data": list(shape)})
    np.testing.assert_array_equal(t.preprocess("data", data), data.astype(np.float32))
    np.testing.assert_array_equal(t.deprocess("data", data), data.astype(np.float32))


# (input, shape of the mean, how it lies on (K, ..., H, W))
MEANS = [
    (IMAGES, (3,), (3, 1, 1)),
    (IMAGES, (4, 5), (1, 4, 5)),
    (IMAGES, (3, 4, 5), (3, 4, 5)),
    (IMAGES, (1, 4, 5), (1, 4, 5)),
    (CLIPS, (3,), (3, 1, 1, 1)),
    (CLIPS, (4, 5), (1, 1, 4, 5)),
    (CLIPS, (3, 4, 5), (3, 1, 4, 5)),
    (CLIPS, (3, 6, 4, 5), (3, 6, 4, 5)),
    (CLIPS, (3, 1, 4, 5), (3, 1, 4, 5)),
]


@pytest.mark.parametrize(("shape", "mean_shape", "spread"), MEANS)
def test_means(
    shape: tuple[int, ...], mean_shape: tuple[int, ...], spread: tuple[int, ...]
) -> None:
    mean = RNG.random(mean_shape) * 100
    t = io.Transformer({"data": shape})
    order = (2, 0, 1) if len(shape) == 4 else (3, 0, 1, 2)
    t.set_transpose("data", order)
    t.set_mean("data", mean)
    data = RNG.random((*shape[2:], 3)) * 255
    expected = data.transpose(order).astype(np.float32) - mean.reshape(spread)
    np.testing.assert_allclose(t.preprocess("data", data), expected, rtol=1e-6)
    t.set_mean("data", mean.astype(np.float32))
    assert t.mean["data"].dtype == np.float32  # float32 images stay so in a script's own sums


@pytest.mark.parametrize("shape", [IMAGES, CLIPS], ids=["image", "clip"])
def test_mean_image_is_resized(shape: tuple[int, ...]) -> None:
    mean = RNG.random((3, 8, 10)) * 100
    t = io.Transformer({"data": shape})
    t.set_mean("data", mean)
    resized = io.resize_image(mean.transpose(1, 2, 0), (4, 5)).transpose(2, 0, 1)
    np.testing.assert_allclose(t.mean["data"].reshape(3, 4, 5), resized, rtol=1e-6)
    t.set_mean("data", np.full((3, 8, 10), 7))  # of no contrast
    assert (t.mean["data"] == 7).all()


@pytest.mark.parametrize(
    ("shape", "call", "words"),
    [
        (IMAGES, lambda t: t.preprocess("x", np.zeros(3)), "x is not one of the net inputs"),
        (IMAGES, lambda t: t.deprocess("x", np.zeros(3)), "x is not one of the net inputs"),
        (IMAGES, lambda t: t.set_raw_scale("x", 1), "x is not one of the net inputs"),
        (IMAGES, lambda t: t.set_transpose("data", (0, 1)), "Transpose order needs to have"),
        (CLIPS, lambda t: t.set_transpose("data", (2, 0, 1)), "Transpose order needs to have"),
        (IMAGES, lambda t: t.set_channel_swap("data", (1, 0)), "Channel swap needs to have"),
        (IMAGES, lambda t: t.set_mean("data", np.zeros(2)), "Mean channels incompatible"),
        (CLIPS, lambda t: t.set_mean("data", np.zeros((2, 4, 5))), "Mean channels incompatible"),
        (CLIPS, lambda t: t.set_mean("data", np.zeros((3, 5, 4, 5))), "5 frames"),
        (IMAGES, lambda t: t.set_mean("data", np.zeros((1, 3, 4, 5))), "Mean shape invalid"),
        (IMAGES, lambda t: t.set_mean("data", 3), "Mean shape invalid"),
        (CLIPS, lambda t: t.preprocess("data", np.zeros((5, 4, 5, 3))), "clips of 6 frames"),
        (CLIPS, lambda t: t.preprocess("data", np.zeros((4, 5, 3))), "clips of 6 frames"),
        (CLIPS, lambda t: t.deprocess("data", np.zeros((3, 4, 5))), "4 axes"),
        (IMAGES, lambda t: t.deprocess("data", np.zeros((2, 3, 4, 5))), "3 axes"),
    ],
)
def test_transformer_mistakes(shape: tuple[int, ...], call: Any, words: str) -> None:
    with pytest.raises(Exception, match=words):
        call(io.Transformer({"data": shape}))
