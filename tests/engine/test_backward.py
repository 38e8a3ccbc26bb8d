"""Which layers a backward runs through, and how diffs add up."""

from __future__ import annotations

import logging
import re

import numpy as np
import one_layer
import pytest
from recipe import rng_for

import p3d.caffe as caffe
from p3d import _core

Net = caffe.Net


def data(name: str, *shape: int) -> str:
    dims = " ".join(f"dim: {d}" for d in shape)
    return layer("Input", name, "", more=f"input_param {{ shape {{ {dims} }} }}")


def layer(kind: str, name: str, bottoms: str, top: str = "", more: str = "") -> str:
    listed = " ".join(f'bottom: "{b}"' for b in bottoms.split())
    tops = " ".join(f'top: "{t}"' for t in (top or name).split())
    return f'layer {{ name: "{name}" type: "{kind}" {listed} {tops} {more} }}\n'


def fc(name: str, bottom: str, outputs: int = 3, more: str = "") -> str:
    return layer(
        "InnerProduct",
        name,
        bottom,
        more=f"{more} inner_product_param {{ num_output: {outputs} "
        'weight_filler { type: "gaussian" std: 0.5 } }',
    )


FIXED = "param { lr_mult: 0 } param { lr_mult: 0 }"
INPUTS = data("x", 2, 4) + data("label", 2)
LOSS = layer("SoftmaxWithLoss", "loss", "c label")
CHAIN = INPUTS + fc("a", "x") + layer("ReLU", "r", "a", "a") + fc("b", "a") + fc("c", "b") + LOSS


def net_of(text: str, phase: int = caffe.TRAIN) -> Net:
    _core.set_random_seed(1701)
    net = Net("debug_info: true\n" + text, phase)
    for name in net.inputs:
        shape = net.blobs[name].shape
        values = np.arange(2) % 2 if name == "label" else rng_for(name).normal(0, 1, shape)
        net.blobs[name].data[...] = values
    return net


def visited(net: Net, caplog: pytest.LogCaptureFixture) -> dict[str, list[str]]:
    """By layer, the bottoms and parameters whose gradient a backward computes."""
    net.forward()
    caplog.clear()
    with caplog.at_level(logging.INFO, "p3d"):
        net.backward()
    found: dict[str, list[str]] = {}
    for record in caplog.records:
        match = re.match(r" {4}\[Backward\] Layer (\S+), (\w+) blob (\S+) diff: ", record.message)
        if match:
            found.setdefault(match[1], []).append(match[3])
    return found


ALL_PARAMS = ["0", "1"]

GRADIENTS = {
    "down to the first that learns": (
        CHAIN.replace('name: "a" type: "InnerProduct"', f'name: "a" {FIXED} type: "InnerProduct"'),
        {"loss": ["c"], "c": ["b", *ALL_PARAMS], "b": ALL_PARAMS},
    ),
    "of everything": (
        CHAIN,
        {
            "loss": ["c"],
            "c": ["b", *ALL_PARAMS],
            "b": ["a", *ALL_PARAMS],
            "r": ["a"],
            "a": ALL_PARAMS,
        },
    ),
    "forced": (
        "force_backward: true " + INPUTS + fc("c", "x", more=FIXED) + LOSS,
        {"loss": ["c"], "c": ["x", *ALL_PARAMS]},
    ),
    "no further than propagate_down says": (
        INPUTS + fc("a", "x") + fc("c", "a", more="propagate_down: false") + LOSS,
        {"loss": ["c"], "c": ALL_PARAMS},
    ),
    "as far as propagate_down says": (
        INPUTS + fc("c", "x", more="propagate_down: true") + LOSS,
        {"loss": ["c"], "c": ["x", *ALL_PARAMS]},
    ),
    "behind a layer that passes nothing on": (
        INPUTS
        + fc("a", "x")
        + layer("ReLU", "r", "a", more="propagate_down: false")
        + fc("c", "r")
        + LOSS,
        {"loss": ["c"], "c": ["r", *ALL_PARAMS]},
    ),
    "of what a loss is made of": (
        INPUTS
        + fc("a", "x")
        + fc("c", "a")
        + fc("unused", "a")
        + LOSS
        + layer("Accuracy", "accuracy", "c label"),
        {
            "loss": ["c_c_0_split_0"],
            "c_c_0_split": ["c"],
            "c": ["a_a_0_split_0", *ALL_PARAMS],
            "a_a_0_split": ["a"],
            "a": ALL_PARAMS,
        },
    ),
    "of any top with a loss_weight": (
        data("x", 2, 4) + fc("a", "x", more="loss_weight: 2"),
        {"a": ALL_PARAMS},
    ),
    "nothing without a loss": (data("x", 2, 4) + fc("a", "x"), {}),
    "nothing where nothing learns": (INPUTS + fc("c", "x", more=FIXED) + LOSS, {}),
    "not of statistics": (
        data("x", 2, 4) + layer("BN", "bn", "x", more="loss_weight: 1"),
        {"bn": ALL_PARAMS},
    ),
}


