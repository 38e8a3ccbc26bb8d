"""Clips that travel to a GPU as bytes: python pixel_scenarios.py NAME"""

from __future__ import annotations

import gc
import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import video_layers

import p3d.caffe as caffe
from p3d import _core, gpu
from p3d.clip_net import ClipNet
from p3d.error import Error
from p3d.gpu_batches import GpuBatches
from p3d.gpu_clips import GpuClips
from p3d.gpu_pixels import GpuPixels
from p3d.pixel_values import PixelValues, fill, minus

NARROW = os.environ.get("P3D_PRECISION") in ("bf16", "fp16")
# (n, c, l, h, w), and how many of the axes l, h and w a mean has, from the right.
CASES = [
    ((1, 1, 1, 1, 1), 0),
    ((2, 3, 4, 5, 7), 0),
    ((2, 3, 4, 5, 7), 2),
    ((2, 3, 4, 5, 7), 3),
    ((3, 2, 1, 9, 3), 2),
    ((5, 2, 16, 1, 1), 3),
    ((0, 3, 4, 5, 7), 0),
]
SCALES = (1, -1, 1 / 128, -0.3)


def same(got: np.ndarray, want: np.ndarray, where: object) -> None:
    """Bit for bit, the signs of zeros too."""
    assert got.dtype == want.dtype == np.float32
    assert got.shape == want.shape
    np.testing.assert_array_equal(got.view(np.int32), want.view(np.int32), str(where))


def pixels_of(shape: tuple[int, ...], seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, shape).astype(np.uint8)


def values_of(shape: tuple[int, ...], axes: int, seed: int) -> PixelValues:
    """Of a clip (c, l, h, w), each with another mean and scale; some means are pixels' own."""
    rng = np.random.default_rng(seed)
    size = (shape[0], *[1] * (3 - axes), *shape[4 - axes :])
    mean = np.where(rng.integers(0, 2, size), rng.integers(0, 256, size), rng.normal(100, 50, size))
    return PixelValues(mean.astype(np.float32), rng.choice(SCALES, shape[0]).astype(np.float32))


def rounded(values: np.ndarray) -> np.ndarray:
    """As the same floats are that travel as such."""
    blob = _core.Blob(list(values.shape))
    feed = _core.GpuFeed(blob)
    feed.next()[...] = values
    feed.send(blob)
    return blob.data.copy()


def values() -> None:
    """Those of the processor, bit for bit, batch after batch."""
    for shape, axes in CASES:
        blob = _core.Blob(list(shape))
        feed = GpuPixels(blob, int(np.prod(shape[5 - axes :])))
        for batch in range(3):
            pixels = pixels_of(shape, batch)
            each = [values_of(shape[1:], axes, 10 * batch + n) for n in range(shape[0])]
            feed.begin()
            for place, (clip, values) in enumerate(zip(pixels, each, strict=True)):
                feed.put(place, clip, values)
            feed.send(blob)
            want = np.array([v.of(clip) for clip, v in zip(pixels, each, strict=True)], np.float32)
            want = rounded(want.reshape(shape))
            same(blob.data, want, f"{shape}, {axes} axes of the mean, batch {batch}")


def memory() -> None:
    """Bytes take a quarter of what floats take, but for the means and scales."""
    blob = _core.Blob([4, 3, 8, 32, 32])
    for make, size in (
        (_core.GpuFeed, 4 * blob.count),
        (_core.GpuPixelFeed, blob.count + 4 * 3 * 2 * 4),
        (lambda blob: _core.GpuPixelFeed(blob, 32 * 32), blob.count + 4 * 3 * 1025 * 4),
    ):
        before = _core.gpu_bytes_in_use()
        feed = make(blob)
        taken = _core.gpu_bytes_in_use() - before
        assert size <= taken < size + 512, f"{taken} bytes, not {size}"
        del feed
        assert _core.gpu_bytes_in_use() == before


