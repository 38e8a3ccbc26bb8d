"""BN, BatchNorm, Scale, Bias, MVN: what the golden cases leave out."""

from __future__ import annotations

import numpy as np
import pytest
from one_layer import net_of, normal, run, text_of

import p3d.caffe as caffe


def test_bn_starts_as_caffe_starts_it() -> None:
    for frozen, variance in ((False, 0), (True, 1)):
        net = net_of(f'type: "BN" bn_param {{ frozen: {str(frozen).lower()} }}', (2, 3, 4, 5, 6))
        blobs = [np.array(blob.data) for blob in net.params["layer"]]
        assert [blob.shape for blob in blobs] == [(1, 3)] * 4
        assert [float(blob[0, 0]) for blob in blobs] == [1, 0, 0, variance]


def test_bn_fillers() -> None:
    layer = (
        'type: "BN" bn_param { slope_filler { type: "constant" value: 3 } '
        'bias_filler { type: "constant" value: -2 } }'
    )
    blobs = net_of(layer, (2, 3, 4)).params["layer"]
    assert (blobs[0].data == 3).all()
    assert (blobs[1].data == -2).all()


def test_bn_running_statistics_follow_momentum() -> None:
    net = net_of('type: "BN" bn_param { momentum: 0.75 }', (4, 3, 5, 2), phase=caffe.TRAIN)
    mean, variance = np.zeros(3), np.zeros(3)
    for seed in range(4):
        x = normal(4, 3, 5, 2, seed=seed) * 2 + 5
        y = run(net, x)
        mean = 0.75 * mean + 0.25 * x.mean((0, 2, 3), dtype=np.float64)
        variance = 0.75 * variance + 0.25 * x.var((0, 2, 3), dtype=np.float64)
        assert y.mean((0, 2, 3)) == pytest.approx(0, abs=1e-5)
        assert y.std((0, 2, 3)) == pytest.approx(1, abs=1e-4)
    assert net.params["layer"][2].data[0] == pytest.approx(mean, rel=1e-5)
    assert net.params["layer"][3].data[0] == pytest.approx(variance, rel=1e-5)


def test_bn_far_from_zero() -> None:
    x = normal(2, 3, 4, 30, 30) + np.float32(20000)
    y = run(net_of('type: "BN"', x.shape, phase=caffe.TRAIN), x)
    x = x.astype(np.float64)
    want = (x - x.mean((0, 2, 3, 4), keepdims=True)) / x.std((0, 2, 3, 4), keepdims=True)
    assert np.abs(y - want).max() < 1e-4


@pytest.mark.parametrize("kind", ["BN", "BatchNorm"])
def test_needs_channels_and_values(kind: str) -> None:
    with pytest.raises(RuntimeError, match="needs a channel axis"):
        net_of(f'type: "{kind}"', (5,))
    net = net_of(f'type: "{kind}"', (2, 3, 0), phase=caffe.TRAIN)
    with pytest.raises(RuntimeError, match="without values"):
        net.forward()
    net = net_of(f'type: "{kind}"', (2, 3, 4))
    net.blobs["b0"].reshape(2, 5, 4)
    with pytest.raises(RuntimeError, match="is for 3 channels"):
        net.reshape()


def test_batch_norm_rates() -> None:
    with pytest.raises(RuntimeError, match="lr_mult: 0"):
        net_of('type: "BatchNorm" param { lr_mult: 1 }', (2, 3, 4))
    net_of('type: "BatchNorm" param { lr_mult: 0 } param { lr_mult: 0 }', (2, 3, 4))


def test_too_many_params() -> None:
    five = "param { lr_mult: 0 } " * 5
    for kind in ("BN", "BatchNorm"):
        with pytest.raises(RuntimeError, match="param is given 5 times"):
            net_of(f'type: "{kind}" {five}', (2, 3, 4))


SCALES = [
    ("axis: 1", (3,)),
    ("axis: 0", (2,)),
    ("axis: 0 num_axes: -1", (2, 3, 4, 5)),
    ("axis: 2 num_axes: 2", (4, 5)),
    ("axis: -1", (5,)),
    ("axis: 1 num_axes: 0", ()),
]


def test_batch_statistics_in_phase_test_are_added_once() -> None:
    net = net_of('type: "BatchNorm" batch_norm_param { use_global_stats: false }', (4, 3, 5))
    x = normal(4, 3, 5)
    run(net, x)
    for blob in net.blobs.values():
        assert np.isfinite(blob.data).all()
    mean, _, weight = (blob.data for blob in net.params["layer"])
    assert weight[0] == 1
    assert np.abs(mean - x.mean((0, 2))).max() < 1e-6


