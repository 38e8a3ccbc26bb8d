"""The other depths, and nets that a person asks for."""

from __future__ import annotations

import ast
import json

import pytest
from recipe import crc32, fill_params, golden

from p3d import Error, models
from p3d.caffe.prototxt import parse_net

# Golden case -> net and options.
ZOO_NETS = {
    "p3d131": ("p3d131-kinetics", {}),
    "p3d63": ("p3d63-kinetics", {}),
    "p3d63_b1names": ("p3d63-kinetics", {"numbered": True}),
    "p3d63_crop112_n2": ("p3d63-kinetics", {"crop": 112, "batch": 2}),
    "p3d63_onlyA": ("p3d63-kinetics", {"crop": 112, "kinds": "A"}),
    "p3d63_onlyC": ("p3d63-kinetics", {"crop": 112, "kinds": "C"}),
}


def layers_of(name, **options):
    return {layer.name: layer for layer in parse_net(models.prototxt(name, **options)).layer}


@pytest.mark.parametrize("case", ZOO_NETS)
def test_weights_of_the_golden_nets(case):
    name, options = ZOO_NETS[case]
    facts = golden(f"zoo/p3d/{case}")
    blobs = models.blobs(name, **options)
    found = {f"{k}/{i}": shape for k, shapes in blobs.items() for i, shape in enumerate(shapes)}
    stated = zip(facts["param_names"], facts["param_shapes"], facts["param_crc32"], strict=True)
    expected = {str(key): (ast.literal_eval(str(shape)), crc) for key, shape, crc in stated}
    assert found == {key: shape for key, (shape, _) in expected.items()}
    for key in ("bn_conv1/0", "res3a_branch2b_t/0", "bn5c_branch2c/0", "fc_kinetics/0"):
        layer, index = key.split("/")
        assert crc32(fill_params(layer, int(index), found[key])) == expected[key][1], key


@pytest.mark.parametrize("case", ZOO_NETS)
def test_kinds_of_the_golden_nets(case):
    name, options = ZOO_NETS[case]
    recipe = json.loads(str(golden(f"zoo/p3d/{case}")["recipe"]))
    layers = layers_of(name, **options)
    assert list(layers["data"].input_param.shape[0].dim) == recipe["input_shape"]
    for tag, kind in recipe["kinds"].items():
        time, total = layers[f"res{tag}_branch2b_t"], layers.get(f"res{tag}_branch2b_st")
        source = "branch2a" if kind == "B" else "branch2b"
        assert list(time.bottom) == [f"bn{tag}_{source}"], tag
        assert (total is None) == (kind == "A"), tag
        if total is not None:
            weights = {"B": [1, 1], "C": [0.5, 0.5]}[kind]
            assert list(total.eltwise_param.coeff) == weights, tag
            assert list(total.bottom) == [f"bn{tag}_branch2b", f"bn{tag}_branch2b_t"], tag


@pytest.mark.parametrize("kinds", ["B", "AB", "CCA"])
def test_any_cycle_of_kinds_runs_over_the_stages(kinds):
    layers = layers_of("p3d63-kinetics", kinds=kinds)
    tags = [n[3:-11] for n in layers if n.endswith("_branch2b_t") and n.startswith("res")]
    assert len(tags) == 13
    for i, tag in enumerate(tags):
        kind = kinds[i % len(kinds)]
        assert (f"res{tag}_branch2b_t_relu" in layers) == (kind == "A"), tag


def test_width_and_learning_from_scratch():
    blobs = models.blobs("p3d63-kinetics", width=6, units=(1, 2, 1, 1), kinds="S")
    units = [name[3:-9] for name in blobs if name.startswith("res") and name.endswith("_branch2c")]
    assert units == ["2a", "3a", "3b", "4a", "5a"]
    assert blobs["conv1"] == [(6, 3, 1, 7, 7)]
    assert blobs["res3a_branch2c"] == [(48, 12, 1, 1, 1)]
    assert blobs["fc_kinetics"] == [(400, 192), (400,)]
    assert not [name for name in blobs if name.endswith("_t")]
    layers = layers_of("p3d63-kinetics", width=6, scratch=True).values()
    assert not [layer.name for layer in layers if layer.bn_param.frozen]
    kernels = [layer.convolution_param for layer in layers if layer.type == "Convolution"]
    assert {kernel.weight_filler.type for kernel in kernels} == {"msra"}
    classifier = next(layer for layer in layers if layer.type == "InnerProduct")
    assert [param.lr_mult for param in classifier.param] == [1, 2]


def test_own_classes_and_input():
    layers = layers_of("p3d199-kinetics-flow", classes=7, head="fc_own", crop=(96, 130), length=9)
    assert list(layers["data"].input_param.shape[0].dim) == [1, 2, 9, 96, 130]
    assert layers["fc_own"].inner_product_param.num_output == 7
    assert list(layers["prob"].bottom) == ["fc_own"]
    assert "fc_kinetics" not in layers


def test_any_length_keeps_the_names_and_the_weights_but_for_an_axis():
    usual, longer = models.blobs("p3d63-kinetics"), models.blobs("p3d63-kinetics", any_length=True)
    assert list(usual) == list(longer)
    for name, shapes in usual.items():
        for shape, other in zip(shapes, longer[name], strict=True):
            flat = name.startswith("res5")
            assert other == ((*shape[:2], 1, *shape[2:]) if flat else shape), name
    layers = layers_of("p3d63-kinetics", any_length=True, length=64)
    assert "res5a_reshape" not in layers
    assert list(layers["res5a_branch2a"].bottom) == ["res5a_pool"]
    assert list(layers["res5a_branch2a"].convolution_param.stride) == [1, 2, 2]
    assert layers["pool5"].type == "Pooling3D"
    assert layers["pool5"].pooling3d_param.global_pooling
    assert not layers["pool5"].pooling3d_param.HasField("kernel_size")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"length": 17}, "17 frames.*any-length"),
        ({"length": 0}, "length is 0"),
        ({"classes": -1}, "classes is -1"),
        ({"batch": 1 << 30}, "batch is"),
        ({"crop": 2}, "crop is .2, 2."),
        ({"crop": (160, 1)}, "3 x 3"),
        ({"kinds": ""}, "kinds is ''"),
        ({"kinds": "ABD"}, "kinds is 'ABD'"),
        ({"width": 0}, "width is 0"),
        ({"units": (3, 4, 6)}, "units is .3, 4, 6.: expected four"),
        ({"units": (3, 4, 0, 3)}, "units is .*0"),
    ],
)
def test_impossible_nets_are_refused(options, message):
    with pytest.raises(Error, match=message):
        models.prototxt("p3d63-kinetics", **options)


def test_an_unknown_name_brings_a_hint():
    with pytest.raises(Error, match=r"called 'p3d63-kinetic'; did you mean 'p3d63-kinetics'\?"):
        models.prototxt("p3d63-kinetic")
    with pytest.raises(Error, match=r"called 'x'; see `p3d models`"):
        models.prototxt("x")


def test_names_and_descriptions():
    assert set(models.names()) == {
        f"p3d{depth}-{data}{flow}"
        for depth in (63, 131, 199)
        for data in ("kinetics", "sports1m", "ucf101", "hmdb51")
        for flow in ("", "-flow")
    }
    assert models.describe("p3d199-kinetics-flow") == (
        "P3D-199, Kinetics-400, optical flow, 400 classes, clips 2x16x160x160"
    )
