"""Pooling, Pooling3D, SPP and LRN: numbers of axes and parameters that upstream does not have."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from one_layer import net_of, normal, run

import p3d.caffe as caffe
from p3d import _core


def pooled(
    x: np.ndarray, kernel: tuple[int, ...], stride: tuple[int, ...], method: str
) -> np.ndarray:
    """Windows without padding that all lie inside."""
    spatial = tuple(range(2, x.ndim))
    windows = np.lib.stride_tricks.sliding_window_view(x.astype(np.float64), kernel, spatial)
    windows = windows[(slice(None), slice(None), *(slice(None, None, s) for s in stride))]
    axes = tuple(range(x.ndim, windows.ndim))
    return windows.max(axes) if method == "MAX" else windows.mean(axes)


@pytest.mark.parametrize("method", ["MAX", "AVE"])
@pytest.mark.parametrize(
    ("shape", "params", "kernel", "stride"),
    [
        ((2, 3, 9), "kernel_size: 3 stride: 2", (3,), (2,)),
        ((2, 17, 4, 6, 8), "kernel_size: 2 stride: 2", (2, 2, 2), (2, 2, 2)),
        ((2, 3, 4, 7, 9), "kernel_h: 3 kernel_w: 5 stride: 2", (1, 3, 5), (1, 2, 2)),
        ((2, 3, 4, 7, 9), "kernel_size: 2 stride_h: 5 stride_w: 7", (2, 2, 2), (1, 5, 7)),
        ((1, 2, 3, 4, 3, 5), "kernel_size: 3", (3, 3, 3, 3), (1, 1, 1, 1)),
        ((2, 5, 3, 4, 6), "global_pooling: true", (3, 4, 6), (1, 1, 1)),
        ((2, 5, 7), "global_pooling: true", (7,), (1,)),
    ],
)
def test_any_number_of_axes(
    shape: tuple[int, ...],
    params: str,
    kernel: tuple[int, ...],
    stride: tuple[int, ...],
    method: str,
) -> None:
    x = normal(*shape)
    got = run(net_of(f'type: "Pooling" pooling_param {{ pool: {method} {params} }}', shape), x)
    want = pooled(x, kernel, stride, method)
    assert got.shape == want.shape
    assert np.abs(got - want).max() < 1e-6


def test_floor_drops_the_last_partial_windows() -> None:
    x = normal(1, 4, 5, 7, 8)
    params = "kernel_size: 3 stride: 2 kernel_l: 2 stride_l: 2"
    ceil = run(net_of(f'type: "Pooling3D" pooling3d_param {{ {params} }}', x.shape), x)
    floor = run(
        net_of(f'type: "Pooling3D" pooling3d_param {{ {params} round_mode: FLOOR }}', x.shape), x
    )
    assert ceil.shape == (1, 4, 3, 3, 4)
    assert floor.shape == (1, 4, 2, 3, 3)
    assert np.array_equal(floor, ceil[:, :, :2, :3, :3])


@pytest.mark.parametrize("kind", ["Pooling", "Pooling3D"])
def test_places_of_maxima(kind: str) -> None:
    x = np.random.default_rng(3).integers(0, 4, (2, 3, 4, 5, 6)).astype(np.float32)
    params = {
        "Pooling": "pooling_param { kernel_size: 2 stride: 2 }",
        "Pooling3D": "pooling3d_param { kernel_size: 2 stride: 2 kernel_l: 2 stride_l: 2 }",
    }[kind]
    net = net_of(f'type: "{kind}" {params}', x.shape, tops=2)
    net.blobs["b0"].data[...] = x
    net.forward()
    top, mask = net.blobs["t0"].data, net.blobs["t1"].data.astype(int)
    for n, c, t, h, w in itertools.product(*map(range, top.shape)):
        window = [
            (i, j, k)
            for i in range(2 * t, min(2 * t + 2, 4))
            for j in range(2 * h, min(2 * h + 2, 5))
            for k in range(2 * w, min(2 * w + 2, 6))
        ]
        first = max(window, key=lambda at: x[n, c][at])
        assert mask[n, c, t, h, w] == np.ravel_multi_index(first, x.shape[2:])
        assert top[n, c, t, h, w] == x[n, c][first]


def test_stochastic_draws_follow_the_seed() -> None:
    x = np.abs(normal(2, 3, 6, 6))
    layer = 'type: "Pooling" pooling_param { pool: STOCHASTIC kernel_size: 3 stride: 3 }'
    net = net_of(layer, x.shape, phase=caffe.TRAIN)
    tops = []
    for seed in (1, 1, 2):
        _core.set_random_seed(seed)
        tops.append(run(net, x))
    assert np.array_equal(tops[0], tops[1])
    assert not np.array_equal(tops[0], tops[2])


@pytest.mark.parametrize("phase", [caffe.TRAIN, caffe.TEST])
def test_pooling_follows_the_input_size(phase: int) -> None:
    net = net_of('type: "Pooling" pooling_param { pool: AVE global_pooling: true }', (1, 2, 3, 3))
    x = normal(4, 2, 7, 5)
    net.blobs["b0"].reshape(*x.shape)
    net.reshape()
    assert np.abs(run(net, x)[:, :, 0, 0] - x.mean((2, 3))).max() < 1e-6
    net.blobs["b0"].reshape(4, 2, 7, 5, 5)
    with pytest.raises(RuntimeError, match="number of axes may not change"):
        net.reshape()


PLANE, CLIP = (2, 3, 5, 6), (2, 3, 4, 5, 6)
REFUSED = [
    ("Pooling", PLANE, "", "the window's size is missing"),
    ("Pooling", PLANE, "kernel_h: 3", "both kernel_h and kernel_w"),
    ("Pooling", PLANE, "kernel_size: 3 kernel_h: 3 kernel_w: 3", "either kernel_size or both"),
    ("Pooling", PLANE, "kernel_size: 0", "at least 1"),
    ("Pooling", PLANE, "kernel_size: 3 stride: 0", "at least 1"),
    ("Pooling", PLANE, "kernel_size: 3 stride_h: 2", "both stride_h and stride_w"),
    ("Pooling", PLANE, "kernel_size: 3 pad_w: 2", "both pad_h and pad_w"),
    ("Pooling", PLANE, "kernel_size: 3 pad: 3", "smaller than the kernel"),
    ("Pooling", PLANE, "kernel_size: 4294967295", "does not fit"),
    ("Pooling", PLANE, "kernel_size: 4294967295 pad: 4294967294", "2\\^31"),
    ("Pooling", PLANE, "kernel_size: 9", "does not fit"),
    ("Pooling", PLANE, "global_pooling: true kernel_size: 3", "takes no kernel size"),
    ("Pooling", PLANE, "global_pooling: true pad: 1", "neither pad nor stride"),
    ("Pooling", PLANE, "global_pooling: true stride: 2", "neither pad nor stride"),
    ("Pooling", PLANE, "pool: STOCHASTIC kernel_size: 2 pad: 1", "cannot pad"),
    ("Pooling", (2, 3), "kernel_size: 1", "at least one axis behind the channels"),
    ("Pooling", (2, 3, 7), "kernel_h: 2 kernel_w: 2", "two spatial axes"),
    ("Pooling", (2, 3, 0, 5), "kernel_size: 2", "without values"),
    ("Pooling", (2, 3, 0, 5), "global_pooling: true", "without values|at least 1"),
    ("Pooling3D", CLIP, "kernel_l: 2", "the window's size is missing"),
    ("Pooling3D", CLIP, "kernel_size: 2", "kernel_l is missing"),
    ("Pooling3D", CLIP, "kernel_size: 2 kernel_l: 0", "at least 1"),
    ("Pooling3D", CLIP, "kernel_size: 2 kernel_l: 2 stride_l: 0", "at least 1"),
    ("Pooling3D", CLIP, "kernel_size: 2 kernel_l: 2 pad_l: 2", "smaller than the kernel"),
    ("Pooling3D", PLANE, "kernel_size: 2 kernel_l: 1", "needs 5 axes"),
]


@pytest.mark.parametrize(("kind", "shape", "params", "cure"), REFUSED)
def test_refused(kind: str, shape: tuple[int, ...], params: str, cure: str) -> None:
    with pytest.raises(RuntimeError, match=f"{kind} 'layer': .*({cure})"):
        net_of(f'type: "{kind}" {kind.lower()}_param {{ {params} }}', shape)


@pytest.mark.parametrize("kind", ["Pooling", "Pooling3D"])
def test_second_top_and_in_place(kind: str) -> None:
    params = "kernel_size: 1" + (" kernel_l: 1" if kind == "Pooling3D" else "")
    param = f"{kind.lower()}_param {{ {params}"
    with pytest.raises(RuntimeError, match="second top"):
        net_of(f'type: "{kind}" {param} pool: AVE }}', CLIP, tops=2)
    with pytest.raises(RuntimeError, match="in place"):
        net_of(f'type: "{kind}" {param} }}', CLIP, in_place=True)


def test_pyramid_on_clips() -> None:
    x = normal(2, 3, 4, 4, 8)
    layer = 'type: "SPP" spp_param { pyramid_height: 3 }'
    got = run(net_of(layer, x.shape), x)
    levels = []
    for bins in (1, 2, 4):
        window = tuple(size // bins for size in x.shape[2:])
        levels.append(pooled(x, window, window, "MAX").reshape(2, -1))
    want = np.concatenate(levels, 1)
    assert got.shape == want.shape
    assert np.array_equal(got, want.astype(np.float32))


@pytest.mark.parametrize("height", [0, 5, 40, 4294967295])
def test_pyramid_too_high(height: int) -> None:
    with pytest.raises(RuntimeError, match=r"SPP 'layer': .*pyramid_height"):
        net_of(f'type: "SPP" spp_param {{ pyramid_height: {height} }}', (1, 2, 9, 9))


def test_lrn_within_channels_of_clips() -> None:
    x = normal(2, 3, 4, 5, 6)
    layer = 'type: "LRN" lrn_param { local_size: 3 alpha: 0.5 norm_region: WITHIN_CHANNEL k: 9 }'
    got = run(net_of(layer, x.shape, in_place=True), x)
    squares = np.pad(x.astype(np.float64) ** 2, [(0, 0)] * 2 + [(1, 1)] * 3)
    means = np.lib.stride_tricks.sliding_window_view(squares, (3, 3, 3), (2, 3, 4)).mean((5, 6, 7))
    assert np.abs(got - x / (1 + 0.5 * means) ** 0.75).max() < 1e-6


@pytest.mark.parametrize("size", [0, 2, 4294967294])
def test_lrn_even(size: int) -> None:
    with pytest.raises(RuntimeError, match="has to be odd"):
        net_of(f'type: "LRN" lrn_param {{ local_size: {size} }}', (1, 2, 3, 3))


def test_lrn_of_everything() -> None:
    x = normal(2, 7, 3, 3)
    got = run(net_of('type: "LRN" lrn_param { local_size: 4294967295 }', x.shape), x)
    assert np.abs(got - x).max() < 1e-6, "alpha / size is next to nothing"