@pytest.mark.parametrize("name", GRADIENTS)
def test_gradients(name: str, caplog: pytest.LogCaptureFixture) -> None:
    text, expected = GRADIENTS[name]
    assert visited(net_of(text), caplog) == expected


def test_losses_start_from_their_weights() -> None:
    net = net_of(
        data("x", 2, 3)
        + fc("a", "x", more="loss_weight: -2.5")
        + layer("Reduction", "sum", "x", more="loss_weight: 3")
    )
    net.forward()
    net.backward()
    np.testing.assert_array_equal(net.blobs["a"].diff, np.full((2, 3), -2.5))
    assert net.blobs["sum"].diff == 3
    np.testing.assert_allclose(net.params["a"][1].diff, np.full(3, -5), rtol=1e-6)


@pytest.mark.parametrize("learns", ["", FIXED])
@pytest.mark.parametrize("phase", [caffe.TRAIN, caffe.TEST])
def test_a_loss_that_grows_keeps_its_weight(learns: str, phase: int) -> None:
    text = data("x", 2, 3) + fc("a", "x", more=f"loss_weight: 2 {learns}")
    net = caffe.Net(text, phase)
    net.blobs["x"].reshape(50, 3)
    net.forward()
    net.backward()
    np.testing.assert_array_equal(net.blobs["a"].diff, np.full((50, 3), 2))


def test_a_layer_in_place_on_a_loss_starts_from_its_weight_each_time() -> None:
    twice = 'scale_param { filler { value: 2 } } top: "t0" loss_weight: 3 param { lr_mult: 0 }'
    net = caffe.Net(
        one_layer.text_of('type: "Bias"', (1, 2))
        + f'layer {{ name: "twice" type: "Scale" bottom: "t0" {twice} }}\n',
        caffe.TRAIN,
    )
    for _ in range(2):
        net.clear_param_diffs()
        net._forward_backward()
        np.testing.assert_array_equal(net.params["layer"][0].diff, [6, 6])


def test_readers_of_a_blob_add_up() -> None:
    net = net_of(
        "force_backward: true "
        + data("x", 2, 3)
        + layer("Power", "p", "x", more="power_param { scale: 3 }")
        + layer("Power", "q", "x", more="power_param { scale: 5 }")
        + layer("ArgMax", "m", "x")
    )
    net.forward()
    ones = np.ones((2, 3), np.float32)
    diffs = net.backward(p=ones, q=2 * ones, m=np.ones((2, 1, 1), np.float32))
    np.testing.assert_array_equal(diffs["x"], 13 * ones)


def test_parameters_accumulate_until_cleared() -> None:
    net = net_of(CHAIN)
    net.forward()
    net.backward()
    once = {name: [blob.diff.copy() for blob in blobs] for name, blobs in net.params.items()}
    held = net.params["b"][0].diff
    net.backward()
    for name, blobs in net.params.items():
        for blob, first in zip(blobs, once[name], strict=True):
            assert first.any()
            np.testing.assert_allclose(blob.diff, 2 * first, rtol=1e-6)
    np.testing.assert_array_equal(held, net.params["b"][0].diff)
    net.clear_param_diffs()
    assert not held.any()
    net.backward()
    np.testing.assert_array_equal(held, once["b"][0])


