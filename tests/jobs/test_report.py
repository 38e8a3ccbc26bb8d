"""What people and programs are told."""

from __future__ import annotations

import io
import json

import pytest

from p3d.jobs import report
from p3d.video.inputs import Item

ITEM = Item("a.mp4", "a")


@pytest.fixture
def bar(monkeypatch):
    """Bars are drawn as on a terminal, into this text."""
    text = io.StringIO()
    real = report.tqdm
    monkeypatch.setattr(
        report,
        "tqdm",
        type(
            "Drawn",
            (real,),
            {
                "__init__": lambda self, **more: real.__init__(
                    self, **{**more, "disable": False, "file": text, "mininterval": 0, "ncols": 80}
                )
            },
        ),
    )
    return text


def counts(told: report.Report) -> tuple[int, int | None]:
    return told._bar.n, told._bar.total


def test_the_bar_counts_clips_where_their_number_is_known(bar):
    told = report.Report("extract", 4, 20)
    told.clips(30)
    assert counts(told) == (30, 80)
    told.skipped(ITEM)
    told.failed(ITEM, "a.mp4: broken")
    assert counts(told) == (30, 40)
    told.clips(10)
    told.done(ITEM, {})
    assert counts(told) == (40, 40)
    told.close()
    assert "40/40" in bar.getvalue()


def test_the_bar_counts_videos_else(bar):
    told = report.Report("extract", 3)
    told.clips(300)
    assert "0/3" in (last := bar.getvalue().rpartition("\r")[2])
    assert "300 clips" in last
    told.done(ITEM, {"top": [["one", 0.5]]})
    told.skipped(ITEM)
    assert counts(told) == (1, 2)
    told.close()


def test_nobody_knows_how_many_there_are(bar):
    told = report.Report("extract", None, 20)
    told.skipped(ITEM)
    told.clips(7)
    assert counts(told) == (7, None)
    told.close()


def test_programs_get_lines(capsys):
    told = report.JsonReport("extract", 2, 20)
    told.clips(4)
    told.done(ITEM, {"blobs": {"pool5": [20, 6]}, "top": [("one", 0.5)], "starts": [1]})
    told.failed(Item("ü\udcff.mp4", "ü"), "broken")
    told.skipped(ITEM)
    told.summary("text", {"done": 1})
    events = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [event["event"] for event in events] == [
        "start",
        "clips",
        "done",
        "failed",
        "skipped",
        "summary",
    ]
    assert events[2]["top"] == [["one", 0.5]]
    assert "starts" not in events[2]
