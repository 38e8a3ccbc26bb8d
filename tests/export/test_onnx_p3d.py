"""Exported P3D nets in ONNX Runtime give the numbers of Caffe, stage by stage."""

from __future__ import annotations

import json

import numpy as np
import pytest
from recipe import crc32, fill_params, golden, normal_input, waves_input

from p3d import models
from p3d.caffe.prototxt import parse_net
from p3d.export.onnx import export

ort = pytest.importorskip("onnxruntime")

TOLERANCE = 1e-4  # of a blob's largest magnitude

# Golden file -> net, options, key of the noise input.
NETS = {
    "p3d199/p3d199_kinetics": ("p3d199-kinetics", {}, "p3d199/kinetics"),
    "p3d199/p3d199_kinetics_flow": ("p3d199-kinetics-flow", {}, "p3d199/kinetics_flow"),
    "zoo/p3d/p3d131": ("p3d131-kinetics", {}, "zoo/p3d131"),
    "zoo/p3d/p3d63": ("p3d63-kinetics", {}, "zoo/p3d63"),
    "zoo/p3d/p3d63_b1names": ("p3d63-kinetics", {"numbered": True}, "zoo/p3d63_b1names"),
    "zoo/p3d/p3d63_crop112_n2": ("p3d63-kinetics", {"crop": 112}, "zoo/p3d63_crop112_n2"),
    "zoo/p3d/p3d63_onlyA": ("p3d63-kinetics", {"crop": 112, "kinds": "A"}, "zoo/p3d63_onlyA"),
    "zoo/p3d/p3d63_onlyC": ("p3d63-kinetics", {"crop": 112, "kinds": "C"}, "zoo/p3d63_onlyC"),
}


def weights_of(name, **options):
    return {
        layer: [fill_params(layer, i, shape) for i, shape in enumerate(shapes)]
        for layer, shapes in models.blobs(name, **options).items()
    }


def inputs_of(facts, key):
    shape = {"p3d199/kinetics_flow": (1, 2, 16, 160, 160)}.get(key, (1, 3, 16, 160, 160))
    if "recipe" in facts:
        shape = tuple(json.loads(str(facts["recipe"]))["input_shape"])
    clips = {"noise": normal_input(key, shape, 50.0), "waves": waves_input(shape)}
    for kind, clip in clips.items():
        assert crc32(clip) == facts[f"{kind}/input_crc32"]
    return clips


def session_of(path):
    options = ort.SessionOptions()
    options.intra_op_num_threads = 2
    return ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def error(found, expected, scale=None):
    """The largest difference, relative to the largest magnitude."""
    scale = np.abs(expected).max() if scale is None else scale
    return np.abs(np.asarray(found, np.float64) - expected).max() / scale


@pytest.mark.parametrize("case", NETS)
def test_every_stage(case, tmp_path):
    name, options, key = NETS[case]
    facts = golden(case)
    stages = sorted({k.split("/")[2] for k in facts if k.startswith("noise/stage/")})
    blobs = [*stages, "pool5", str(facts["fc_name"]), "prob"]
    path = tmp_path / "net.onnx"
    net = parse_net(models.prototxt(name, **options))
    export(net, weights_of(name, **options), path, blobs=blobs)
    session = session_of(path)
    path.unlink()  # 0.3 GB
    assert [output.name for output in session.get_outputs()] == blobs
    for kind, clip in inputs_of(facts, key).items():
        found = dict(zip(blobs, session.run(None, {"data": clip}), strict=True))
        for stage in stages:
            at = f"{kind}/stage/{stage}"
            assert found[stage].shape == tuple(facts[f"{at}/shape"]), stage
            values = found[stage].ravel()[facts[f"{at}/index"]]
            scale = np.abs(facts[f"{at}/mean_std_min_max"][2:]).max()
            assert error(values, facts[f"{at}/value"], scale) < TOLERANCE, (kind, stage)
        for blob, key in (("pool5", "pool5"), (blobs[-2], "fc"), ("prob", "prob")):
            expected = facts[f"{kind}/{key}"]
            assert error(found[blob].reshape(expected.shape), expected) < TOLERANCE, (kind, blob)


def test_any_length_equals_the_released_net_up_to_16_frames(tmp_path):
    options = {"crop": 48, "classes": 7}
    weights = weights_of("p3d63-kinetics", **options)
    results = {}
    for any_length in (False, True):
        for length in (16, 9, 1):
            net = parse_net(
                models.prototxt(
                    "p3d63-kinetics", **options, any_length=any_length, length=length, batch=2
                )
            )
            path = tmp_path / "net.onnx"
            export(net, weights, path, blobs=["pool5", "prob"])
            clip = normal_input("any-length", (2, 3, length, 48, 48), 50.0)
            pool5, prob = session_of(path).run(None, {"data": clip})
            results[any_length, length] = np.concatenate([pool5.ravel(), prob.ravel()])
    for length in (16, 9, 1):
        usual = results[False, length]
        assert error(results[True, length], usual) < 1e-5, length
    assert error(results[True, 9], results[True, 16]) > 1e-2


def test_any_length_averages_the_frames_at_res5(tmp_path):
    """Four far-apart copies of one 16-frame clip: their seams aside, pool5 stays the same."""
    options = {"crop": 48, "classes": 7, "any_length": True}
    weights = weights_of("p3d63-kinetics", **options)
    clip = normal_input("any-length", (1, 3, 1, 48, 48), 50.0)
    features = {}
    for length in (16, 256):
        path = tmp_path / "net.onnx"
        net = parse_net(models.prototxt("p3d63-kinetics", **options, length=length))
        export(net, weights, path, blobs=["res5c", "pool5"])
        still = np.repeat(clip, length, axis=2)
        res5c, features[length] = session_of(path).run(None, {"data": still})
        assert res5c.shape == (1, 2048, length // 16, 2, 2)
        assert error(res5c.mean((2, 3, 4), keepdims=True), features[length]) < 1e-5
    assert 0 < error(features[256], features[16]) < 1


def test_a_file_takes_any_batch(tmp_path):
    options = {"crop": 48, "classes": 7}
    net = parse_net(models.prototxt("p3d63-kinetics", **options))
    export(net, weights_of("p3d63-kinetics", **options), tmp_path / "net.onnx")
    session = session_of(tmp_path / "net.onnx")
    assert [i.shape for i in session.get_inputs()] == [["N", 3, 16, 48, 48]]
    assert [(o.name, o.shape) for o in session.get_outputs()] == [("prob", ["N", 7])]
    clips = normal_input("batch", (3, 3, 16, 48, 48), 50.0)
    (together,) = session.run(None, {"data": clips})
    alone = np.concatenate([session.run(None, {"data": clip[None]})[0] for clip in clips])
    assert error(together, alone) < 1e-5
