"""`p3d time --data`: what it measures and counts. Nothing here looks at how long anything took."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from video_layers import frame_folder, write_list

from p3d import cli

PARAM = "batch_size: 2 new_length: 4 num_clips: 2 new_height: 24 new_width: 32 workers: 0"
LAYER = """
layer {{ name: "{name}" {layer} top: "data" top: "label" include {{ phase: {phase} }} }}"""


@pytest.fixture
def prototxt(tmp_path: Path) -> Path:
    """A VideoData layer for each phase, one of them as a Python layer, and what a net needs not."""
    lines = [f"{frame_folder(tmp_path / str(i), i, 6)} {i}" for i in range(3)]
    param = f"{PARAM} source: '{write_list(tmp_path, lines)}'"
    plain = f'type: "VideoData" video_data_param {{ {param} crop_size: 20 }}'
    python = (
        'type: "Python" python_param { module: "p3d.video_data" layer: "VideoData" '
        f'param_str: "{param}" }}'
    )
    path = tmp_path / "net.prototxt"
    path.write_text(
        LAYER.format(name="a", layer=plain, phase="TRAIN")
        + LAYER.format(name="b", layer=python, phase="TEST")
        + 'layer { name: "c" type: "ReLU" bottom: "elsewhere" top: "c" }'
    )
    return path


@pytest.mark.parametrize("workers", [0, 1])
def test_every_layer_of_both_phases(prototxt: Path, capsys, workers: int) -> None:
    arguments = ["--iterations", "3", "--workers", str(workers)]
    assert cli.main(["time", "--data", str(prototxt), *arguments, "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert [(row["layer"], row["phase"], row["shape"]) for row in rows] == [
        ("a", "TRAIN", [2, 3, 4, 20, 20]),
        ("b", "TEST", [2, 3, 4, 24, 32]),
    ]
    for row in rows:
        assert (row["videos"], row["workers"], row["clips"]) == (3, workers, 6)
        assert row["frames_per_second"] == pytest.approx(4 * row["clips_per_second"])
        assert row["clips_per_second"] == pytest.approx(6 / row["seconds"])
        assert min(row["ms"].values()) > 0


def test_for_people(prototxt: Path, capsys) -> None:
    assert cli.main(["time", "-data", str(prototxt), "-iterations", "2"]) == 0
    text = capsys.readouterr().out
    assert "a, phase TRAIN: 3 videos, clips 2x3x4x20x20, 0 workers" in text
    for word in ("clips/s", "frames/s", "decode", "resize, crop, flip", "in the net's own process"):
        assert word in text


def test_a_net_without_such_a_layer(tmp_path: Path, capsys) -> None:
    path = tmp_path / "net.prototxt"
    path.write_text('layer { name: "i" type: "Input" top: "x" input_param { shape { dim: 1 } } }')
    assert cli.main(["time", "--data", str(path)]) == 1
    assert "no VideoData layer" in capsys.readouterr().err
