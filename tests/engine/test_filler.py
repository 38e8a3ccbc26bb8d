"""Fillers: upstream's distributions, made when read, from seeds drawn when the net is built."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from golden_cases import GOLDEN
from one_layer import net_of

import p3d.caffe as caffe
from p3d import _core

FILLERS: dict[str, Any] = json.loads((GOLDEN / "fillers/fillers.json").read_text())
WEIGHTS = sorted(name for name in FILLERS if not name.startswith("dropout/"))


def weights(filler: str, shape: tuple[int, ...]) -> np.ndarray:
    """The weight blob of this shape of a net built with this filler."""
    kernel = " ".join(f"kernel_size: {k}" for k in shape[2:])
    kind, message, bottom = (
        ("Convolution", f"convolution_param {{ {kernel}", (1, shape[1], *shape[2:]))
        if kernel
        else ("InnerProduct", "inner_product_param {", (1, shape[1]))
    )
    layer = f'type: "{kind}" {message} num_output: {shape[0]} weight_filler {{ {filler} }} }}'
    net = net_of(layer, bottom)
    assert net.params["layer"][0].shape == shape
    return np.array(net.params["layer"][0].data)


@pytest.mark.parametrize("name", WEIGHTS)
def test_distribution(name: str) -> None:
    golden = FILLERS[name]
    _core.set_random_seed(1701)
    values = weights(golden["filler"], tuple(golden["shape"])).astype(np.float64)
    deviation = golden["std"]
    # Of a mean of n values and of their standard deviation, five times over.
    near = 5 * deviation / np.sqrt(values.size) + 1e-9
    assert values.mean() == pytest.approx(golden["mean"], abs=2 * near)
    assert values.std() == pytest.approx(deviation, abs=4 * near)
    assert (values == 0).mean() == pytest.approx(golden["zero_fraction"], abs=0.005)
    if "gaussian" in name or "msra" in name:
        reach = max(abs(golden["min"] - golden["mean"]), abs(golden["max"] - golden["mean"]))
        assert np.abs(values - values.mean()).max() == pytest.approx(reach, rel=0.25)
    else:
        width = golden["max"] - golden["min"]
        assert values.min() == pytest.approx(golden["min"], abs=0.001 * width + 1e-9)
        # The largest of a unit ball is 1 / the smallest of 400 (96) random row sums.
        wide = 0.1 if "unitball" in name else 0.001
        assert values.max() == pytest.approx(golden["max"], abs=wide * width + 1e-9)
    if "row_sum_min_max" in golden:
        assert values.reshape(len(values), -1).sum(1) == pytest.approx(1, abs=1e-5)


def test_bilinear() -> None:
    with np.load(GOLDEN / "fillers/fillers_bilinear.npz") as golden:
        for name in golden:
            want = golden[name]
            got = weights('type: "bilinear"', want.shape)
            assert np.abs(got - want).max() < 1e-6, name


def test_bilinear_in_three_axes_is_a_product() -> None:
    line = {3: np.array([0.5, 1, 0.5]), 4: np.array([0.25, 0.75, 0.75, 0.25])}
    want = np.einsum("i,j,k->ijk", line[3], line[4], line[4])
    assert weights('type: "bilinear"', (2, 1, 3, 4, 4))[1, 0] == pytest.approx(want)


@pytest.mark.parametrize(
    ("filler", "cure"),
    [
        ('type: "gausian"', "choose constant, uniform, gaussian"),
        ('type: "xavier" sparse: 3', "only 'gaussian' can"),
        ('type: "gaussian" sparse: -2', "or -1 for all"),
        ('type: "gaussian" std: -1', "cannot be negative"),
        ('type: "gaussian" std: nan', "std is nan; it has to be a finite number"),
        ('type: "uniform" min: 2 max: 1', "min 2 is above its max 1"),
        ('type: "bilinear"', "for convolution weights"),
    ],
)
def test_refused(filler: str, cure: str) -> None:
    with pytest.raises(RuntimeError, match=f"InnerProduct 'layer': .*{cure}"):
        weights(filler, (3, 4))


def test_a_seed_decides() -> None:
    def draw(seed: int) -> np.ndarray:
        _core.set_random_seed(seed)
        return weights('type: "xavier"', (5, 7))

    first = draw(3)
    assert np.array_equal(first, draw(3))
    assert not np.array_equal(first, draw(4))
    assert not np.array_equal(first, weights('type: "xavier"', (5, 7))), "the next net differs"


def test_order_of_reading_does_not_matter() -> None:
    layer = (
        'type: "InnerProduct" inner_product_param { num_output: 9 '
        'weight_filler { type: "gaussian" } bias_filler { type: "uniform" } }'
    )

    def blobs(*order: int) -> list[np.ndarray]:
        _core.set_random_seed(8)
        params = net_of(layer, (2, 3)).params["layer"]
        read = {i: np.array(params[i].data) for i in order}
        return [read[0], read[1]]

    for one, other in zip(blobs(0, 1), blobs(1, 0), strict=True):
        assert np.array_equal(one, other)


def test_a_forward_uses_what_a_person_sees() -> None:
    layer = (
        'type: "InnerProduct" inner_product_param { num_output: 4 weight_filler { type: "msra" } }'
    )
    x = np.eye(3, dtype=np.float32)
    seen_first, run_first = net_of(layer, (3, 3)), net_of(layer, (3, 3))
    before = np.array(seen_first.params["layer"][0].data)
    for net in (seen_first, run_first):
        net.blobs["b0"].data[...] = x
        net.forward()
    assert np.array_equal(seen_first.blobs["t0"].data.T, before)
    assert np.array_equal(run_first.blobs["t0"].data.T, run_first.params["layer"][0].data)


@pytest.mark.parametrize("name", sorted(set(FILLERS) - set(WEIGHTS)))
def test_dropout(name: str) -> None:
    golden = FILLERS[name]
    ratio = float(name.split("/")[1])
    _core.set_random_seed(1701)
    layer = f'type: "Dropout" dropout_param {{ dropout_ratio: {ratio} }}'
    net = net_of(layer, (100, 1000), phase=caffe.TRAIN)
    net.blobs["b0"].data[...] = 1
    net.forward()
    first = np.array(net.blobs["t0"].data)
    assert (first > 0).mean() == pytest.approx(golden["kept_fraction"], abs=0.01)
    assert np.unique(first) == pytest.approx(golden["values"], rel=1e-6)
    net.forward()
    assert not np.array_equal(first, net.blobs["t0"].data), "every forward draws anew"
    test_net = net_of(layer, (100, 1000))
    test_net.blobs["b0"].data[...] = 1
    test_net.forward()
    assert (test_net.blobs["t0"].data == 1).all()


def test_dropout_in_place_and_refused() -> None:
    _core.set_random_seed(5)
    net = net_of('type: "Dropout"', (50, 50), phase=caffe.TRAIN, in_place=True)
    net.blobs["b0"].data[...] = 3
    net.forward()
    assert set(np.unique(net.blobs["b0"].data)) == {0, 6}
    for ratio in (1, -0.5, 2):
        with pytest.raises(RuntimeError, match="from 0 to below 1"):
            net_of(f'type: "Dropout" dropout_param {{ dropout_ratio: {ratio} }}', (2, 2))
