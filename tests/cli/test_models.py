"""`p3d models`."""

from __future__ import annotations

import pytest

from p3d import models
from p3d.cli import main


def test_the_list(capsys):
    assert main(["models"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == models.names()
    assert lines[0].endswith("P3D-199, Kinetics-400, frames, 400 classes, clips 3x16x160x160")


@pytest.mark.parametrize(
    ("arguments", "options"),
    [
        ([], {}),
        (["--classes", "101", "--head", "fc_own"], {"classes": 101, "head": "fc_own"}),
        (["--crop", "112x96", "-batch=3"], {"crop": (112, 96), "batch": 3}),
        (["--crop", "224", "--kinds", "A"], {"crop": 224, "kinds": "A"}),
        (["--length", "40", "--any-length"], {"length": 40, "any_length": True}),
        (["--any-length"], {"any_length": True}),
        (["--units", "1,2,3,1", "--width", "8"], {"units": (1, 2, 3, 1), "width": 8}),
        (["--kinds", "S", "--scratch"], {"kinds": "S", "scratch": True}),
    ],
)
def test_a_net(arguments, options, capsys, tmp_path):
    expected = models.prototxt("p3d63-kinetics", **options)
    assert main(["models", "p3d63-kinetics", *arguments]) == 0
    assert capsys.readouterr().out == expected
    path = tmp_path / "net.prototxt"
    assert main(["models", "p3d63-kinetics", *arguments, "--out", str(path)]) == 0
    assert path.read_text() == expected
    assert capsys.readouterr().out == f"wrote {path}\n"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["p3d64-kinetics"], "no net is called 'p3d64-kinetics'; did you mean 'p3d63-kinetics'?"),
        (["x"], "no net is called 'x'; see `p3d models`"),
        (["p3d63-kinetics", "--length", "40"], "any-length"),
        (["--classes", "5"], "of which net?"),
        (["p3d63-kinetics", "--data", "videos"], "name a folder with --train"),
        (["p3d63-kinetics", "--no-mirror"], "name a folder with --train"),
        (["p3d63-kinetics", "--out", "missing/x.prototxt"], "cannot write missing/x.prototxt"),
    ],
)
def test_what_cannot_be(arguments, message, capsys):
    assert main(["models", *arguments]) == 1
    assert message in capsys.readouterr().err


@pytest.mark.parametrize("size", ["x", "3x", "axb"])
def test_a_crop_is_one_number_or_two(size, capsys):
    assert main(["models", "p3d63-kinetics", "--crop", size]) == 2
    assert f"--crop: '{size}' is no size: give N or HxW" in capsys.readouterr().err


def test_training_of_own_videos(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "clips").mkdir()
    (tmp_path / "clips" / "train.txt").write_text("d.mp4 0\n" * 2000)
    (tmp_path / "clips" / "test.txt").write_text("a.mp4 0\nb.mp4 1\n\nc.mp4 0\n")
    arguments = ["--train", "own", "--data", "clips", "--classes", "2", "--batch", "2"]
    assert main(["models", "p3d63-ucf101", *arguments]) == 0
    assert capsys.readouterr().out.split() == [
        *("wrote", "own/train_val.prototxt"),
        *("wrote", "own/deploy.prototxt"),
        *("wrote", "own/solver.prototxt"),
    ]
    net = models.train_val("p3d63-ucf101", data="clips", classes=2, batch=2, tested=3)
    assert (tmp_path / "own" / "train_val.prototxt").read_text() == net
    deploy = models.prototxt("p3d63-ucf101", classes=2)
    assert (tmp_path / "own" / "deploy.prototxt").read_text() == deploy
    solver = models.solver("p3d63-ucf101", folder="own", batch=2, trained=2000, tested=3)
    assert (tmp_path / "own" / "solver.prototxt").read_text() == solver
    assert "test_iter: 3\n" in solver
    assert "max_iter: 1570\n" in solver


@pytest.mark.filterwarnings("default")
def test_lists_without_videos_are_told_of(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "clips").mkdir()
    (tmp_path / "clips" / "test.txt").write_text("\n")
    assert main(["models", "p3d63-ucf101", "--train", "own", "--data", "clips"]) == 0
    told = capsys.readouterr().err.splitlines()
    assert [line.partition(" yet")[0] for line in told] == [
        "p3d: warning: no videos are in clips/train.txt",
        "p3d: warning: no videos are in clips/test.txt",
    ]
    solver = (tmp_path / "own" / "solver.prototxt").read_text()
    assert solver == models.solver("p3d63-ucf101", folder="own")


def test_training_that_somebody_edited_stays(capsys, tmp_path):
    arguments = ["models", "p3d63-ucf101", "--train", str(tmp_path)]
    assert main(arguments) == 0
    assert main(arguments) == 0, "nothing differs"
    solver = tmp_path / "solver.prototxt"
    solver.write_text("base_lr: 1\n")
    assert main([*arguments, "--classes", "2"]) == 1
    assert "is there and says something else" in capsys.readouterr().err
    assert solver.read_text() == "base_lr: 1\n"
    assert "num_output: 101" in (tmp_path / "deploy.prototxt").read_text(), "all or none"


def test_training_that_cannot_be_leaves_no_files(capsys, tmp_path):
    arguments = ["--train", str(tmp_path / "own"), "--batch", "3"]
    assert main(["models", "p3d63-ucf101", *arguments]) == 1
    assert "batch is 3" in capsys.readouterr().err
    assert not (tmp_path / "own").exists()
