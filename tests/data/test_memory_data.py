"""MemoryData and Net.set_input_arrays by upstream's rules."""

from __future__ import annotations

import numpy as np
import pytest

import p3d.caffe as caffe

pytestmark = pytest.mark.embedded

PARAM = "batch_size: 2 channels: 3 height: 1 width: 2"


def net(param: str = PARAM, tops: str = 'top: "x" top: "y"') -> caffe.Net:
    return caffe.Net(
        f'layer {{ name: "m" type: "MemoryData" {tops} memory_data_param {{ {param} }} }}',
        caffe.TRAIN,
    )


def arrays(n: int = 6) -> tuple[np.ndarray, np.ndarray]:
    return (
        np.arange(6 * n, dtype=np.float32).reshape(n, 3, 1, 2),
        np.arange(n, dtype=np.float32),
    )


@pytest.mark.parametrize("axes", [1, 4])
def test_batches_go_round_and_show_what_the_arrays_hold(axes: int) -> None:
    data, labels = arrays()
    made = net()
    assert tuple(made.blobs["x"].shape) == (2, 3, 1, 2)
    assert tuple(made.blobs["y"].shape) == (2,)
    made.set_input_arrays(data, labels if axes == 1 else labels.reshape(-1, 1, 1, 1))
    for start in (0, 2, 4, 0):
        data[start] += 1
        made.forward()
        np.testing.assert_array_equal(made.blobs["x"].data, data[start : start + 2])
        assert tuple(made.blobs["y"].shape) == (2, 1, 1, 1)  # as in Caffe, behind a forward
        np.testing.assert_array_equal(made.blobs["y"].data.ravel(), labels[start : start + 2])
    made.set_input_arrays(*arrays(2))
    made.forward()
    np.testing.assert_array_equal(made.blobs["x"].data, arrays(2)[0])


@pytest.mark.parametrize(
    ("data", "labels", "message"),
    [
        (arrays()[0][:, :2], arrays()[1], r"data array must be \(n, 3, 1, 2\)"),
        (arrays()[0].ravel(), arrays()[1], r"data array must be \(n, 3, 1, 2\)"),
        (None, arrays()[1], r"data array must be \(n, 3, 1, 2\), not \(\)"),
        (arrays()[0], None, r"labels array must be \(n, 1, 1, 1\), not \(\)"),
        (arrays()[0].astype(float), arrays()[1], "data array must be float32"),
        (arrays()[0], arrays()[1].astype(int), "labels array must be float32"),
        (np.asfortranarray(arrays()[0]), arrays()[1], "data array must be C contiguous"),
        (arrays()[0], arrays()[1][:4], "same first dimension"),
        (arrays()[0][:3], arrays()[1][:3], "multiple of batch size"),
        (arrays()[0][:0], arrays()[1][:0], "multiple of batch size"),
    ],
)
def test_arrays_that_do_not_fit(data: np.ndarray, labels: np.ndarray, message: str) -> None:
    with pytest.raises(RuntimeError, match=f"MemoryData 'm'.*{message}"):
        net().set_input_arrays(data, labels)


def test_without_arrays_and_without_such_a_layer() -> None:
    with pytest.raises(RuntimeError, match=r"MemoryData 'm'.*call net\.set_input_arrays"):
        net().forward()
    other = caffe.Net(
        'layer { name: "i" type: "Input" top: "x" input_param { shape { dim: 1 } } }', caffe.TEST
    )
    with pytest.raises(RuntimeError, match="first layer is a MemoryData"):
        other.set_input_arrays(*arrays())


@pytest.mark.parametrize(
    ("param", "tops", "message"),
    [
        ("channels: 3 height: 1 width: 2", 'top: "x" top: "y"', "batch_size"),
        ("batch_size: 2 height: 1 width: 2", 'top: "x" top: "y"', "channels"),
        (PARAM, 'top: "x"', "takes 2 tops, not 1"),
    ],
)
def test_what_cannot_be(param: str, tops: str, message: str) -> None:
    with pytest.raises(RuntimeError, match=f"MemoryData 'm'.*{message}"):
        net(param, tops)
