"""tools/plug_into_caffe.py as a person uses it: what it says, its exit codes, and bad input."""

from __future__ import annotations

import ast
import contextlib
import io
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import plug_into_caffe
import pytest
from caffe_trees import snapshot, write_layers, write_tree
from plugging import plug
from plugging.journal import FOLDER

ROOT = Path(__file__).parents[2]
PROTO = "src/caffe/proto/caffe.proto"


@pytest.fixture(autouse=True)
def layers(monkeypatch, tmp_path):
    folder = write_layers(tmp_path / "layers")
    monkeypatch.setattr(plug, "LAYERS", folder)
    return folder


@pytest.fixture
def tree(tmp_path):
    return write_tree(tmp_path / "tree")


@pytest.fixture
def run(capsys):
    def run(*args):
        code = plug_into_caffe.main([str(arg) for arg in args])
        return code, "".join(capsys.readouterr())

    return run


def test_in_again_and_out(run, tree):
    before = snapshot(tree)
    code, text = run(tree)
    assert code == 0
    assert f"wrote {PROTO}" in text
    assert "make -j4 all test pycaffe" in text
    after = snapshot(tree)
    assert run(tree) == (0, "Nothing to do: the tree has everything already.\n")
    assert snapshot(tree) == after
    code, text = run(tree, "--undo")
    assert (code, text) == (0, "The tree is as it was. Rebuild it.\n")
    assert snapshot(tree) == before
    code, text = run(tree, "--undo")
    assert code == 1
    assert "Nothing to undo" in text


@pytest.mark.parametrize("options", [[], ["--verbose"], ["--modernize"], ["--modernize-only"]])
def test_a_dry_run_writes_nothing(options, run, tree):
    before = snapshot(tree)
    code, text = run(tree, "--dry-run", *options)
    assert code == 0
    assert snapshot(tree) == before
    assert ("+  optional BNParameter bn_param = 8210;" in text) == ("only" not in "".join(options))
    assert ("+// Copied from caffe-p3d" in text) == ("--verbose" in options)
    assert ("  src/caffe/p3d/conv.cpp (3 lines)" in text) == (options in ([], ["--modernize"]))
    assert ("+cmake_minimum_required(VERSION 3.5...3.10)" in text) == ("--mod" in "".join(options))


def test_the_diff_is_what_happens(run, tree, tmp_path):
    """patch agrees with us on a tree with CRLF, and with removed files."""
    if shutil.which("patch") is None:
        pytest.skip("no patch")
    shutil.rmtree(tree)
    write_tree(tree, "published")
    copy = tmp_path / "copy"
    shutil.copytree(tree, copy)
    diff = run(tree, "--dry-run", "--verbose")[1]
    subprocess.run(["patch", "-p1", "-s"], cwd=copy, input=diff.encode("latin-1"), check=True)
    assert run(tree)[0] == 0
    shutil.rmtree(tree / FOLDER)
    hashes = [{n: h for n, (_, h) in snapshot(t).items() if h} for t in (tree, copy)]
    assert hashes[0] == hashes[1]


def test_a_reader_that_stops(tree, layers):
    """As in `... | head`: no traceback, and no claim that nothing was changed."""
    program = (
        f"import sys; sys.path.insert(0, {str(ROOT / 'tools')!r})\n"
        "from pathlib import Path; from plugging import plug; import plug_into_caffe\n"
        f"plug.LAYERS = Path({str(layers)!r})\n"
        f"sys.exit(plug_into_caffe.main([{str(tree)!r}]))"
    )
    receiver, sender = os.pipe()
    os.close(receiver)
    done = subprocess.run(
        [sys.executable, "-u", "-c", program], stdout=sender, stderr=subprocess.PIPE, text=True
    )
    os.close(sender)
    assert (done.returncode, done.stderr) == (0, "")
    assert (tree / "src/caffe/layers/bn_layer.cpp").exists()


def test_modernizing_alone_and_together(run, tree):
    before = snapshot(tree)
    assert run(tree, "--modernize-only")[0] == 0
    assert not (tree / "src/caffe/layers/bn_layer.cpp").exists()
    assert "3.5...3.10" in (tree / "CMakeLists.txt").read_text()
    assert run(tree)[0] == 0  # the layers, later
    assert (tree / "src/caffe/layers/bn_layer.cpp").exists()
    assert "3.5...3.10" in (tree / "CMakeLists.txt").read_text()
    assert run(tree, "--modernize")[1].startswith("Nothing to do")
    assert run(tree, "--undo")[0] == 0
    assert snapshot(tree) == before


def test_repairs_can_be_left_out(run, tree):
    assert run(tree, "--modernize", "--skip", "cmake-minimum")[0] == 0
    assert "2.8.7" in (tree / "CMakeLists.txt").read_text()
    assert "536870912" not in (tree / "src/caffe/util/io.cpp").read_text()


