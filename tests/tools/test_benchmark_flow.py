"""tools/benchmark_flow.py: flows that differ are not timed."""

from __future__ import annotations

import benchmark_flow
import numpy as np
from benchmark_flow import OPENCVS, OURS, compare
from video.drawn import write_video


def test_a_line_for_each(tmp_path, capsys):
    path = write_video(tmp_path / "a.mp4", 4, 48, 64)
    assert benchmark_flow.main([str(path), "--pairs", "2"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[1] == "2 pairs of frames of 48x64, 1 thread"
    assert [line[:20].strip() for line in lines[2:]] == list(benchmark_flow.methods())
    assert lines[2].endswith("ms a pair    1.0 x our time")


def test_flows_that_differ(tmp_path, capsys, monkeypatch):
    flow = np.zeros((30, 40, 2))
    edge = flow.copy()
    edge[0, :20] = 9
    assert compare({OURS: flow, OPENCVS: edge}) == ""
    assert "differs by 0.500" in compare({OURS: flow, OPENCVS: flow + 0.5})
    zero = {OURS: lambda *_: flow, OPENCVS: lambda *_: flow + 0.5}
    monkeypatch.setattr(benchmark_flow, "methods", lambda: zero)
    path = write_video(tmp_path / "a.mp4", 3, 48, 64)
    assert benchmark_flow.main([str(path)]) == 1
    assert "x our time" not in capsys.readouterr().out