def refusals() -> None:
    for means in (0, -1, 3, 200):
        with pytest.raises(Error, match=f"^{means} means per channel .* for 140 pixels"):
            _core.GpuPixelFeed(_core.Blob([1, 3, 4, 5, 7]), means)
    blob = _core.Blob([2, 3, 4, 5, 7])
    for feed in (_core.GpuPixelFeed(blob), _core.GpuFeed(blob)):
        feed.next()
        for other in ([1, 3, 4, 5, 7], [2, 3, 4, 5, 8]):
            with pytest.raises(Error, match="make another feed"):
                feed.send(_core.Blob(other))
        feed.send(blob)


def touched_too_early() -> None:
    """What the simulated GPU is for: it copies as late as it may."""
    blob = _core.Blob([2, 3, 4, 5, 7])
    feed = _core.GpuPixelFeed(blob)
    pixels, *_ = feed.next()
    feed.send(blob)
    pixels += 1
    feed.next()
    feed.send(blob)
    with pytest.raises(Error, match="was changed while it was copied"):
        feed.next()


def text(channels: int) -> str:
    """A net for clips of any size."""
    return f"""
    layer {{ name: "data" type: "Input" top: "data"
      input_param {{ shape {{ dim: 2 dim: {channels} dim: 4 dim: 9 dim: 9 }} }} }}
    layer {{ name: "conv1" type: "Convolution" bottom: "data" top: "conv1"
      convolution_param {{ num_output: 5 kernel_size: 1 kernel_size: 3 kernel_size: 3
        weight_filler {{ type: "xavier" }} }} }}
    layer {{ name: "relu" type: "ReLU" bottom: "conv1" top: "conv1" }}
    layer {{ name: "all" type: "Reduction" bottom: "conv1" top: "all"
      reduction_param {{ axis: 1 }} }}
    """


def make(channels: int) -> Any:
    caffe.set_random_seed(1)
    return caffe.Net(text(channels), caffe.TEST)


# Shapes of batches of a net: some do not fill, some come of another video.
BATCHES = [(2, 4, 9, 9), (2, 4, 9, 9), (2, 4, 9, 9), (1, 4, 9, 9), (3, 5, 11, 6), (3, 5, 11, 6)]


def rows_of(channels: int, convert: Callable[[np.ndarray, int], Any]) -> list[np.ndarray]:
    """With two batches begun."""
    net = ClipNet(make(channels), ["conv1", "all"])
    start = GpuBatches(net.start).start
    waiting = [
        start([convert(pixels_of((channels, *size), 10 * batch + n), n) for n in range(count)])
        for batch, (count, *size) in enumerate(BATCHES)
    ]
    return [row[name] for rows in waiting for row in rows() for name in ("conv1", "all")]


def nets() -> None:
    """Frames and flow give what their floats give, bit for bit, and what the processor gives but
    for the rounding of a convolution; alone, or beside floats."""
    for channels, mean in ((3, (104, 117, 123)), (2, (128, 128))):

        def floats(clip: np.ndarray, _: int, mean: tuple[int, ...] = mean) -> np.ndarray:
            return minus(mean).of(clip)

        want = rows_of(channels, floats)
        for other in (lambda clip, _: clip, lambda clip, n: clip if n else floats(clip, n)):
            for got, wanted in zip(rows_of(channels, other), want, strict=True):
                same(got, wanted, f"{channels} channels")
        if not NARROW:
            gpu.run(False)
            for got, wanted in zip(want, rows_of(channels, lambda clip, _: clip), strict=True):
                np.testing.assert_allclose(got, wanted, rtol=0, atol=1e-5 * np.abs(wanted).max())
            gpu.run(True)
    gc.collect()
    assert _core.gpu_bytes_in_use() == 0, _core.gpu_bytes_in_use()


def faults() -> None:
    """Batches that a fault met are done by the processor, from their bytes."""
    got = rows_of(3, lambda clip, _: clip)
    assert not _core.gpu_mode(), "nothing failed"
    want = rows_of(3, lambda clip, _: clip)
    for one, other in zip(got, want, strict=True):
        np.testing.assert_allclose(one, other, rtol=0, atol=1e-5 * np.abs(other).max())