def test_the_list_of_repairs_says_how_far_each_was_tested(run):
    code, text = run("--list-edits")
    assert code == 0
    assert text.count("\n  tested ") == text.count("\n  because ") == len(plug_into_caffe.EDITS)
    assert "cuDNN 7" in text


def test_the_same_through_a_link_to_the_tree(run, tree, tmp_path):
    link = tmp_path / "link"
    link.symlink_to(tree)
    assert run(link)[0] == 0
    assert (tree / "src/caffe/layers/bn_layer.cpp").exists()
    assert link.is_symlink()


def conflict(tree):
    path = tree / "include/caffe/layer.hpp"
    path.write_text("<<<<<<< HEAD\nclass Layer;\n=======\n>>>>>>> theirs\n")


def old_blobs(tree):
    text = (tree / PROTO).read_bytes().replace(b"message BlobShape", b"message Shape")
    (tree / PROTO).write_bytes(text)


def old_convolution(tree):
    text = (tree / PROTO).read_bytes()
    (tree / PROTO).write_bytes(text.replace(b"repeated uint32 kernel", b"optional uint32 kernel"))


def no_dilation(tree):
    text = (tree / PROTO).read_bytes()
    (tree / PROTO).write_bytes(text.replace(b"  repeated uint32 dilation = 18;\n", b""))


def two_types(tree):
    (tree / "include/caffe/layer.hpp").write_text(
        "class LayerBase {};\n\ntemplate<typename Ftype,\n    typename Btype>\n"
        "class Layer : public LayerBase {};\n"
    )


def clash(tree):
    text = (tree / PROTO).read_bytes()
    (tree / PROTO).write_bytes(text.replace(b"106;", b"106;\n  optional bool x = 8210;"))


def linked_file(tree):
    (tree.parent / "elsewhere.proto").write_bytes((tree / PROTO).read_bytes())
    (tree / PROTO).unlink()
    (tree / PROTO).symlink_to(tree.parent / "elsewhere.proto")


def linked_folder(tree):
    (tree / "include").rename(tree.parent / "elsewhere")
    (tree / "include").symlink_to(tree.parent / "elsewhere")


def another_bn(tree):
    (tree / "src/caffe/layers/norm.cpp").write_text("REGISTER_LAYER_CLASS(BN);\n")


