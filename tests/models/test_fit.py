"""p3d.models.fit: which net a weights file belongs to."""

from __future__ import annotations

import pytest

from p3d import models


def dressed(shape, dress):
    """A blob's shape as other writers of caffemodels have it."""
    if dress == "legacy" and len(shape) < 4:
        return (1,) * (4 - len(shape)) + shape
    if dress == "bn_vector" and len(shape) == 2 and shape[0] == 1:
        return shape[1:]
    if dress == "bn_4d" and len(shape) == 2 and shape[0] == 1:
        return (*shape, 1, 1)
    return shape


CLASSES = {"kinetics": 400, "sports1m": 487, "ucf101": 101, "hmdb51": 51}


@pytest.mark.parametrize("name", models.names())
@pytest.mark.parametrize("dress", ["own", "legacy", "bn_vector", "bn_4d"])
def test_every_net_is_recognised_in_every_dress(name, dress):
    layers = [(k, [dressed(s, dress) for s in v]) for k, v in models.blobs(name).items()]
    fit = models.fit(layers)
    assert fit is not None, models.nearest(layers)
    assert fit.name == name == str(fit)
    assert fit.modality == ("flow" if "flow" in name else "frame")
    assert fit.labels == ("kinetics400" if "kinetics" in name else None)
    assert fit.classes == CLASSES[name.split("-")[1]]


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"classes": 101}, "p3d63-kinetics (101 classes in 'fc_kinetics')"),
        ({"classes": 101, "head": "fc_ucf"}, "p3d63-kinetics (101 classes in 'fc_ucf')"),
        ({"any_length": True}, "p3d63-kinetics (any length)"),
        ({"numbered": True}, "p3d63-kinetics (units numbered)"),
    ],
)
def test_changed_nets_are_recognised(options, text):
    layers = models.blobs("p3d63-kinetics", **options).items()
    fit = models.fit(layers)
    assert str(fit) == text
    assert list(models.blobs(fit.name, **fit.options()).items()) == list(layers)
    assert (fit.labels is None) == ("classes" in options)


@pytest.mark.parametrize("kinds", ["ABC", "A", "B"])
def test_layers_without_weights_tell_the_kinds(kinds):
    blobs = models.blobs("p3d63-kinetics", kinds=kinds)
    text = models.prototxt("p3d63-kinetics", kinds=kinds)
    names = [line.split('"')[1] for line in text.split("\n") if 'name: "' in line][1:]
    fit = models.fit((name, blobs.get(name, [])) for name in names)
    assert fit.kinds == kinds


def test_features_without_a_last_layer():
    layers = list(models.blobs("p3d131-kinetics-flow").items())[:-1]
    fit = models.fit(layers)
    assert (fit.name, fit.head, fit.labels) == ("p3d131-kinetics-flow", None, None)


@pytest.mark.parametrize(
    ("change", "difference"),
    [
        (lambda b: b.pop("bn3b_branch2a"), "'bn3b_branch2a' is missing"),
        (lambda b: b["conv1"].__setitem__(0, (64, 3, 3, 7, 7)), "'conv1' has blobs 64x3x3x7x7, ex"),
        (lambda b: b.__setitem__("extra", [(3, 3)]), "'extra' is not part of it"),
        (lambda b: b["bn_conv1"].pop(), "'bn_conv1' has blobs"),
        (lambda b: b["fc_kinetics"].__setitem__(0, (400, 512)), "'fc_kinetics' has blobs"),
    ],
)
def test_what_does_not_fit_is_said(change, difference):
    blobs = {k: list(v) for k, v in models.blobs("p3d63-kinetics").items()}
    change(blobs)
    assert models.fit(blobs.items()) is None
    name, lines = models.nearest(blobs.items())
    assert name == "p3d63-kinetics"
    assert len(lines) == 1
    assert lines[0].startswith(difference)


@pytest.mark.parametrize("layers", [[], [("conv1", [])], [("x", [(1, 1), (), None])]])
def test_strange_files_fit_nothing(layers):
    assert models.fit(layers) is None
    assert models.nearest(layers)[1]