def test_shared_parameters_have_one_gradient() -> None:
    named = 'param { name: "w" } param { lr_mult: 0 }'
    text = INPUTS.replace("dim: 4", "dim: 3") + fc("a", "x", more=named) + fc("c", "a", more=named)
    alone = text.replace('name: "w"', 'name: ""', 1) + LOSS
    shared, separate = net_of(text + LOSS), net_of(alone)
    separate.params["a"][0].data[...] = shared.params["a"][0].data
    separate.params["c"][0].data[...] = shared.params["a"][0].data
    for net in (shared, separate):
        net.forward()
        net.backward()
    total = separate.params["a"][0].diff + separate.params["c"][0].diff
    np.testing.assert_allclose(shared.params["a"][0].diff, total, rtol=1e-5)
    np.testing.assert_array_equal(shared.params["c"][0].diff, shared.params["a"][0].diff)


def tied(*params: str) -> caffe.Net:
    layers = [fc("abc"[i], "x", more=f'param {{ name: "w" {p} }}') for i, p in enumerate(params)]
    return net_of(data("x", 2, 4) + "".join(layers))


@pytest.mark.parametrize(
    ("params", "lr_mult", "decay_mult"),
    [
        (("", ""), 1, 1),
        (("lr_mult: 2 decay_mult: 0", ""), 2, 0),
        (("lr_mult: 2", "lr_mult: 2 decay_mult: 3", "decay_mult: 3"), 2, 3),
        (("", "", "lr_mult: 0"), 0, 1),
    ],
)
def test_shared_parameters_have_the_multipliers_that_any_gives(
    params: tuple[str, ...], lr_mult: float, decay_mult: float
) -> None:
    net = tied(*params)
    found = [(net._layer_names[i], *param) for i, *param in _core.Updater(net._net, "SGD").params]
    assert [param for param in found if param[1] == 0] == [("a", 0, lr_mult, decay_mult)]


@pytest.mark.parametrize(
    ("params", "words"),
    [
        (("lr_mult: 2", "lr_mult: 3"), "lr_mult is 2 there, 3 here"),
        (("", "lr_mult: 0", "lr_mult: 1"), "lr_mult is 0 there, 1 here"),
        (("lr_mult: 1 decay_mult: 0", "lr_mult: 1 decay_mult: 1"), "decay_mult is 0 there, 1 here"),
    ],
)
def test_shared_parameters_cannot_have_two_multipliers(params: tuple[str, ...], words: str) -> None:
    name = "abc"[len(params) - 1]
    refusal = f"InnerProduct '{name}': cannot share parameter 'w' with layer 'a': its {words}"
    with pytest.raises(RuntimeError, match=refusal):
        tied(*params)


def test_parts_of_a_backward() -> None:
    whole, parts = net_of("force_backward: true " + CHAIN), net_of("force_backward: true " + CHAIN)
    for net in (whole, parts):
        net.forward()
    whole.backward()
    assert set(parts.backward(end="c")) == {"b"}
    assert not parts.blobs["x"].diff.any()
    assert set(parts.backward(start="b", diffs=["a"])) == {"x", "label", "a"}
    for name in ("x", "a", "b", "c"):
        np.testing.assert_array_equal(parts.blobs[name].diff, whole.blobs[name].diff)
        assert whole.blobs[name].diff.any()


