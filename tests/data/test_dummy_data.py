"""DummyData by upstream's rules."""

from __future__ import annotations

import numpy as np
import pytest

import p3d.caffe as caffe

TOPS = 'top: "x" top: "y"'


def net(param: str, tops: str = TOPS, phase: int = caffe.TEST) -> caffe.Net:
    return caffe.Net(
        f'layer {{ name: "d" type: "DummyData" {tops} dummy_data_param {{ {param} }} }}', phase
    )


@pytest.mark.parametrize(
    ("param", "shapes"),
    [
        ("shape { dim: 2 dim: 3 dim: 1 dim: 4 dim: 5 } shape { dim: 7 }", [(2, 3, 1, 4, 5), (7,)]),
        ("shape { dim: 2 }", [(2,), (2,)]),
        ("num: 2 channels: 3 height: 4 width: 5", [(2, 3, 4, 5)] * 2),
        ("num: 2 num: 1 channels: 3 height: 4 width: 5 width: 6", [(2, 3, 4, 5), (1, 3, 4, 6)]),
    ],
)
def test_shapes(param: str, shapes: list[tuple[int, ...]]) -> None:
    made = net(param)
    made.forward()
    assert [tuple(blob.shape) for blob in made.blobs.values()] == shapes
    assert not any(blob.data.any() for blob in made.blobs.values())


def test_constants_are_filled_once_and_others_at_every_forward() -> None:
    caffe.set_random_seed(3)
    fillers = 'data_filler { type: "gaussian" } data_filler { value: 5 }'
    made = net(f"{fillers} shape {{ dim: 400 }}")
    seen = []
    for _ in range(2):
        made.forward()
        seen.append(made.blobs["x"].data.copy())
    assert (made.blobs["y"].data == 5).all()
    assert not np.array_equal(*seen)
    assert abs(np.mean(seen)) < 0.2
    assert 0.8 < np.std(seen) < 1.2
    made.blobs["y"].data[...] = 6
    made.forward()
    assert (made.blobs["y"].data == 6).all()


def test_feeds_a_net_of_phase_test() -> None:
    text = """
    layer { name: "d" type: "DummyData" top: "x" dummy_data_param {
      data_filler { type: "uniform" min: 1 max: 2 } shape { dim: 3 dim: 4 } } }
    layer { name: "p" type: "Power" bottom: "x" top: "y" power_param { scale: -2 } }"""
    made = caffe.Net(text, caffe.TEST)
    for _ in range(2):
        made.forward()
        np.testing.assert_array_equal(made.blobs["y"].data, -2 * made.blobs["x"].data)
        assert (made.blobs["x"].data >= 1).all()


@pytest.mark.embedded
@pytest.mark.parametrize(
    ("param", "message"),
    [
        ("", "0 num for 2 tops"),
        ("num: 1 channels: 1 height: 1", "0 width for 2 tops"),
        ("shape { dim: 1 } num: 1", "both shape and num"),
        ("shape { dim: 1 } shape { dim: 1 } shape { dim: 1 }", "3 shape for 2 tops"),
        ("shape { dim: 1 }" + "data_filler { value: 1 }" * 3, "3 fillers for 2 tops"),
        ('shape { dim: 1 } data_filler { type: "gauss" }', "no filler 'gauss'"),
    ],
)
def test_what_cannot_be(param: str, message: str) -> None:
    with pytest.raises(RuntimeError, match=f"DummyData 'd'.*{message}"):
        net(param)
