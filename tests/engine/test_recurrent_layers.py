"""LSTM and RNN over time: what one forward leaves to the next (values: see the golden cases)."""

from __future__ import annotations

import numpy as np
import pytest
from recipe import rng_for

import p3d.caffe as caffe

T, N, D, WIDTH = 6, 2, 3, 4
KINDS = ["LSTM", "RNN"]


def build(kind: str) -> caffe.Net:
    net = caffe.Net(
        'layer { name: "i" type: "Input" top: "x" top: "cont" input_param { '
        f"shape {{ dim: {T} dim: {N} dim: {WIDTH} }} shape {{ dim: {T} dim: {N} }} }} }}\n"
        f'layer {{ name: "r" type: "{kind}" bottom: "x" bottom: "cont" top: "y" '
        f"recurrent_param {{ num_output: {D} }} }}",
        caffe.TEST,
    )
    for i, blob in enumerate(net.params["r"]):
        blob.data[...] = rng_for(f"{kind}/{i}").normal(0, 0.7, blob.shape)
    return net


def run(net: caffe.Net, x: np.ndarray, cont: np.ndarray) -> np.ndarray:
    net.blobs["x"].reshape(*x.shape)
    net.blobs["cont"].reshape(*cont.shape)
    net.reshape()
    return net.forward(x=x, cont=cont)["y"].copy()


def sequence(steps: int = T, streams: int = N) -> tuple[np.ndarray, np.ndarray]:
    x = rng_for("recurrent").normal(0, 1, (steps, streams, WIDTH)).astype(np.float32)
    cont = np.ones((steps, streams), np.float32)
    cont[0] = 0
    return x, cont


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("cut", [1, 2, 5])
def test_pieces_of_a_sequence_give_the_whole(kind: str, cut: int) -> None:
    x, cont = sequence()
    whole = run(build(kind), x, cont)
    net = build(kind)
    pieces = [run(net, x[:cut], cont[:cut]), run(net, x[cut:], cont[cut:])]
    np.testing.assert_allclose(np.concatenate(pieces), whole, atol=1e-6)


@pytest.mark.parametrize("kind", KINDS)
def test_a_new_sequence_forgets(kind: str) -> None:
    x, cont = sequence()
    net = build(kind)
    first = run(net, x, cont)
    np.testing.assert_array_equal(run(net, x, cont), first)
    assert not np.array_equal(run(net, x, np.ones_like(cont)), first)


@pytest.mark.parametrize("kind", KINDS)
def test_an_infinite_past_is_forgotten_too(kind: str) -> None:
    x, cont = sequence()
    net = build(kind)
    first = run(net, x, cont)
    run(net, np.full_like(x, np.nan), cont)
    np.testing.assert_array_equal(run(net, x, cont), first)


@pytest.mark.parametrize("kind", KINDS)
def test_other_streams_have_no_past(kind: str) -> None:
    x, cont = sequence()
    net = build(kind)
    run(net, x, cont)
    wide, _ = sequence(T, N + 1)
    went_on = np.ones((T, N + 1), np.float32)
    np.testing.assert_array_equal(run(net, wide, went_on), run(build(kind), wide, went_on))


@pytest.mark.parametrize("kind", KINDS)
def test_reading_a_blob_does_not_move_time(kind: str) -> None:
    x, cont = sequence()
    net, other = build(kind), build(kind)
    for _ in range(2):
        run(net, x, np.ones_like(cont))
        expected = run(other, x, np.ones_like(cont))
        for blob in net.blobs.values():
            _ = blob.data
    np.testing.assert_array_equal(net.blobs["y"].data, expected)
