"""p3d info: what it says about weights and nets, as text and as JSON."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import h5py
import numpy as np
import pytest
import wire

from p3d import cli, models
from p3d.caffe import prototxt, weight_summary, weights
from p3d.caffe.trained_on import trained_on

GOLDEN = Path(__file__).parents[1] / "golden"
TINY = GOLDEN / "tiny/tiny_seeded.caffemodel"


@pytest.fixture
def info(capsys):
    """Runs p3d info; the text, or the data with --json."""

    def run(path: Path, *flags: str):
        assert cli.main(["info", str(path), *flags]) == 0
        text = capsys.readouterr().out
        return json.loads(text, parse_constant=pytest.fail) if "--json" in flags else text

    return run


def save(path: Path, *layers: bytes, name: str = "n") -> Path:
    path.write_bytes(wire.net(*layers, name=name))
    return path


def test_clips_of_the_training(info, tmp_path):
    """As a snapshot of Caffe's or ours has its data layer; what it cannot be read from is none."""
    fit = prototxt.read_net(
        Path(__file__).parents[2] / "prototxt/train/p3d63-ucf101/train_val.prototxt"
    )
    weights.save(fit, {}, tmp_path / "w.caffemodel")
    assert info(tmp_path / "w.caffemodel", "--json")["trained_on"] == {"crop": 160, "length": 16}
    assert "clips   crop 160, length 16 in training" in info(tmp_path / "w.caffemodel")
    data = (tmp_path / "w.caffemodel").read_bytes()
    (tmp_path / "cut").write_bytes(data[:40])
    (tmp_path / "other").write_bytes(b"\xa2\x06\x03abc" + bytes(range(256)))
    (tmp_path / "endless").write_bytes(b"\x0a" + b"\xff" * 8 + b"\x7f")
    for name in ("cut", "other", "endless"):
        assert trained_on(tmp_path / name) is None
    assert info(TINY, "--json")["trained_on"] is None


