"""What a person names: lists, folders, patterns, and the names of the outputs."""

from __future__ import annotations

import os

import drawn
import pytest

from p3d import Error
from p3d.video import inputs


@pytest.fixture
def tree(tmp_path, monkeypatch):
    """a/x.mp4, b/x.mp4, b/deep/y.avi, b/frames/..., and files that are no videos."""
    for name in ("a/x.mp4", "b/x.mp4", "b/deep/y.AVI", "b/notes.txt", "b/thumb1.jpg", "clip.npy"):
        file = tmp_path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(b"1")
    drawn.write_frames(tmp_path / "b" / "run 1.5", "img_%05d.jpg", range(3))
    drawn.write_frames(tmp_path / "flow", "flow_x/%05d.jpg", range(3))
    drawn.write_frames(tmp_path / "flow", "flow_y/%05d.jpg", range(3))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def expand(named, root=None):
    """As `p3d extract` does it: the names are looked at before anything else."""
    inputs.count(named, root)
    return list(inputs.items(named, root))


def names(items) -> dict[str, str]:
    return {os.path.relpath(item.path): item.name for item in items}


@pytest.mark.parametrize(
    ("named", "expected"),
    [
        (["a/x.mp4"], {"a/x.mp4": "x"}),
        (["./a/../a/x.mp4", "a/x.mp4"], {"a/x.mp4": "x"}),
        (["missing.mp4"], {"missing.mp4": "missing"}),
        (["clip.npy"], {"clip.npy": "clip"}),
        (["b/run 1.5"], {"b/run 1.5": "run 1.5"}),
        (["b/run 1.5/"], {"b/run 1.5": "run 1.5"}),
        (["b/run 1.5/img_%05d.jpg"], {"b/run 1.5/img_%05d.jpg": "run 1.5"}),
        (["flow"], {"flow": "flow"}),
        (["b"], {"b/x.mp4": "x", "b/run 1.5": "run 1.5", "b/deep/y.AVI": "deep/y"}),
    ],
)
def test_names_of_outputs(tree, named, expected):
    assert names(expand(named)) == expected


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("l.txt", "a/x.mp4\nb/x.mp4\n"),
        ("l.txt", "\ufeff# videos\r\n\r\n a/x.mp4 \r\nb/x.mp4"),
        ("l.txt", "a/x.mp4 1 17\nb/x.mp4 -1\n"),
        ("l.csv", "a/x.mp4\nb/x.mp4\n"),
        ("l.csv", 'video_path,label\n"a/x.mp4",3\nb/x.mp4,4\n'),
        ("l.CSV", "path\na/x.mp4\nb/x.mp4\n"),
    ],
)
def test_lists_keep_the_folders_they_are_written_with(tree, file, text):
    (tree / file).write_text(text, encoding="utf-8", newline="")
    assert names(expand([file])) == {"a/x.mp4": "a/x", "b/x.mp4": "b/x"}


def test_paths_in_a_list_are_relative_to_the_list_first(tree, monkeypatch):
    (tree / "b" / "list.txt").write_text("x.mp4\na/x.mp4\n")
    items = expand(["b/list.txt"])
    assert names(items) == {"b/x.mp4": "x", "a/x.mp4": "a/x"}


def test_a_space_and_a_number_in_a_file_name(tree):
    (tree / "take 2").write_bytes(b"1")
    (tree / "l.txt").write_text("take 2\ntake 2 5\n")
    assert names(expand(["l.txt"])) == {"take 2": "take 2"}


@pytest.mark.parametrize("named", [["a/x.mp4", "b/x.mp4"], ["a", "b"]])
def test_equal_names_are_an_error_that_root_cures(tree, named):
    with pytest.raises(Error, match=r"a/x\.mp4 and b/x\.mp4 would both be written as 'x'.*--root"):
        expand(named)
    rooted = names(expand(named, root="."))
    assert rooted["a/x.mp4"] == "a/x"
    assert rooted["b/x.mp4"] == "b/x"


def test_an_unclear_folder_does_not_stop_the_others(tree):
    drawn.write_frames(tree / "b" / "unclear", "%s.jpg", ("1", "01"))
    (tree / "b" / "._x.mp4").write_bytes(b"1")
    assert set(names(expand(["b"]))) == {"b/x.mp4", "b/run 1.5", "b/deep/y.AVI", "b/unclear"}


def test_what_macos_leaves_on_other_disks_is_no_video(tree):
    (tree / "b" / "run 1.5" / "._x.mp4").write_bytes(b"1")
    assert set(names(expand(["b"]))) == {"b/x.mp4", "b/run 1.5", "b/deep/y.AVI"}


def test_one_stem_with_two_endings(tree):
    (tree / "a" / "x.avi").write_bytes(b"1")
    with pytest.raises(Error, match="would both be written as 'x': rename one of them"):
        expand(["a"])


