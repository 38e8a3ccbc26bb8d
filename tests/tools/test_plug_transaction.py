"""tools/plugging/transaction.py: all or nothing, at whichever step a run ends, and back again."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from caffe_trees import snapshot, write_layers, write_tree
from plugging import disk, transaction
from plugging.draft import Draft
from plugging.journal import FOLDER, Journal
from plugging.plug import plug
from plugging.refusal import Refusal
from plugging.transaction import apply, recover, undo
from plugging.tree import Tree

TOOLS = Path(__file__).parents[2] / "tools"
FEW = ("igemm_avx2.cpp", "igemm-inl.hpp", "pool.cpp")  # kernels left out: each costs many runs
PROTO = "src/caffe/proto/caffe.proto"


class Killed(BaseException):
    """The process is gone: nothing that it would have done next happens."""


@pytest.fixture(autouse=True)
def no_waiting_for_the_disk(monkeypatch):
    monkeypatch.setattr(os, "fsync", lambda handle: None)
    monkeypatch.setattr(disk, "_sync", lambda folder: None)


class Steps:
    """Lets so many changes of the disk happen, then kills, or fails once."""

    NAMES = ("fsync", "replace", "unlink", "mkdir", "rmdir")

    def __init__(self, monkeypatch, limit, error=None):
        self.left = limit
        self.error = error
        self.ended = False
        # The others may fail: making a folder that is there, removing one at last.
        for name in ("replace", "unlink") if error else self.NAMES:
            monkeypatch.setattr(os, name, self.limited(getattr(os, name)))

    def limited(self, function):
        def step(*args, **kwargs):
            if self.left == 0 and not (self.error and self.ended):
                self.ended = True
                raise self.error or Killed
            self.left -= self.left > 0
            return function(*args, **kwargs)

        return step


@pytest.fixture(scope="module")
def layers(tmp_path_factory):
    return write_layers(tmp_path_factory.mktemp("layers"), FEW)


@pytest.fixture(scope="module")
def newer_layers(tmp_path_factory):
    folder = write_layers(tmp_path_factory.mktemp("newer"), FEW)
    (folder / "kernels/conv/igemm.hpp").write_text("// newer\n")
    (folder / "kernels/bn.cu").unlink()
    (folder / "kernels/conv/conv.hpp").write_text('#include "kernels/lrn.hpp"\n')
    return folder


def plug_in(tree, layers):
    recover(Tree(tree))
    draft = Draft(Tree(tree))
    plug(draft, [], layers)
    apply(draft.tree, draft.changes())


def take_out(tree):
    recover(Tree(tree))
    if Journal(Tree(tree)).exists:
        return undo(Tree(tree))
    return []


@pytest.mark.parametrize("ends", ["\n", "\r\n"])
@pytest.mark.parametrize("fork", ["upstream", "author", "published"])
def test_undoing_restores_every_byte_and_mode(fork, ends, tmp_path, layers, newer_layers):
    tree = write_tree(tmp_path / "tree", fork, ends)
    before = snapshot(tree)
    plug_in(tree, layers)
    assert (tree / PROTO).read_bytes().count(b"\r\n") == (
        (tree / PROTO).read_bytes().count(b"\n") if ends == "\r\n" else 0
    )
    assert (tree / "src/caffe/layer_factory.cpp").stat().st_mode & 0o777 == 0o640
    plug_in(tree, newer_layers)
    assert take_out(tree) == []
    assert snapshot(tree) == before


@pytest.fixture(scope="module")
def plugged(tmp_path_factory, layers):
    """By fork, trees with the plug-in, to be copied."""
    trees = {}
    for fork in ("upstream", "published"):
        trees[fork] = write_tree(tmp_path_factory.mktemp("plugged") / fork, fork)
        plug_in(trees[fork], layers)
    return trees


def kill_everywhere(monkeypatch, prepare, act):
    """Yields trees in which `act` was killed after 0, 1, 2... steps, until it gets through."""
    limit = 0
    while True:
        tree = prepare(limit)
        with monkeypatch.context() as patch:
            steps = Steps(patch, limit)
            try:
                act(tree)
            except Killed:
                assert steps.ended
        if not steps.ended:
            assert limit > 15, "what was there to be killed?"
            return
        yield tree
        shutil.rmtree(tree)
        limit += 1


def test_killed_while_plugging_in(monkeypatch, tmp_path, layers):
    before = snapshot(write_tree(tmp_path / "before", "published"))
    plug_in(write_tree(tmp_path / "after", "published"), layers)
    after = snapshot(tmp_path / "after")

    def prepare(limit):
        return write_tree(tmp_path / str(limit), "published")

    for tree in kill_everywhere(monkeypatch, prepare, lambda tree: plug_in(tree, layers)):
        copy = tmp_path / "copy"
        shutil.copytree(tree, copy)
        take_out(copy)
        assert snapshot(copy) == before, tree
        shutil.rmtree(copy)
        plug_in(tree, layers)
        assert snapshot(tree) == after, tree


def test_killed_while_updating(monkeypatch, tmp_path, plugged, newer_layers):
    before = snapshot(write_tree(tmp_path / "before"))

    def prepare(limit):
        return Path(shutil.copytree(plugged["upstream"], tmp_path / str(limit)))

    for tree in kill_everywhere(monkeypatch, prepare, lambda tree: plug_in(tree, newer_layers)):
        take_out(tree)
        assert snapshot(tree) == before, tree


def test_killed_while_undoing(monkeypatch, tmp_path, plugged):
    before = snapshot(write_tree(tmp_path / "before", "published"))

    def prepare(limit):
        return Path(shutil.copytree(plugged["published"], tmp_path / str(limit)))

    for tree in kill_everywhere(monkeypatch, prepare, take_out):
        take_out(tree)
        assert snapshot(tree) == before, tree


def test_killed_while_recovering(monkeypatch, tmp_path, layers):
    before = snapshot(write_tree(tmp_path / "before", "published"))

    half = write_tree(tmp_path / "half", "published")
    with monkeypatch.context() as patch:
        Steps(patch, 60)
        with pytest.raises(Killed):
            plug_in(half, layers)
    assert Journal(Tree(half)).pending

    def prepare(limit):
        return Path(shutil.copytree(half, tmp_path / str(limit)))

    for tree in kill_everywhere(monkeypatch, prepare, lambda tree: recover(Tree(tree))):
        take_out(tree)
        assert snapshot(tree) == before, tree


def test_a_real_process_that_is_killed(tmp_path, layers):
    tree = write_tree(tmp_path / "tree", "published")
    before = snapshot(tree)
    program = (
        "import sys, time; from pathlib import Path; from plugging import plug, disk\n"
        "import plug_into_caffe\n"
        f"plug.LAYERS = Path({str(layers)!r})\n"
        "write = disk.write\n"
        "def slow(*args):\n"
        "    write(*args); time.sleep(0.02)\n"  # long enough for the signal to fall between two
        "disk.write = slow\n"
        f"plug_into_caffe.main([{str(tree)!r}])\n"
    )
    process = subprocess.Popen([sys.executable, "-c", program], cwd=TOOLS)
    while process.poll() is None and not (tree / "include/caffe/p3d/bn.hpp").exists():
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    assert snapshot(tree) != before
    assert (tree / FOLDER).exists()
    take_out(tree)
    assert snapshot(tree) == before


def test_a_write_that_fails_takes_the_others_back(monkeypatch, tmp_path, layers):
    tree = write_tree(tmp_path / "tree", "published")
    before = snapshot(tree)
    limit = 0
    while True:
        with monkeypatch.context() as patch:
            steps = Steps(patch, limit, OSError(28, "No space left on device"))
            try:
                plug_in(tree, layers)
            except Refusal as refusal:
                message = str(refusal)
        if not steps.ended:
            break
        assert re.search(r"No space left on device.* as it was", message)
        assert snapshot(tree) == before, limit
        limit += 1
    assert limit > 20


def test_ctrl_c_takes_the_others_back(monkeypatch, tmp_path, layers):
    tree = write_tree(tmp_path / "tree")
    before = snapshot(tree)
    Steps(monkeypatch, 15, KeyboardInterrupt())
    with pytest.raises(KeyboardInterrupt):
        plug_in(tree, layers)
    assert snapshot(tree) == before


def change(path, old, new):
    data = path.read_bytes()
    assert old in data
    path.write_bytes(data.replace(old, new))


def test_later_changes_of_a_person_survive_undoing(tmp_path, layers):
    tree = write_tree(tmp_path / "tree")
    plug_in(tree, layers)
    change(tree / PROTO, b"num_output = 1;", b"num_output = 1;\r\n  optional bool mine = 2;")
    assert take_out(tree) == [f"{PROTO}: your later changes were kept"]
    expected = write_tree(tmp_path / "expected")
    change(expected / PROTO, b"num_output = 1;", b"num_output = 1;\r\n  optional bool mine = 2;")
    assert snapshot(tree) == snapshot(expected)


def test_later_changes_survive_an_update_and_undoing(tmp_path, layers, newer_layers):
    tree = write_tree(tmp_path / "tree")
    plug_in(tree, layers)
    change(tree / PROTO, b"num_output = 1;", b"num_output = 1; // mine")
    change(tree / "src/caffe/layer_factory.cpp", b"<string>", b"<vector>")
    newer = newer_layers / "caffe/factory.txt"
    text = newer.read_text()
    newer.write_text(text.replace("// Conv", "// All conv"))
    plug_in(tree, newer_layers)
    newer.write_text(text)
    assert b"// All conv" in (tree / "src/caffe/layer_factory.cpp").read_bytes()
    assert take_out(tree) == []
    expected = write_tree(tmp_path / "expected")
    change(expected / PROTO, b"num_output = 1;", b"num_output = 1; // mine")
    change(expected / "src/caffe/layer_factory.cpp", b"<string>", b"<vector>")
    assert snapshot(tree) == snapshot(expected)


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        (PROTO, b"bn_param = 8210", b"bn_param = 8000"),  # in our lines
        ("src/caffe/layers/bn_layer.cpp", b"BN", b"MyBN"),  # in a file of ours
    ],
)
def test_changes_that_cannot_be_kept_are_not_lost(name, old, new, tmp_path, layers):
    tree = write_tree(tmp_path / "tree")
    before = snapshot(tree)
    plug_in(tree, layers)
    change(tree / name, old, new)
    mine = (tree / name).read_bytes()
    present = snapshot(tree)
    with pytest.raises(Refusal, match=f"Changed since .*{name}"):
        undo(Tree(tree))
    assert snapshot(tree) == present
    assert undo(Tree(tree), force=True) == [f"{name}.changed: what you had made of {name}"]
    saved = tree / f"{name}.changed"
    assert saved.read_bytes() == mine
    saved.unlink()
    assert snapshot(tree) == before


def test_a_tree_that_git_has_taken_back_is_plugged_into_again(tmp_path, layers):
    tree = write_tree(tmp_path / "tree")
    before = snapshot(tree)
    plug_in(tree, layers)
    after = snapshot(tree)
    write_tree(tree)  # git checkout .
    shutil.rmtree(tree / "src/caffe/p3d")  # git clean
    plug_in(tree, layers)
    assert snapshot(tree) == after
    take_out(tree)
    assert snapshot(tree) == before


def test_a_folder_with_something_of_a_person_stays(tmp_path, layers):
    tree = write_tree(tmp_path / "tree")
    plug_in(tree, layers)
    (tree / "src/caffe/p3d/notes.txt").write_text("mine")
    take_out(tree)
    assert (tree / "src/caffe/p3d/notes.txt").read_text() == "mine"
    assert not (tree / "include/caffe/p3d").exists()


def test_what_a_person_changed_after_an_interruption_is_not_overwritten(
    monkeypatch, tmp_path, layers
):
    tree = write_tree(tmp_path / "tree", "published")
    with monkeypatch.context() as patch:
        Steps(patch, 60)
        with pytest.raises(Killed):
            plug_in(tree, layers)
    change(tree / "src/caffe/layer_factory.cpp", b"<string>", b"<vector>")
    present = snapshot(tree)
    with pytest.raises(Refusal, match=r"interrupted, and .*layer_factory\.cpp was changed since"):
        recover(Tree(tree))
    assert snapshot(tree) == present


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda folder: (folder / "state.json").write_text("{"), r"state\.json is damaged"),
        (lambda folder: (folder / "state.json").write_text('{"format": 99}'), "another version"),
        (lambda folder: shutil.rmtree(folder / "objects"), "is damaged: the tree cannot be"),
    ],
)
def test_a_damaged_journal(damage, message, tmp_path, layers):
    tree = write_tree(tmp_path / "tree")
    plug_in(tree, layers)
    damage(tree / FOLDER)
    present = snapshot(tree)
    with pytest.raises(Refusal, match=message):
        undo(Tree(tree))
    assert snapshot(tree) == present


def test_git_does_not_see_the_journal(tmp_path, layers):
    tree = write_tree(tmp_path / "tree")
    plug_in(tree, layers)
    assert (tree / FOLDER / ".gitignore").read_text() == "*\n"
    kept = {p.name for p in (tree / FOLDER / "objects").iterdir()}
    files = Journal(Tree(tree)).files.values()
    assert kept == {h for e in files if e.before for h in (e.before, e.after)}


def test_nothing_is_written_for_nothing(tmp_path):
    tree = write_tree(tmp_path / "tree")
    before = snapshot(tree)
    transaction.apply(Tree(tree), {})
    assert snapshot(tree) == before