BAD = {
    "conflict markers": (conflict, r"merge is half done .* include/caffe/layer\.hpp"),
    "four axes": (old_blobs, "no BlobShape: .*before March 2015"),
    "two spatial axes": (old_convolution, "two spatial axes .*before September 2015"),
    "no dilation": (no_dilation, "no dilation.*before January 2016"),
    "one header for all layers": (
        lambda tree: (tree / "include/caffe/layers/conv_layer.hpp").unlink(),
        "conv_layer.hpp.*before January 2016",
    ),
    "layers of two types": (two_types, "<typename Ftype, typename Btype>.* NVIDIA's"),
    "clashing number": (clash, r"caffe\.proto: LayerParameter needs number 8210 .* x has"),
    "another factory": (
        lambda tree: (tree / "src/caffe/layer_factory.cpp").write_text("// old\n"),
        "has another shape",
    ),
    "another BN": (another_bn, r"norm\.cpp, line 1, registers a BN"),
    "read-only file": (lambda tree: (tree / PROTO).chmod(0o444), r"caffe\.proto is read-only"),
    "read-only folder": (
        lambda tree: (tree / "src/caffe").chmod(0o555),
        "No permission to write in .*src/caffe",
    ),
    "read-only tree": (lambda tree: tree.chmod(0o555), "No permission to write in .*tree"),
    "file behind a link": (linked_file, r"elsewhere\.proto, through a symbolic link"),
    "folder behind a link": (linked_folder, "lies outside of the tree"),
    "folder in the way": (
        lambda tree: (tree / "src/caffe/layers/bn_layer.cpp").mkdir(),
        r"bn_layer\.cpp is in the way: it is no file",
    ),
    "file in the way": (
        lambda tree: (tree / "src/caffe/p3d").write_text(""),
        "src/caffe/p3d is in the way: it is no folder",
    ),
    "a file of ours by chance": (
        lambda tree: (tree / "src/caffe/p3d").mkdir()
        or (tree / "src/caffe/p3d/bn.cpp").write_text("int Mine();\n"),
        r"src/caffe/p3d/bn\.cpp is there already",
    ),
    "nothing of a Caffe": (
        lambda tree: (tree / PROTO).unlink(),
        r"is no Caffe source tree: it has no src/caffe/proto/caffe\.proto",
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_trees_get_one_message_and_no_change(name, run, tree):
    spoil, message = BAD[name]
    spoil(tree)
    before = snapshot(tree)
    try:
        code, text = run(tree)
    finally:
        after = snapshot(tree)
        for folder in (tree, tree / "src/caffe"):
            folder.chmod(0o755)  # so that it can be removed
    assert code == 1
    assert text.count("\n") == 1, text
    assert text.startswith("plug_into_caffe: ")
    assert re.search(message, text), text
    assert after == before


@pytest.mark.parametrize("spoil", [two_types, old_convolution])
def test_repairs_alone_do_not_ask_for_what_the_layers_need(spoil, run, tree):
    spoil(tree)
    before = snapshot(tree)
    assert run(tree, "--modernize")[0] == 1
    assert snapshot(tree) == before
    assert run(tree, "--modernize-only")[0] == 0
    assert "3.5...3.10" in (tree / "CMakeLists.txt").read_text()


def test_bad_paths(run, tree, tmp_path):
    assert run(tmp_path / "nowhere") == (
        1,
        f"plug_into_caffe: {tmp_path / 'nowhere'} does not exist.\n",
    )
    assert "is a file" in run(tree / PROTO)[1]
    assert f"Did you mean {tree}?" in run(tree / "src")[1]
    assert f"Did you mean {tree}?" in run(tmp_path)[1]


@pytest.mark.skipif(not hasattr(os, "getuid") or os.getuid() != 0, reason="only root can")
def test_a_tree_of_another_user(monkeypatch):
    """Its modes allow writing, but not to whoever runs this."""
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)
        monkeypatch.setattr(plug, "LAYERS", write_layers(Path(folder) / "layers"))
        tree = write_tree(Path(folder) / "tree")
        (tree / "src/caffe/layer_factory.cpp").chmod(0o644)
        before = snapshot(tree)
        assert as_nobody([str(tree)]).startswith(
            f"1 plug_into_caffe: No permission to write in {tree}"
        )
        assert snapshot(tree) == before


def as_nobody(argv):
    """The exit code and errors of the tool, run by a user that owns nothing."""
    receiver, sender = os.pipe()
    if os.fork() == 0:
        errors = io.StringIO()
        with contextlib.redirect_stderr(errors), contextlib.suppress(Exception):
            os.setuid(65534)
            errors.write(f"{plug_into_caffe.main(argv)} ")
        code = errors.getvalue()[-2:]
        os.write(sender, (code + errors.getvalue()).encode())
        os._exit(0)
    os.wait()
    os.close(sender)
    with open(receiver) as file:
        return file.read()


def test_an_interrupted_run_is_taken_back_by_the_next(run, tree):
    before = snapshot(tree)
    assert run(tree)[0] == 0
    state = (tree / FOLDER / "state.json").read_text()
    head, files = state.split('"files": ', 1)
    files, rest = files.split('"pending": {}', 1)
    pending = files.rstrip().rstrip(",")
    (tree / FOLDER / "state.json").write_text(f'{head}"files": {{}},\n"pending": {pending}{rest}')
    code, text = run(tree, "--dry-run")
    assert code == 1
    assert "interrupted" in text
    code, text = run(tree, "--undo")
    assert (code, "interrupted" in text) == (0, True)
    assert snapshot(tree) == before


def test_copies_that_a_person_changed_are_not_overwritten(run, tree, layers):
    assert run(tree)[0] == 0
    copy = tree / "src/caffe/p3d/conv.cpp"
    copy.write_text("// mine\n")
    code, text = run(tree)
    assert code == 1
    assert "Changed since they were copied: src/caffe/p3d/conv.cpp" in text
    assert copy.read_text() == "// mine\n"
    assert run(tree, "--force")[0] == 0
    assert "igemm" in copy.read_text()


@pytest.mark.parametrize(
    "args", [[], ["tree", "--undo", "--dry-run"], ["tree", "--skip", "x"], ["t", "--replace", "y"]]
)
def test_usage(args, capsys):
    with pytest.raises(SystemExit) as exit_info:
        plug_into_caffe.main(args)
    assert exit_info.value.code == 2
    assert "usage" in capsys.readouterr().err


def test_it_needs_no_younger_python_than_3_8():
    files = [ROOT / "tools/plug_into_caffe.py", *(ROOT / "tools/plugging").rglob("*.py")]
    assert len(files) > 15
    for file in files:
        ast.parse(file.read_text(), feature_version=(3, 8))


def test_it_runs_with_python_3_8():
    python = shutil.which("python3.8")
    if python is None or subprocess.run([python, "--version"], capture_output=True).returncode:
        pytest.skip("no Python 3.8")
    script = str(ROOT / "tools/plug_into_caffe.py")
    done = subprocess.run([python, script, "--list-edits"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_help_teaches(capsys):
    with pytest.raises(SystemExit):
        plug_into_caffe.main(["--help"])
    text = capsys.readouterr().out
    for word in ("--dry-run", "--undo", "--modernize", "--check", "8210", "Exit codes"):
        assert word in text
