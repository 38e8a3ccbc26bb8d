"""InfogainLoss with its matrix in a file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import p3d.caffe as caffe

H = np.array([[1, 0.5, 0], [0.25, 1, 0], [0, 0, 2]], np.float32)
SCORES = np.array([[1, 2, 3], [3, 0, -1]], np.float32)
LABELS = [0, 2]


def net(source: str) -> caffe.Net:
    return caffe.Net(
        'layer { name: "d" type: "Input" top: "x" top: "label" input_param { '
        "shape { dim: 2 dim: 3 } shape { dim: 2 } } }\n"
        'layer { name: "loss" type: "InfogainLoss" bottom: "x" bottom: "label" top: "loss" '
        f"infogain_loss_param {{ {source} }} }}",
        caffe.TEST,
    )


def test_matrix_from_file(tmp_path: Path) -> None:
    path = tmp_path / "h.binaryproto"
    path.write_bytes(caffe.io.array_to_blobproto(H).SerializeToString())
    loss = net(f'source: "{path}"')
    loss.blobs["x"].data[...] = SCORES
    loss.blobs["label"].data[...] = LABELS
    prob = np.exp(SCORES) / np.exp(SCORES).sum(1, keepdims=True)
    expected = -(H[LABELS] * np.log(prob)).sum(1).mean()
    assert loss.forward()["loss"] == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "cannot be read"),
        (b"", "is empty; it should hold a matrix"),
        (b"\xff\xff\xff", "holds no matrix"),
        (b"\x3a\x04\x0a\x02\x03\x03", "holds no matrix"),  # a shape without values
        (caffe.io.array_to_blobproto(H[:2]).SerializeToString(), "needs a matrix of 3 x 3, not"),
    ],
)
def test_bad_file(tmp_path: Path, content: bytes | None, message: str) -> None:
    path = tmp_path / "h.binaryproto"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(RuntimeError, match=f"InfogainLoss 'loss'.*{message}"):
        net(f'source: "{path}"')


def test_no_matrix_at_all() -> None:
    with pytest.raises(RuntimeError, match=r"InfogainLoss 'loss'.*third bottom"):
        net("")