@pytest.mark.parametrize("path", [TINY, Path(f"{TINY}.h5")], ids=["caffemodel", "h5"])
def test_weights(info, path):
    with np.load(GOLDEN / "tiny/tiny_test.npz") as arrays:
        params = {k[6:]: arrays[k] for k in arrays if k.startswith("param/")}
    data = info(path, "--json")
    assert data["bytes"] == path.stat().st_size
    assert data["md5"] == hashlib.md5(path.read_bytes()).hexdigest()
    assert data["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
    assert data["published"] is None
    assert data["fits"] is None
    assert data["differences"]
    assert data["problems"] == []
    found = {
        f"{layer['name']}/{blob['index']}": blob
        for layer in data["layers"]
        for blob in layer["blobs"]
    }
    assert sorted(found) == sorted(params)
    for key, blob in found.items():
        values = params[key]
        assert blob["shape"] == list(values.shape)
        assert blob["sum"] == pytest.approx(values.sum(dtype="f8"), rel=1e-12)
        assert (blob["min"], blob["max"]) == (values.min(), values.max())
    assert data["values"] == sum(v.size for v in params.values())
    text = info(path)
    assert f"md5     {data['md5']}" in text
    assert "no known net" in text
    line = next(line for line in text.splitlines() if line.startswith("conv1 "))
    assert line.split()[-6:-3] == ["0", "8x3x1x7x7", "1,176"]


def test_a_known_net(info, tmp_path):
    path = tmp_path / "w.h5"
    shapes = models.blobs("p3d63-kinetics-flow", classes=101, head="fc_ucf")
    with h5py.File(path, "w") as file:  # no values, so that the file is small
        for name, blobs in shapes.items():
            for j, shape in enumerate(blobs):
                file.create_dataset(f"data/{name}/{j}", shape, "f4")
    fits = info(path, "--json")["fits"]
    assert fits["model"] == "p3d63-kinetics-flow"
    assert (fits["classes"], fits["head"], fits["modality"]) == (101, "fc_ucf", "flow")
    assert "fits    p3d63-kinetics-flow (101 classes in 'fc_ucf'): P3D-63," in info(path)


def test_the_published_file_is_known_by_its_md5(info, tmp_path, monkeypatch):
    assert weight_summary.PUBLISHED_MD5 == {
        "9f28383e1d1f09df8f7a78831c3fc202": "p3d_resnet_sports1m_iter_150000.caffemodel"
    }
    path = save(tmp_path / "p3d_resnet_sports1m_iter_150000.caffemodel", wire.layer("a", "b"))
    assert "but the published file has the md5 9f28383e1d1f09df8f7a78831c3fc202" in info(path)
    md5 = hashlib.md5(path.read_bytes()).hexdigest()
    monkeypatch.setitem(weight_summary.PUBLISHED_MD5, md5, "some.caffemodel")
    assert "this is some.caffemodel as it was published" in info(path)


def test_values_that_are_no_numbers_and_values_that_are_missing(info, tmp_path):
    odd = wire.blob(np.array([np.nan, 2, -np.inf, 3], "f4"))
    all_odd = wire.blob(np.array([np.inf], "f4"))
    short = wire.shape([3]) + wire.floats([1])
    path = save(tmp_path / "w", wire.layer("x", "BN", odd, all_odd, short))
    data = info(path, "--json")
    first, second, third = data["layers"][0]["blobs"]
    assert (first["sum"], first["min"], first["max"]) == (5, 2, 3)
    assert (second["sum"], second["min"], second["max"]) == (0, None, None)
    assert third == {"index": 2, "shape": [3], "count": 0}
    assert data["problems"][0] == "layer 'x', blob 0: 2 of 4 values are NaN or infinite"
    assert "asks for 3 numbers, the file stores 1" in data["problems"][2]
    text = info(path)
    assert text.count("problem: ") == 3
    assert "all finite" not in text


def test_names_cannot_steer_the_terminal(info, tmp_path):
    layer = wire.layer("\x1b[31m" + "x" * 5000, "a\tb\nc", wire.blob(np.ones(1, "f4")))
    text = info(save(tmp_path / "w", layer, name="\x1b]0;title\x07"))
    assert "\x1b" not in text
    assert "\x07" not in text
    assert max(map(len, text.splitlines()[7:])) < 200


def test_prototxt(info, tmp_path):
    path = tmp_path / "tiny"
    with np.load(GOLDEN / "tiny/tiny_test.npz") as arrays:
        path.write_text(str(arrays["prototxt"]))
    data = info(path, "--json")
    layers = {layer["name"]: layer for layer in data["layers"]}
    assert data["problem"] is None
    assert data["inputs"] == {"data": [1, 3, 8, 32, 32]}
    assert data["outputs"] == {"prob": [1, 5]}
    assert layers["conv1"]["shapes"] == [[1, 8, 8, 16, 16]]
    assert layers["conv1"]["params"] == 8 * 3 * 49
    assert layers["conv1"]["macs"] == 8 * 3 * 49 * 8 * 16 * 16
    assert layers["fc_tiny"]["macs"] == 5 * 32
    assert data["params"] == 6077
    text = info(path)
    assert "input   data 1x3x8x32x32" in text
    assert "values  6,077" in text


def test_shared_parameters_count_once(info, tmp_path):
    path = tmp_path / "n.prototxt"
    layer = """
        layer {{ name: "{0}" type: "InnerProduct" bottom: "{1}" top: "{0}"
                 param {{ name: "w" }} param {{ name: "b" }}
                 inner_product_param {{ num_output: 4 }} }}"""
    data = 'layer { name: "a" type: "Input" top: "a" input_param { shape { dim: 2 dim: 4 } } }'
    path.write_text(data + layer.format("b", "a") + layer.format("c", "b"))
    assert info(path, "--json")["params"] == 4 * 4 + 4


def test_a_known_net_by_its_name(info, tmp_path):
    path = tmp_path / "n.prototxt"
    path.write_text(models.prototxt("p3d63-kinetics"))
    of_file, of_name = info(path, "--json"), info("p3d63-kinetics", "--json")
    assert {**of_name, "file": str(path)} == of_file
    assert info("p3d63-kinetics").startswith(f"{of_name['file']}: prototxt, net ")


def test_a_net_that_cannot_be_built_is_listed(info, tmp_path):
    path = tmp_path / "n.prototxt"
    path.write_text('name: "n" layer { name: "a" type: "Mystery" top: "b" }')
    data = info(path, "--json")
    assert "Mystery" in data["problem"]
    assert data["layers"][0]["tops"] == ["b"]
    assert "shapes unknown: " in info(path)


def test_a_misspelt_net(capsys):
    assert cli.main(["info", "p3d36-kinetics"]) == 1
    assert "did you mean 'p3d63-kinetics'?" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "no such file, and no net of that name"),
        (b"", "is empty"),
        (b"<html>login</html>", "is a web page"),
        (b"dear reader", "is text that begins"),
        (b"layer { nam: 1 }", "nam"),
        (b"\x0a\x01n\xa2\x06\x05", "cut short"),
        (b"\x89HDF\r\n\x1a\nxxxx", "damaged"),
    ],
)
def test_wrong_files(capsys, tmp_path, content, message):
    path = tmp_path / "w"
    if content is not None:
        path.write_bytes(content)
    assert cli.main(["info", str(path)]) == 1
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("p3d info: ")
    assert message in captured.err
    assert str(path) in captured.err
    assert captured.err.count("\n") == 1
