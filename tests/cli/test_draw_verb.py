"""`p3d draw`."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree

import pytest

from p3d import models
from p3d.cli import main

NET = """name: "two phases"
layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 2 dim: 3 dim: 7 } } }
layer { name: "learns" type: "Power" bottom: "data" top: "a" include { phase: TRAIN } }
layer { name: "knows" type: "Power" bottom: "data" top: "a" include { phase: TEST } }
"""


def words(path):
    return " ".join(ElementTree.parse(path).getroot().itertext())


def test_a_known_net(tmp_path, capsys):
    path = tmp_path / "net.svg"
    assert main(["draw", "p3d63-kinetics", "-o", str(path)]) == 0
    assert capsys.readouterr().out == f"wrote {path}\n"
    assert "res2a_branch2b_t" in words(path)
    assert "2048x5x5" not in words(path)


@pytest.mark.parametrize(
    ("arguments", "there", "absent"),
    [
        (["--phase", "TRAIN"], "learns", "knows"),
        (["--phase", "TEST", "--rankdir", "LR"], "knows", "learns"),
    ],
)
def test_a_phase_of_a_file(arguments, there, absent, tmp_path):
    (tmp_path / "net.prototxt").write_text(NET)
    path = tmp_path / "net.svg"
    assert main(["draw", str(tmp_path / "net.prototxt"), *arguments, "-o", str(path)]) == 0
    assert there in words(path)
    assert absent not in words(path)


def test_shapes(tmp_path):
    (tmp_path / "net.prototxt").write_text(NET)
    path = tmp_path / "net.svg"
    arguments = ["--phase", "TEST", "--shapes", "-o", str(path)]
    assert main(["draw", str(tmp_path / "net.prototxt"), *arguments]) == 0
    assert "3x7" in words(path)


@pytest.mark.parametrize(
    ("net", "out", "message"),
    [
        ("missing.prototxt", "x.svg", "missing.prototxt"),
        ("p3d63-kinetic", "x.svg", "no net of that name; did you mean 'p3d63-kinetics'?"),
        (models.names()[0], "missing/x.svg", "cannot write missing/x.svg"),
    ],
)
def test_what_cannot_be(net, out, message, capsys):
    assert main(["draw", net, "-o", out]) == 1
    assert message in capsys.readouterr().err
