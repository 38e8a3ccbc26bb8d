"""`p3d extract` as a job: what is told, retried, shared out and checked, with a net by hand."""

from __future__ import annotations

import io
import json
import os
from pathlib import Path

import numpy as np
import pytest
from cli.test_extract import extract, fake_net, video

__all__ = ["fake_net"]


def listed() -> list[str]:
    return sorted(str(p.relative_to("features")) for p in Path("features").rglob("*.np?"))


def test_a_dry_run_says_what_would_be_done_and_does_nothing(capsys):
    for name in ("v/a.mp4", "v/b.mp4", "v/sub/c.mp4"):
        video(name)
    assert extract("v/a.mp4", "--root", "v") == 0
    before = {path: path.stat().st_mtime_ns for path in Path("features").rglob("*")}
    capsys.readouterr()
    assert extract("v", "gone.mp4", "--dry-run") == 1
    assert capsys.readouterr().out.splitlines() == [
        "done    v/a.mp4 -> a",
        "todo    v/b.mp4 -> b",
        "todo    v/sub/c.mp4 -> sub/c",
        "missing gone.mp4 -> gone",
        "2 todo, 1 done, 0 taken, 1 missing",
    ]
    assert {path: path.stat().st_mtime_ns for path in Path("features").rglob("*")} == before
    assert extract("v", "--dry-run") == 0
    capsys.readouterr()
    assert extract("v/a.mp4", "v/b.mp4", "--root", "v", "--dry-run", "--json") == 0
    assert [json.loads(line) for line in capsys.readouterr().out.splitlines()] == [
        {"event": "done", "video": "v/a.mp4", "name": "a"},
        {"event": "todo", "video": "v/b.mp4", "name": "b"},
        {"event": "summary", "todo": 1, "done": 1, "taken": 0, "missing": 0},
    ]


def test_an_empty_list_on_standard_input_is_an_error(capsys, monkeypatch):
    monkeypatch.setattr("sys.stdin", io.StringIO(""))
    assert extract("-") == 1
    assert "there are no videos in what was named" in capsys.readouterr().err


def test_another_frame_rate_is_no_damage(capsys):
    """The file's frame rate has to be known before its first frame is decoded."""
    video("a.mp4", frames=50)
    assert extract("a.mp4", "--fps", "10", "--clips", "3", "--json") == 0
    out, err = capsys.readouterr()
    assert err == ""
    assert sum(event.get("clips", 0) for event in map(json.loads, out.splitlines()[:-1])) == 3
    meta = json.loads(Path("features/a.json").read_text())
    assert (meta["frames"], meta["frames_of_file"], meta["fps"]) == (20, 50, 25.0)
    assert max(meta["starts"]) < meta["frames_of_file"]


@pytest.mark.parametrize("address", ["local:0", "local:x"])
def test_a_cluster_of_no_processes(address, capsys):
    video("a.mp4")
    assert extract("a.mp4", "--dask", address) == 1
    assert f"--dask {address}: local:N has N processes, 1 or more" in capsys.readouterr().err


def test_check_videos_decodes_only(capsys):
    video("a.mp4")
    video("b.mp4")
    Path("b.mp4").write_bytes(Path("b.mp4").read_bytes()[:400])
    assert extract("a.mp4", "b.mp4", "--check-videos") == 1
    out, err = capsys.readouterr()
    assert out == "1 can be decoded, 1 cannot\n"
    assert "b.mp4" in err
    assert not Path("features").exists()
    assert extract("a.mp4", "--check-videos") == 0


def test_retry_failed_does_only_these(capsys):
    video("a.mp4")
    Path("b.mp4").write_bytes(b"no video")
    assert extract("a.mp4", "b.mp4", "c.mp4") == 1
    assert extract("--retry-failed") == 1
    video("b.mp4", 30)
    capsys.readouterr()
    assert extract("--retry-failed") == 1
    out, err = capsys.readouterr()
    assert "1 video, 20 clips" in out
    assert "c.mp4: there is no such file" in err
    assert listed() == ["a.npy", "b.npy"]
    video("c.mp4")
    assert extract("--retry-failed") == 0
    assert not Path("features/failed.jsonl").exists()
    assert extract("--retry-failed") == 0


