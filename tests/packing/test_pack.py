"""`p3d pack`: other people's layouts, read as other people read them."""

from __future__ import annotations

import csv
import json
import os
import struct
from pathlib import Path

import numpy as np
import pytest
from jobs.test_runner import run
from video.drawn import write_video

from p3d import cli
from p3d.jobs.output import Output

LABELS = [f"name, {i}" for i in range(6)]


@pytest.fixture(autouse=True)
def results(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for index, name in enumerate(("v/ä b.mp4", "v/c/x.mp4")):
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        write_video(Path(name), 30 + index)
    Path("labels.txt").write_text("\n".join(LABELS))
    run(["v"], labels="labels.txt")


def stored(name) -> dict[str, np.ndarray]:
    with np.load(f"out/{name}.npz") as file:
        return dict(file)


def pack(*arguments) -> int:
    return cli.main(["pack", *arguments])


def test_hdf5():
    h5py = pytest.importorskip("h5py")
    assert pack("out", "-o", "all.h5") == 0
    with h5py.File("all.h5") as file:
        for name in ("ä b", "c/x"):
            for blob, array in stored(name).items():
                np.testing.assert_array_equal(file[name][blob], array)
            assert json.loads(file[name].attrs["meta"])["frames"] in (30, 31)


def test_hdf5_with_a_name_of_ones_own():
    h5py = pytest.importorskip("h5py")
    run(["v"], blobs=("pool5",), output=Output(kind="npy"))
    assert pack("out", "-o", "all.h5", "--dataset", "c3d_features") == 0
    with h5py.File("all.h5") as file:
        np.testing.assert_array_equal(file["c/x"]["c3d_features"], np.load("out/c/x.npy"))


def test_c3d_files():
    run(["v"], stride=8)
    assert pack("out", "-o", "c3d", "--as", "c3d") == 0
    for number, start in enumerate((1, 9)):
        data = Path(f"c3d/c/x/{start:06d}.pool5").read_bytes()
        assert struct.unpack("<5i", data[:20]) == (1, 6, 1, 1, 1)
        np.testing.assert_array_equal(
            np.frombuffer(data[20:], "<f4"), stored("c/x")["pool5"][number]
        )
    assert len(list(Path("c3d/ä b").iterdir())) == 2 * 2


def test_classes_as_csv():
    assert pack("out", "-o", "classes.csv", "--top", "3") == 0
    with open("classes.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 2 * 3
    mean = stored("c/x")["prob"].mean(axis=0)
    best = [row for row in rows if row["video"] == "c/x"]
    assert [row["class"] for row in best] == [LABELS[i] for i in np.argsort(-mean)[:3]]
    assert float(best[0]["score"]) == pytest.approx(mean.max(), abs=1e-6)


@pytest.mark.parametrize("top", [3, 6])  # more than were noted come from the scores
def test_classes_as_json(top):
    assert pack("out", "-o", "classes.json", "--top", str(top), "--labels", "labels.txt") == 0
    found = json.loads(Path("classes.json").read_text())["results"]
    assert set(found) == {"ä b", "c/x"}
    mean = stored("ä b")["prob"].mean(axis=0)
    assert [row["label"] for row in found["ä b"]] == [LABELS[i] for i in np.argsort(-mean)[:top]]


def nameless() -> None:
    """c/x gets a name that is no text."""
    for kind in ("npz", "json"):
        Path(f"out/c/x.{kind}").rename(os.fsdecode(b"out/c/x\xff." + kind.encode()))


@pytest.mark.filterwarnings("always")
@pytest.mark.parametrize("layout", ["classes.csv", "classes.json"])
def test_classes_of_a_name_that_is_no_utf8(layout, capsys):
    """The others are packed, and so is it, under a name that text can have."""
    nameless()
    assert pack("out", "-o", layout) == 0
    text = Path(layout).read_text(encoding="utf-8")
    assert (
        "/x\\xff" in text if layout.endswith(".csv") else "c/x\\xff" in json.loads(text)["results"]
    )
    assert f"no name in UTF-8, {layout} has it as c/x\\xff" in capsys.readouterr().err


@pytest.mark.filterwarnings("always")
def test_hdf5_of_a_name_that_is_no_utf8():
    h5py = pytest.importorskip("h5py")
    nameless()
    assert pack("out", "-o", "all.h5") == 0
    with h5py.File("all.h5") as file:
        assert set(file) == {"ä b", "c"}
        assert set(file["c/x\\xff"]) == {"pool5", "prob"}


def test_c3d_files_of_a_name_that_is_no_utf8():
    nameless()
    assert pack("out", "-o", "c3d", "--as", "c3d") == 0
    assert os.path.isdir(b"c3d/c/x\xff")


def test_some_results_only():
    assert pack("out/c", "-o", "one.json") == 0
    assert list(json.loads(Path("one.json").read_text())["results"]) == ["x"]
    assert pack("out/c/x.npz", "-o", "one.json") == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["out", "-o", "x.doc"], "Name it .h5, .csv or .json"),
        (["v", "-o", "x.csv"], "no results there"),
        (["out/none.npz", "-o", "x.csv"], "no result of p3d extract (out/none.json is not there)"),
        (["out", "-o", "x.csv", "--top", "0"], "0 classes of each video"),
        (["out", "-o", "x.h5", "--dataset", "f"], "names one blob, not pool5, prob"),
    ],
)
def test_wrong_arguments(arguments, message, capsys):
    assert pack(*arguments) == 1
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1


@pytest.mark.parametrize("layout", ["x.h5", "x.csv"])
def test_a_damaged_result_is_told_and_leaves_nothing(layout, capsys):
    data = Path("out/c/x.npz").read_bytes()
    Path("out/c/x.npz").write_bytes(data[:-200])
    assert pack("out", "-o", layout, "--top", "6") == 1
    assert "out/c/x: damaged" in capsys.readouterr().err
    assert not Path(layout).exists()