def test_outputs_stay_below_out(tree):
    (tree / "l.txt").write_text(f"{tree}/a/x.mp4\n")
    assert [item.name for item in expand(["l.txt"])] == ["x"]
    (tree / "a" / "l.txt").write_text("../b/deep/y.AVI\n")
    assert [item.name for item in expand(["a/l.txt"])] == ["y"]
    with pytest.raises(Error, match="is not below --root a"):
        expand(["b/x.mp4"], root="a")


@pytest.mark.parametrize(
    ("prepare", "named", "message"),
    [
        (lambda t: (t / "l.txt").write_text("# nothing\n"), "l.txt", "there are no videos"),
        (lambda t: (t / "l.txt").write_bytes(b"\xff\xfe\0"), "l.txt", "not a list of videos"),
        (
            lambda t: (t / "l.csv").write_bytes(b'"' + b"a" * 200000),
            "l.csv",
            "not a list of videos",
        ),
    ],
)
def test_nothing_in_it(tree, prepare, named, message):
    prepare(tree)
    with pytest.raises(Error, match=message):
        expand([named])


def test_an_empty_folder_does_not_keep_others_from_being_read(tree):
    (tree / "more" / "empty").mkdir(parents=True)
    assert names(expand(["a", "more/empty"])) == {"a/x.mp4": "x", "more/empty": "empty"}
    assert names(expand(["more/*"])) == {"more/empty": "empty"}
    assert names(expand(["more"])) == {"more": "more"}
    assert names(expand(["mor*"])) == {"more": "more"}


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("*/x.mp4", {"a/x.mp4": "a/x", "b/x.mp4": "b/x"}),
        ("b/*.mp4", {"b/x.mp4": "x"}),
        ("b/**/*.AVI", {"b/deep/y.AVI": "deep/y"}),
        ("b/run*", {"b/run 1.5": "run 1.5"}),
        ("[ab]/x.mp?", {"a/x.mp4": "a/x", "b/x.mp4": "b/x"}),
        ("[a]", {"a/x.mp4": "a/x"}),
    ],
)
def test_globs_that_the_shell_did_not_expand(tree, pattern, expected):
    assert names(expand([pattern])) == expected
    absolute = {str(tree / path): name for path, name in expected.items()}
    assert {item.path: item.name for item in expand([str(tree / pattern)])} == absolute


def test_a_glob_that_matches_nothing(tree):
    with pytest.raises(Error, match=r"c/\*\.mp4: matches nothing"):
        expand(["c/*.mp4"])


def test_a_file_whose_name_looks_like_a_glob(tree):
    (tree / "take [1].mp4").write_bytes(b"1")
    assert names(expand(["take [1].mp4"])) == {"take [1].mp4": "take [1]"}


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("l.txt", "a/x.mp4\tone\nb/x.mp4\tsub/two.npy\n"),
        ("l.csv", "video_path,feature_path\na/x.mp4,one\nb/x.mp4,sub/two.npy\n"),
        ("l.csv", "label,path,output\n3,a/x.mp4,one.npz\n4,b/x.mp4,sub/two\n"),
    ],
)
def test_lists_may_name_the_outputs(tree, file, text):
    (tree / file).write_text(text)
    assert names(expand([file])) == {"a/x.mp4": "one", "b/x.mp4": "sub/two"}
    assert names(expand([file], root=".")) == {"a/x.mp4": "one", "b/x.mp4": "sub/two"}


@pytest.mark.parametrize("name", ["../one", "/one", "sub/../../one"])
def test_names_in_a_list_stay_below_out(tree, name):
    (tree / "l.txt").write_text(f"a/x.mp4\t{name}\n")
    with pytest.raises(Error, match="not below --out"):
        expand(["l.txt"])


def test_standard_input_is_a_list(tree, monkeypatch):
    monkeypatch.setattr("sys.stdin", iter(["a/x.mp4\n", "# no\n", "b/x.mp4\ttwo\n"]))
    assert inputs.count(["-"]) is None
    assert names(inputs.items(["-"])) == {"a/x.mp4": "a/x", "b/x.mp4": "two"}


def test_flow_in_two_trees_is_one_video(tree):
    for direction in "xy":
        for video in ("dive", "run"):
            folder = tree / "both" / f"flow_{direction}" / video
            drawn.write_frames(folder, "%05d.jpg", range(3))
    assert names(expand(["both"])) == {
        "both/flow_x/dive": "flow_x/dive",
        "both/flow_x/run": "flow_x/run",
    }


def test_frames_in_folders_x_and_y_are_two_videos(tree):
    for direction in "xy":
        drawn.write_frames(tree / "both" / direction / "dive", "%05d.jpg", range(3))
    assert len(expand(["both"])) == 2


def test_how_many_there_are(tree):
    (tree / "l.txt").write_text("a/x.mp4\nb/x.mp4\na/x.mp4\n")
    assert inputs.count(["l.txt"]) == 3