@pytest.mark.parametrize("planned", [True, False])
def test_after_an_inference_forward(planned: bool) -> None:
    """The plan keeps no blob that a gradient needs; the forward is repeated layer by layer."""
    text = (
        "force_backward: true "
        + data("x", 1, 3, 4, 5)
        + layer(
            "Convolution",
            "c",
            "x",
            more="convolution_param { num_output: 4 kernel_size: 3 "
            'weight_filler { type: "xavier" } }',
        )
        + layer("ReLU", "r", "c", "c")
        + layer("Pooling", "p", "c", more="pooling_param { kernel_size: 2 }")
    )
    net = Net(text, caffe.TEST)
    net._net.set_planning(planned)
    net.params["c"][0].data[...] = rng_for("w").normal(0, 1, (4, 3, 3, 3))
    x = rng_for("x").normal(0, 1, (1, 3, 4, 5)).astype(np.float32)
    out = net.forward(x=x)["p"].copy()
    assert net._net.planned == planned
    gradient = net.backward(p=np.ones_like(out))["x"].copy()
    assert not net._net.planned
    assert np.abs(gradient).max() > 0.1
    np.testing.assert_array_equal(net.forward(x=x)["p"], out)
    np.testing.assert_array_equal(net.backward(p=np.ones_like(out))["x"], gradient)
    lazy = Net(text, caffe.TEST)
    lazy._net.set_planning(False)
    lazy.params["c"][0].data[...] = net.params["c"][0].data
    lazy.forward(x=x)
    np.testing.assert_allclose(
        lazy.backward(p=np.ones_like(out))["x"], gradient, rtol=1e-5, atol=1e-6
    )


def test_dropout_keeps_its_mask() -> None:
    drop = layer("Dropout", "d", "x", more="dropout_param { dropout_ratio: 0.4 }")
    net = net_of("force_backward: true " + data("x", 3, 40) + drop)
    net.blobs["x"].data[...] = 1
    for _ in range(2):
        mask = net.forward()["d"].copy()
        assert {0, 1} <= set(np.sign(mask).ravel())
        np.testing.assert_array_equal(net.backward(d=np.ones_like(mask))["x"], mask)


def test_hooks_see_every_layer() -> None:
    net, seen = net_of(CHAIN), []
    net.before_backward(lambda i: seen.append(("before", i)))
    net.after_backward(lambda i: seen.append(("after", i)))
    net.forward()
    net.backward()
    count = len(net.layers)
    assert seen == [(w, i) for i in range(count - 1, -1, -1) for w in ("before", "after")]


def test_debug_info_in_the_words_of_caffe(caplog: pytest.LogCaptureFixture) -> None:
    net = net_of(data("x", 1, 2) + fc("a", "x", 1, "loss_weight: 2"))
    net.blobs["x"].data[...] = [[3, -1]]
    net.params["a"][0].data[...] = [[1, 0.25]]
    net.params["a"][1].data[...] = 0
    caplog.clear()
    with caplog.at_level(logging.INFO, "p3d"):
        net.forward()
        net.backward()
    assert [r.message for r in caplog.records if r.message.startswith("    ")] == [
        "    [Forward] Layer x, top blob x data: 2",
        "    [Forward] Layer a, top blob a data: 2.75",
        "    [Forward] Layer a, param blob 0 data: 0.625",
        "    [Forward] Layer a, param blob 1 data: 0",
        "    [Backward] Layer a, param blob 0 diff: 4",
        "    [Backward] Layer a, param blob 1 diff: 2",
        "    [Backward] All net params (data, diff): L1 norm = (1.25, 10); "
        "L2 norm = (1.03078, 6.63325)",
    ]


def test_errors() -> None:
    net = net_of(CHAIN)
    with pytest.raises(RuntimeError, match=r"loss.*has not run forward.*run forward\(\)"):
        net.backward()
    net.forward()
    net.blobs["x"].reshape(5, 4)
    net.blobs["label"].reshape(5)
    with pytest.raises(RuntimeError, match="has not run forward with blobs of these shapes"):
        net.backward()
    for start, end in ((len(net.layers), 0), (0, -1)):
        with pytest.raises(RuntimeError, match="are not all in the net"):
            net._backward(start, end)
    with pytest.raises(RuntimeError, match="there is no layer 'nowhere'"):
        net.backward(start="nowhere")
    with pytest.raises(RuntimeError, match="there is no blob 'nothing'"):
        net.backward(diffs=["nothing"])