@pytest.mark.parametrize("in_place", [False, True])
@pytest.mark.parametrize(("params", "shape"), SCALES)
def test_scale_and_bias(params: str, shape: tuple[int, ...], in_place: bool) -> None:
    x = normal(2, 3, 4, 5)
    axis = int(params.split()[1]) % 4
    wide = (*shape, *[1] * (4 - axis - len(shape))) if shape else ()
    scale, bias = normal(*shape, seed=1), normal(*shape, seed=2)
    layer = f'type: "Scale" scale_param {{ bias_term: true {params} }}'
    got = run(net_of(layer, x.shape, in_place=in_place), x, params=[scale, bias])
    assert np.abs(got - (x * scale.reshape(wide) + bias.reshape(wide))).max() < 1e-6
    layer = f'type: "Bias" bias_param {{ {params} }}'
    got = run(net_of(layer, x.shape, in_place=in_place), x, params=[bias])
    assert np.abs(got - (x + bias.reshape(wide))).max() < 1e-6


@pytest.mark.parametrize(
    ("shape", "params", "replaced"),
    [
        ((1, 3, 4), "", True),
        ((1, 3), "", True),
        ((2, 3, 4), "", False),
        ((2, 3, 4), "axis: 0", True),
        ((1, 3, 4), "axis: 0 num_axes: -1", True),
        ((1, 3, 4), "num_axes: 0", False),
        ((1, 1, 4), "", False),
        ((1, 1, 1), "", True),
    ],
)
def test_gradients_of_several_passes(shape: tuple[int, ...], params: str, replaced: bool) -> None:
    """Upstream adds up a bias's, and a scale's only where items stand before it."""
    layer = f'type: "Scale" scale_param {{ bias_term: true {params} }}'
    net = net_of(layer, shape)
    top, blobs = net.blobs[net.outputs[0]], net.params["layer"]
    seen = []
    for number in range(2):
        run(net, normal(*shape, seed=number))
        top.diff[...] = normal(*shape, seed=5 + number)
        net.backward()
        seen.append([blob.diff.copy() for blob in blobs])
        net.clear_param_diffs()
        net.backward()
        alone = [blob.diff.copy() for blob in blobs]
        blobs[0].diff[...], blobs[1].diff[...] = seen[-1]
    first = seen[0]
    assert np.abs(seen[1][0] - alone[0] - (0 if replaced else first[0])).max() < 1e-5
    assert np.abs(seen[1][1] - alone[1] - first[1]).max() < 1e-5


def test_scale_starts_as_identity() -> None:
    x = normal(2, 3, 4)
    assert np.array_equal(run(net_of('type: "Scale"', x.shape), x), x)
    layer = 'type: "Scale" scale_param { filler { type: "constant" value: 2 } bias_term: true '
    layer += 'bias_filler { type: "constant" value: 3 } }'
    assert np.array_equal(run(net_of(layer, x.shape), x), 2 * x + 3)


@pytest.mark.parametrize("kind", ["Scale", "Bias"])
@pytest.mark.parametrize(
    ("shapes", "params", "cure"),
    [
        ([(2, 3, 4)], "axis: 3", "axis 3 is out of range"),
        ([(2, 3, 4)], "num_axes: 3", "are more than the bottom has"),
        ([(2, 3, 4)], "num_axes: -2", "has to be -1"),
        ([(2, 3, 4)], "num_axes: 2147483647", "are more than the bottom has"),
        ([(2, 3, 4), (4,)], "", "do not match the axes from 1 on"),
        ([(2, 3, 4), (3, 4, 1)], "", "do not match the axes from 1 on"),
    ],
)
def test_refused(kind: str, shapes: list[tuple[int, ...]], params: str, cure: str) -> None:
    with pytest.raises(RuntimeError, match=f"{kind} 'layer': .*{cure}"):
        net_of(f'type: "{kind}" {kind.lower()}_param {{ {params} }}', *shapes)


@pytest.mark.parametrize("across", [False, True])
def test_mvn_of_constants_is_zero(across: bool) -> None:
    layer = f'type: "MVN" mvn_param {{ across_channels: {str(across).lower()} }}'
    x = np.full((2, 3, 4, 5, 6), 1e6, np.float32)
    assert (run(net_of(layer, x.shape), x) == 0).all()


def test_mvn_in_place_leaves_the_shape_to_the_layer_before() -> None:
    text = text_of('type: "TanH"', (2, 3, 4)) + (
        'layer { name: "mvn" type: "MVN" bottom: "t0" top: "t0" }\n'
    )
    net = caffe.Net("force_backward: true\n" + text, caffe.TRAIN)
    net.blobs["b0"].data[...] = normal(2, 3, 4)
    net.forward()
    assert net.blobs["t0"].shape == (2, 3, 4)
    net.blobs["t0"].diff[...] = normal(2, 3, 4, seed=2)
    net.backward()
    assert net.blobs["b0"].diff.any()
