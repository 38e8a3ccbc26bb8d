"""The deploy nets in a real Caffe with our layers, against the embedded engine."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from real_caffe import ROOT

SCRIPT = Path(__file__).parent / "compare_net.py"
NETS = {
    "p3d199-kinetics": "p3d199/kinetics",
    "p3d199-kinetics-flow": "p3d199/kinetics_flow",
    "p3d199-sports1m": "p3d199/sports1m",
}
LAYER, WHOLE = 1e-5, 1e-4


@pytest.mark.parametrize("name", NETS)
def test_every_layer_and_the_whole(name: str, plugged) -> None:
    command = [SCRIPT, ROOT / "prototxt" / f"{name}.prototxt", NETS[name]]
    found = json.loads(plugged.run(*command).splitlines()[-1])
    assert len(found["layers"]) > 690
    assert found["whole"]
    for kind, tolerance in (("layers", LAYER), ("whole", WHOLE)):
        wrong = {layer: off for layer, off in found[kind].items() if not off <= tolerance}
        assert not wrong, f"{name}, {kind}: {wrong}\n{plugged.again(*command)}"


@pytest.mark.parametrize("plugged", ["debian"], indirect=True)
def test_the_tool_that_times_both_ways(plugged) -> None:
    tiny = ROOT / "tests" / "golden" / "tiny" / "tiny.prototxt"
    options = ["--net", tiny, "--iterations", "1", "--rounds", "1", "--threads", "1"]
    lines = plugged.run(ROOT / "tools" / "time_plugged.py", *options).splitlines()
    if lines[0].startswith("both ways give the same bits"):
        del lines[0]
    assert "largest difference" in lines[0]
    assert [line.split("  ")[0] for line in lines[1:]] == [
        "with our layers",
        "Caffe's own convolutions",
    ]
