"""Real Caffe's own script reads the log of `p3d train`."""

from __future__ import annotations

import csv
import re
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import Plugged

from p3d.cli import main
from p3d.training import record

NET = """
layer { name: "rows" type: "DummyData" top: "x" top: "label" dummy_data_param {
  shape { dim: 4 dim: 5 } data_filler { type: "gaussian" }
  shape { dim: 4 } data_filler { type: "constant" value: 1 } } }
layer { name: "fc" type: "InnerProduct" bottom: "x" top: "fc"
  inner_product_param { num_output: 3 weight_filler { type: "xavier" } } }
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "fc" bottom: "label" top: "loss" }
layer { name: "accuracy" type: "Accuracy" bottom: "fc" bottom: "label" top: "accuracy"
  include { phase: TEST } }
"""
SOLVER = """
net: "{folder}/net.prototxt" base_lr: 0.05 lr_policy: "step" gamma: 0.5 stepsize: 4 max_iter: 9
display: 2 test_iter: 2 test_interval: 3 random_seed: 3 snapshot_prefix: "{folder}/rows"
"""


def test_parse_log(plugged: Plugged, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "net.prototxt").write_text(NET)
    solver = tmp_path / "solver.prototxt"
    solver.write_text(SOLVER.format(folder=tmp_path))
    assert main(["train", "--solver", str(solver)]) == 0
    (tmp_path / "log").write_text(capfd.readouterr().err)
    for script in ("parse_log.py", "extract_seconds.py"):
        text = (plugged.tree.source / "tools" / "extra" / script).read_text()
        # Written for Python 2; nothing else in it is.
        (tmp_path / script).write_text(re.sub(r"(?m)^(\s*)print (.+)$", r"\1print(\2)", text))
    subprocess.run(
        [sys.executable, tmp_path / "parse_log.py", tmp_path / "log", tmp_path], check=True
    )
    events = list(record.read(str(tmp_path / "train.jsonl")))
    for kind in ("train", "test"):
        with open(tmp_path / f"log.{kind}") as file:
            rows = list(csv.DictReader(file))
        expected = [event for event in events if event["event"] == kind]
        assert [float(row["NumIters"]) for row in rows] == [event["iter"] for event in expected]
        for row, event in zip(rows, expected, strict=True):
            for name, values in event["outputs"].items():
                assert float(row[name]) == pytest.approx(values[0], rel=1e-4), f"{kind}: {name}"
