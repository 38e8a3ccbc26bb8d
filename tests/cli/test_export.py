"""`p3d export`, checked by ONNX Runtime."""

from __future__ import annotations

import numpy as np
import pytest
from recipe import GOLDEN, fill_params, golden

from p3d import models
from p3d.caffe.prototxt import parse_net
from p3d.caffe.weight_writer import save
from p3d.cli import main
from p3d.export.check import TOLERANCE, worst_difference
from p3d.export.sources import read_weights

ort = pytest.importorskip("onnxruntime")
pytest.importorskip("onnx")

TINY = GOLDEN / "tiny/tiny_seeded.caffemodel"


class Stored:
    def __init__(self, data):
        self.data, self.shape = data, data.shape


@pytest.fixture
def tiny_net(tmp_path):
    path = tmp_path / "tiny.prototxt"
    path.write_text(str(golden("tiny/tiny_test")["prototxt"]))
    return path


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """Fine-tuned P3D-63 with seven classes."""
    path = tmp_path_factory.mktemp("weights") / "finetuned.caffemodel"
    options = {"classes": 7, "head": "fc_own"}
    blobs = {
        layer: [Stored(fill_params(layer, i, shape)) for i, shape in enumerate(shapes)]
        for layer, shapes in models.blobs("p3d63-kinetics", **options).items()
    }
    save(parse_net(models.prototxt("p3d63-kinetics", **options)), blobs, path)
    yield path
    path.unlink()


def shapes(path):
    session = ort.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    return [(i.name, i.shape) for i in session.get_inputs() + session.get_outputs()]


def test_a_caffemodel_with_its_prototxt(tiny_net, tmp_path, capsys):
    out = tmp_path / "tiny.onnx"
    assert main(["export", "--onnx", str(TINY), "--net", str(tiny_net), "-o", str(out)]) == 0
    assert capsys.readouterr().out == f"{out}: {tiny_net}\n"
    facts = golden("tiny/tiny_test")
    mean = np.array([104, 117, 123], np.float32).reshape(1, 3, 1, 1, 1)
    session = ort.InferenceSession(str(out), providers=["CPUExecutionProvider"])
    (prob,) = session.run(["prob"], {"data": facts["data_u8"].astype(np.float32) - mean})
    assert np.abs(prob - facts["blob/prob"]).max() < 1e-5


def test_the_net_and_its_classes_are_told_from_the_weights(weights, tmp_path, capsys):
    out = tmp_path / "net.onnx"
    arguments = [str(weights), "--crop", "32", "--length", "8", "-o", str(out), "--check"]
    assert main(["export", *arguments]) == 0
    printed = capsys.readouterr().out
    assert printed.startswith(f"{out}: p3d63-kinetics (7 classes in 'fc_own')\nlargest diff")
    assert shapes(out) == [("data", ["N", 3, 8, 32, 32]), ("prob", ["N", 7])]


@pytest.mark.parametrize("blobs", [["pool5", "res4f"], ["pool5,res4f"]])
def test_a_known_net_can_be_named_with_its_features_as_outputs(blobs, weights, tmp_path):
    out = tmp_path / "net.onnx"
    arguments = ["--net", "p3d63-kinetics", "--blobs", *blobs, "--batch", "2"]
    assert main(["export", str(weights), *arguments, "--crop", "32", "-o", str(out)]) == 0
    assert shapes(out) == [
        ("data", [2, 3, 16, 32, 32]),
        ("pool5", [2, 2048, 1, 1]),
        ("res4f", [2, 1024, 2, 2, 2]),
    ]


def test_a_net_alone_gets_random_weights(tmp_path, tiny_net, capsys):
    out = tmp_path / "net.onnx"
    assert main(["export", str(tiny_net), "-o", str(out), "--check"]) == 0
    assert "with RANDOM WEIGHTS" in capsys.readouterr().out


def test_a_difference_is_found(tmp_path, tiny_net):
    """The check itself: other weights in the engine than in the file."""
    out = tmp_path / "net.onnx"
    assert main(["export", str(TINY), "--net", str(tiny_net), "-o", str(out)]) == 0
    weights = read_weights(str(TINY))
    assert worst_difference(tiny_net.read_text(), weights, out) < TOLERANCE
    weights["fc_tiny"][1] += 0.1 * np.arange(5, dtype=np.float32)
    assert worst_difference(tiny_net.read_text(), weights, out) > TOLERANCE


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([str(TINY)], "fit no net that is known here"),
        ([str(TINY), "--net", "missing.prototxt"], "missing.prototxt: there is no such prototxt"),
        ([str(TINY), "--net", "p3d63-kinetics"], "'conv1': blob 0 has shape"),
        ([str(TINY), "--net", "TINY", "--crop", "9"], "states its own input"),
        (["p3d63-kinetics", "--net", "x.prototxt"], "are both nets"),
        (["missing.caffemodel"], "missing.caffemodel"),
        (["p3d63-kinetic"], "no net of that name; did you mean 'p3d63-kinetics'?"),
        ([str(TINY), "--net", "TINY", "--blobs", "pool9"], "no blob 'pool9'"),
    ],
)
def test_what_cannot_be(arguments, message, tmp_path, tiny_net, capsys):
    arguments = [str(tiny_net) if a == "TINY" else a for a in arguments]
    out = tmp_path / "net.onnx"
    assert main(["export", *arguments, "-o", str(out)]) == 1
    assert message in capsys.readouterr().err
    assert not out.exists()
