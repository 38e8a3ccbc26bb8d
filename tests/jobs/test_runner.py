"""From named videos to files, and what a second run does, with a net worked out by hand."""

from __future__ import annotations

import errno
import json
import os
import re
import shutil
import stat
from pathlib import Path

import numpy as np
import pytest
from fake_net import FakeNet
from video.drawn import write_video

import p3d
from p3d.error import DiskFull
from p3d.extractor import Extractor
from p3d.jobs import done, failures
from p3d.jobs.output import Output
from p3d.jobs.report import Report
from p3d.jobs.runner import Runner
from p3d.video import inputs

SMALL = {"crop": 32, "size": 34, "decoders": 0, "blobs": ("pool5", "prob")}


class Heard(Report):
    """What a run says."""

    def __init__(self) -> None:
        self.lines: list[tuple[str, str]] = []

    def clips(self, count):
        pass

    def done(self, item, meta):
        self.lines.append(("done", item.name))

    def skipped(self, item):
        self.lines.append(("skipped", item.name))

    def failed(self, item, error):
        self.lines.append(("failed", f"{item.name}: {error}"))


def run(named, out="out", overwrite=False, output=None, root=None, **options):
    """The lines of one run, and its summary."""
    extractor = Extractor(net=FakeNet(), **{**SMALL, **options})
    heard = Heard()
    failed = failures.Failures(failures.path_of(out))
    output = output or Output(kind="npz")
    runner = Runner(extractor, output, out, failed, heard, overwrite)
    summary = runner.run(inputs.items(named, root))
    counts = {"done": summary.done, "skipped": summary.skipped, "failed": summary.failed}
    assert counts == {k: sum(line[0] == k for line in heard.lines) for k in counts}
    return heard.lines