def changing_kinds() -> None:
    """One way to a blob for all kinds and shapes of batches."""
    clips = GpuClips()
    values = minus((104, 117, 123))
    for number, (kind, size) in enumerate(
        [(np.uint8, 9), (np.float32, 9), (np.uint8, 9), (np.uint8, 8), (np.float32, 7)]
    ):
        blob = _core.Blob([2, 3, 2, size, size])
        batch = pixels_of(blob.shape, number).astype(kind)
        want = np.empty(blob.shape, np.float32)
        fill(want, list(batch), values)
        clips.send(blob, list(batch), values)
        same(blob.data, rounded(want), f"batch {number}")
        assert isinstance(clips._feed, GpuPixels) == (kind is np.uint8)


def layers(folder: Path) -> Iterator[tuple[str, str]]:
    """(list, parameters) of VideoData layers that take 5 clips of two videos."""
    frames, flow = folder / "frames", folder / "flow"
    for kind, write in ((frames, video_layers.frame_folder), (flow, video_layers.flow_folder)):
        names = [write(kind / str(video), video, 6) for video in range(2)]
        video_layers.write_list(kind, (f"{name} {n}" for n, name in enumerate(names)))
    whole = "new_height: 24 new_width: 32 new_length: 4 batch_size: 5 seed: 3"
    crop = f"{whole} crop_size: 20 mirror: true"
    colours = "mean_value: 104 mean_value: 117 mean_value: 123"
    for source, more in (
        (frames, f"{whole} {colours}"),
        (frames, f"{crop} {colours} scale: 0.0078125"),
        (frames, f"{crop} brightness: 0.4 hue: 0.1"),
        (flow, f"{crop} use_flow: true mean_value: 128"),
        (flow, f"{crop} use_flow: true mean_value: 127.5 scale: -0.1"),
        (flow, f"{crop} use_flow: true"),
    ):
        yield str(source / "list.txt"), more
    for shape in ((1, 3, 24, 32), (3, 4, 24, 32)):
        mean = np.random.default_rng(9).normal(100, 20, shape).astype(np.float32)
        path = folder / f"mean{len(shape) * shape[1]}.binaryproto"
        path.write_bytes(caffe.io.array_to_blobproto(mean).SerializeToString())
        for more in (whole, f"{crop} scale: 0.5", f"{crop} crop_mode: CORNER"):
            yield str(frames / "list.txt"), f'{more} mean_file: "{path}"'


def training_data() -> None:
    """What a VideoData layer gives is the processor's, bit for bit, in both phases."""
    with tempfile.TemporaryDirectory() as folder:
        for source, param in layers(Path(folder)):
            for phase in (caffe.TRAIN, caffe.TEST):
                gpu.run(False)
                want = video_layers.batches(video_layers.net(source, param, phase), 4)
                gpu.run(True)
                made = video_layers.net(source, param, phase)
                for number, (data, labels) in enumerate(want):
                    gpu.run(number != 2)  # there and back again
                    made.forward()
                    batches = made.layer_dict["v"].python_object._batches
                    assert (batches._gpu_pixels is None) == (number == 2)
                    found = made.blobs["data"].data
                    on_gpu = number != 2
                    same(found, rounded(data) if on_gpu else data, f"{param}, batch {number}")
                    np.testing.assert_array_equal(made.blobs["label"].data, labels)
                del made, found, batches
                gc.collect()
                assert _core.gpu_bytes_in_use() == 0, param


def failing_data() -> None:
    """A GPU that fails under a VideoData layer is told with the layer's name, and the processor
    can go on."""
    with tempfile.TemporaryDirectory() as folder:
        source, param = next(layers(Path(folder)))
        made = video_layers.net(source, param)
        with pytest.raises(Error, match=r"VideoData 'v': .* fails on the simulated GPU"):
            video_layers.batches(made, 9)
        gpu.run(False)
        assert len(video_layers.batches(made, 2)) == 2


def main(name: str) -> None:
    gpu.run(True)
    globals()[name]()


if __name__ == "__main__":
    main(sys.argv[1])