def test_json_lines(capsys):
    video("a.mp4")
    Path("b.mp4").write_bytes(b"no video")
    assert extract("a.mp4", "b.mp4", "--json", "--blobs", "prob", "--top", "2") == 1
    events = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert events[0] == {"event": "start", "verb": "extract", "videos": 2}
    (done,) = [event for event in events if event["event"] == "done"]
    assert (done["video"], done["blobs"], len(done["top"])) == ("a.mp4", {"prob": [20, 6]}, 2)
    (failed,) = [event for event in events if event["event"] == "failed"]
    assert failed["name"] == "b"
    assert sum(event["clips"] for event in events if event["event"] == "clips") == 20
    last = events[-1]
    assert (last["event"], last["done"], last["failed"], last["clips"]) == ("summary", 1, 1, 20)
    assert set(last["stages"]) == {"net", "waiting for frames", "waiting for the disk"}


def test_shards_are_the_whole(capsys):
    for index in range(9):
        video(f"v/{index}.mp4", index)
    Path("v/broken.mp4").write_bytes(b"1")
    for part in (1, 2, 3):
        extract("v", "--shard", f"{part}/3")
    assert listed() == [f"{index}.npy" for index in range(9)]
    (failed,) = Path("features").glob("failed*.jsonl")
    assert "-of-3" in failed.name
    capsys.readouterr()
    assert extract("--retry-failed") == 1
    assert "broken.mp4" in capsys.readouterr().err


def test_pooled_half_and_of_length_one():
    video("a.mp4")
    assert extract("a.mp4", "--pool", "avg", "--l2", "--float16") == 0
    array = np.load("features/a.npy")
    assert (array.shape, array.dtype) == ((6,), np.float16)
    assert np.linalg.norm(array.astype(float)) == pytest.approx(1, abs=1e-3)


@pytest.mark.parametrize("crops", ["five", "ten", "full"])
def test_crops(crops):
    video("a.mp4")
    video("b/wide.mp4")
    assert extract("a.mp4", "b/wide.mp4", "--crops", crops, "--clips", "3") == 0
    shape = {"five": (3, 5, 6), "ten": (3, 10, 6), "full": (3, 6)}[crops]
    assert np.load("features/a.npy").shape == shape


def test_a_list_on_standard_input(monkeypatch):
    video("a.mp4")
    video("b.mp4", 30)
    monkeypatch.setattr("sys.stdin", iter(["a.mp4\tone\n", "b.mp4\tsub/two\n"]))
    assert extract("-") == 0
    assert listed() == ["one.npy", "sub/two.npy"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "name videos, or --retry-failed"),
        (["a.mp4", "--retry-failed"], "name videos, or --retry-failed"),
        (["--retry-failed"], "--retry-failed: there is no folder features: name that of the run"),
        (["a.mp4", "--shard", "0/3"], "--shard 0/3"),
        (["a.mp4", "--stride", "8", "--clips", "2"], "not by both"),
        (["a.mp4", "--labels", "two.txt"], "there are 2 class names for 6 outputs"),
        (["*.avi"], "*.avi: matches nothing"),
        (["a.mp4", "--dask", "nonsense"], "--dask nonsense"),
    ],
)
def test_wrong_arguments_are_told_before_anything_is_done(arguments, message, capsys, monkeypatch):
    from p3d import extractor
    from p3d.labels import load
    from p3d.loading import Loaded

    real = extractor.load_net
    monkeypatch.setattr(
        extractor,
        "load_net",
        lambda *a, labels=None, **b: (
            Loaded(real().net, load(labels), {"net": "FAKE"}) if labels else real()
        ),
    )
    video("a.mp4")
    Path("two.txt").write_text("one\ntwo\n")
    assert extract(*arguments) == 1
    err = capsys.readouterr().err
    assert message in err
    assert err.count("\n") == 1
    assert not os.path.exists("features")