@pytest.fixture(autouse=True)
def videos(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for index, name in enumerate(("v/ä b.mp4", "v/c/x.mp4", "v/d/x.mp4")):
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        write_video(Path(name), 18 + index)


ALL = ["ä b", "c/x", "d/x"]


def test_a_second_run_does_nothing():
    assert sorted(run(["v"])) == [("done", name) for name in sorted(ALL)]
    first = {path: path.stat().st_mtime_ns for path in Path("out").rglob("*")}
    assert sorted(run(["v"])) == [("skipped", name) for name in sorted(ALL)]
    assert {path: path.stat().st_mtime_ns for path in Path("out").rglob("*")} == first


def cut(path):
    path.write_bytes(path.read_bytes()[:-1])


def flip(path):
    data = bytearray(path.read_bytes())
    data[-10] ^= 1
    path.write_bytes(data)


@pytest.mark.parametrize(
    "disturb",
    [
        lambda: cut(Path("out/c/x.npz")),
        lambda: flip(Path("out/c/x.npz")),
        lambda: Path("out/c/x.npz").unlink(),
        lambda: Path("out/c/x.npz").write_bytes(b""),
        lambda: shutil.copy("out/d/x.npz", "out/c/x.npz"),
        lambda: write_video(Path("v/c/x.mp4"), 25),  # another video of the same name
        lambda: os.utime("v/c/x.mp4", (1, 1)),
    ],
)
def test_what_is_damaged_or_of_another_video_is_made_again(disturb):
    run(["v"])
    before = Path("out/ä b.npz").stat().st_mtime_ns
    disturb()
    lines = run(["v"])
    assert sorted(lines) == [("done", "c/x"), ("skipped", "d/x"), ("skipped", "ä b")]
    assert Path("out/ä b.npz").stat().st_mtime_ns == before
    assert {line[0] for line in run(["v"])} == {"skipped"}


@pytest.mark.parametrize(
    "change",
    [
        {"recipe": "squash"},
        {"stride": 2},
        {"clips": 3},
        {"short": "repeat-last"},
        {"crops": "five"},
        {"blobs": ("prob", "pool5")},
        {"size": 40},
        {"output": Output(kind="npz", half=True)},
        {"output": Output(kind="npz", l2=True)},
        {"output": Output(kind="npz", pool="avg")},
    ],
)
def test_another_recipe_makes_everything_again(change):
    run(["v"])
    assert sorted(run(["v"], **change)) == [("done", name) for name in sorted(ALL)]
    assert {line[0] for line in run(["v"], **change)} == {"skipped"}


def test_other_weights_make_everything_again(monkeypatch):
    run(["v"])
    before = done.made_by
    monkeypatch.setattr(done, "made_by", lambda *a: before(*a)[::-1])
    assert {line[0] for line in run(["v"])} == {"done"}


def test_features_of_unknown_origin_are_not_replaced():
    run(["v"])
    Path("out/c/x.json").write_text("{}")
    lines = run(["v"])
    (failed,) = (text for kind, text in lines if kind == "failed")
    assert failed.startswith("c/x: v/c/x.mp4: its features would overwrite files of unknown origin")
    assert {line[0] for line in run(["v"], overwrite=True)} == {"skipped", "done"}


def test_one_kind_of_file_replaces_the_other():
    run(["v"], blobs=("pool5",), output=Output(kind="npz"))
    run(["v"], blobs=("pool5",), output=Output(kind="npy"))
    assert not list(Path("out").rglob("*.npz"))
    assert len(list(Path("out").rglob("*.npy"))) == 3


def test_failures_are_noted_tried_again_and_forgotten():
    good = Path("v/c/x.mp4").read_bytes()
    Path("v/c/x.mp4").write_bytes(good[:300])
    lines = run(["v", "gone.mp4"])
    assert sorted(line[0] for line in lines) == ["done", "done", "failed", "failed"]
    noted = [json.loads(line) for line in Path("out/failed.jsonl").read_text().splitlines()]
    assert [line["name"] for line in noted] == ["c/x", "gone"]
    assert "decode" in noted[0]["error"]
    assert "no such file" in noted[1]["error"]

    run(["v"])  # the same again, and gone.mp4 not asked for
    noted = [json.loads(line) for line in Path("out/failed.jsonl").read_text().splitlines()]
    assert sorted(line["name"] for line in noted) == ["c/x", "gone"]

    Path("v/c/x.mp4").write_bytes(good)
    assert [item.name for item in failures.items("out")] == ["gone", "c/x"]
    run(["v/c/x.mp4"], root="v")
    noted = [json.loads(line) for line in Path("out/failed.jsonl").read_text().splitlines()]
    assert [line["name"] for line in noted] == ["gone"]
    write_video(Path("gone.mp4"), 18)
    run(["gone.mp4"])
    assert not Path("out/failed.jsonl").exists()


@pytest.mark.parametrize("kind", ["npy", "npz"])
@pytest.mark.parametrize("room", range(5))
def test_a_full_disk_ends_the_run_and_what_is_written_is_whole(kind, room, monkeypatch):
    left = iter(range(room))

    def fsync(handle):
        if stat.S_ISREG(os.fstat(handle).st_mode) and next(left, None) is None:
            raise OSError(errno.ENOSPC, "No space left on device")

    options = {"output": Output(kind=kind), "blobs": ("pool5",)}
    with monkeypatch.context() as full:
        full.setattr(os, "fsync", fsync)
        with pytest.raises(DiskFull) as error:
            run(["v"], **options)
    assert re.match(r"cannot write out/.*\.(json|np[yz]): No space left", str(error.value))
    assert str(error.value).endswith("what is written is whole, and the same again does the rest")
    assert not [p for p in Path("out").rglob("*") if p.suffix in (".tmp", ".jsonl")]
    rest = sorted(run(["v"], **options))
    done = room // 3  # the array, its description, and the array again where it is put in its place
    assert [line[0] for line in rest] == ["done"] * (3 - done) + ["skipped"] * done


def test_temporary_files_of_killed_runs_are_removed_and_those_of_living_ones_are_not():
    from p3d.atomic import NewFile

    Path("out").mkdir()
    Path("out/.x.npz.0123abcd.tmp").write_bytes(b"left")
    living = NewFile("out/y.npy")
    run(["v"])
    assert not Path("out/.x.npz.0123abcd.tmp").exists()
    living.commit()
    assert Path("out/y.npy").exists()


def test_the_same_video_twice_is_extracted_once():
    lines = run(["v/c/x.mp4", "v/c/x.mp4", "v/c/../c/x.mp4"])
    assert sorted(line[0] for line in lines) == ["done", "skipped", "skipped"]


def test_two_videos_of_one_name_from_standard_input(monkeypatch):
    monkeypatch.setattr("sys.stdin", iter(["v/c/x.mp4\tsame\n", "v/d/x.mp4\tsame\n"]))
    lines = run(["-"])
    assert sorted(line[0] for line in lines) == ["done", "failed"]


@pytest.mark.parametrize("pool", ["keep", "avg", "max"])
@pytest.mark.parametrize(("l2", "half"), [(False, False), (True, False), (False, True)])
@pytest.mark.parametrize("crops", ["centre", "ten"])
def test_numbers_and_shapes(pool, l2, half, crops):
    plain = Extractor(net=FakeNet(), crops=crops, **SMALL).extract("v/c/x.mp4")
    run(["v/c/x.mp4"], crops=crops, output=Output(kind="npz", pool=pool, l2=l2, half=half))
    meta = json.loads(Path("out/x.json").read_text())
    views = [10] if crops == "ten" else []
    with np.load("out/x.npz") as stored:
        for blob in ("pool5", "prob"):
            expected = plain[blob]
            assert expected.shape == (20, *views, 6)
            if pool != "keep":
                flat = expected.reshape(-1, 6).astype(np.float64)
                expected = flat.mean(axis=0) if pool == "avg" else flat.max(axis=0)
            if l2:
                expected = expected / np.linalg.norm(expected, axis=-1, keepdims=True)
            assert stored[blob].dtype == (np.float16 if half else np.float32)
            assert meta["blobs"][blob] == list(stored[blob].shape)
            np.testing.assert_allclose(stored[blob], expected, rtol=1e-3 if half else 1e-6)


def test_meta_says_it_all():
    run(["v/c/x.mp4"], labels=None, stride=1)
    meta = json.loads(Path("out/x.json").read_text())
    assert meta["video"] == os.path.abspath("v/c/x.mp4")
    assert meta["starts"] == [0, 1, 2, 3]
    np.testing.assert_allclose(meta["times"], [0, 0.04, 0.08, 0.12])
    assert meta["fps"] == 25
    assert meta["recipe"]["sampling"] == "dense"
    assert meta["output"]["pool"] == "keep"
    assert meta["versions"]["caffe-p3d"] == p3d.__version__
    assert len(meta["top"]) == 5
    assert meta["file"]["bytes"] == os.path.getsize("out/x.npz")


def test_values_that_float16_does_not_hold_are_an_error():
    with pytest.raises(p3d.Error, match="do not fit into float16"):
        Output(half=True).numbers(np.float32([1e6]))
    assert Output(half=True, l2=True).numbers(np.float32([1e6])) == 1
    assert np.array_equal(Output(l2=True).numbers(np.zeros(3, np.float32)), np.zeros(3))
