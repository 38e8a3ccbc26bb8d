"""The command line itself: verbs, flags, exit codes."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import types
import warnings

import pytest
from video.drawn import write_video

import p3d
from p3d import cli


@pytest.fixture
def verb(monkeypatch):
    """A verb `probe` whose run is the function given."""

    def install(run):
        module = types.ModuleType("p3d.cli.probe")
        module.HELP = "a verb of the tests"
        module.EXAMPLES = "examples:\n  p3d probe --batch-size 3"
        module.add_arguments = _arguments
        module.run = run
        monkeypatch.setitem(sys.modules, "p3d.cli.probe", module)
        monkeypatch.setattr(cli, "verbs", lambda: ["models", "probe"])

    return install


def _arguments(parser):
    parser.add_argument("files", nargs="*")
    parser.add_argument("-o", "--out")
    parser.add_argument("--batch-size", type=int, default=1)
    parser.add_argument("--gpu", action="store_true")


def test_help_lists_every_verb(capsys):
    assert cli.main(["--help"]) == 0
    text = capsys.readouterr().out
    for name in cli.verbs():
        assert f"\n  {name} " in text
    assert "examples:" in text


def test_without_arguments_there_is_help_and_the_code_of_a_usage_error(capsys):
    assert cli.main([]) == 2
    assert "verbs:" in capsys.readouterr().out


@pytest.mark.parametrize("name", cli.verbs())
def test_every_verb_has_help_with_examples(name, capsys):
    assert cli.main(["help", name]) == 0
    text = capsys.readouterr().out
    assert text.startswith(f"usage: p3d {name}")
    assert "examples:" in text


def test_what_runs_nets_is_an_option_of_the_verbs_that_run_them(verb, capsys, monkeypatch):
    monkeypatch.delenv("P3D_DEVICE", raising=False)
    with_options = {name for name in cli.verbs() if _mentions(name, "--device", capsys)}
    runs_nets = {"deepdraw", "demo", "export", "extract", "init", "test", "time", "train"}
    assert with_options == runs_nets
    assert with_options == {name for name in cli.verbs() if _mentions(name, "--precision", capsys)}
    assert with_options == {name for name in cli.verbs() if _mentions(name, "--backend", capsys)}
    assert cli.main(["draw", "p3d63-kinetics", "-o", "x.svg", "--device", "cuda"]) == 2
    assert "unrecognized arguments: --device cuda" in capsys.readouterr().err


def _mentions(name, option, capsys):
    cli.main([name, "--help"])
    return f"\n  {option} " in capsys.readouterr().out


def test_help_imports_nothing_heavy():
    code = "import sys; from p3d.cli import main; main(['--help']); print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {"numpy", "cv2", "google.protobuf", "p3d._core"} & set(done.stdout.split())


def test_opencv_is_loaded_where_there_are_pictures():
    """It takes half a second and 200 MiB, and where there is no room for it ends the process."""
    code = """
import sys
from p3d.cli import main
assert main(["info", "p3d63-kinetics", "--json"]) == main(["train", "--solver", "gone"]) - 1 == 0
import p3d.caffe
p3d.caffe.Net(p3d.caffe.io and 'layer { name: "x" type: "Input" top: "x" }', 1)
print("cv2" in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.endswith("False\n")


def test_version(capsys):
    assert cli.main(["--version"]) == 0
    assert capsys.readouterr().out == f"p3d {p3d.__version__}\n"


@pytest.mark.parametrize(
    ("given", "answer"), [("modles", "did you mean 'models'?"), ("x", "models")]
)
def test_unknown_verb(given, answer, capsys):
    assert cli.main([given]) == 2
    assert answer in capsys.readouterr().err


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (["--batch-size", "3"], (3, None, False, [])),
        (["-batch_size=3", "a"], (3, None, False, ["a"])),
        (["-gpu", "-out", "-", "b"], (1, "-", True, ["b"])),
        (["-ofile", "--", "-gpu"], (1, "file", False, ["-gpu"])),
        (["--out=-gpu"], (1, "-gpu", False, [])),
        (["--out=a=b\nc"], (1, "a=b\nc", False, [])),
    ],
)
def test_long_options_take_one_dash_or_two(verb, given, expected):
    seen = []
    verb(seen.append)
    assert cli.main(["probe", *given]) == 0
    assert (seen[0].batch_size, seen[0].out, seen[0].gpu, seen[0].files) == expected


@pytest.mark.parametrize("given", [["--batch", "3"], ["--nothing"], ["--batch-size", "x"]])
def test_usage_errors_are_code_2_and_one_line(verb, given, capsys):
    verb(lambda args: 0)
    assert cli.main(["probe", *given]) == 2
    err = capsys.readouterr().err
    assert err.startswith("p3d probe: ")
    assert err.endswith(" (see p3d probe --help)\n")
    assert len(err.splitlines()) == 1


@pytest.mark.parametrize(
    ("given", "hint"),
    [
        (["--batch-sise=3"], "--batch-sise=3; did you mean --batch-size by --batch-sise? (see"),
        (["-batchsize=3"], "-batchsize=3; did you mean --batch-size by -batchsize? (see"),
        (["--ot=x", "--", "--gpv"], "--ot=x; did you mean --out by --ot? (see"),
        (["--boat"], "p3d probe: unrecognized arguments: --boat (see"),
        (["--zzz", "-1"], "p3d probe: unrecognized arguments: --zzz (see"),
    ],
)
def test_a_misspelt_option(verb, given, hint, capsys):
    verb(lambda args: 0)
    assert cli.main(["probe", *given]) == 2
    assert hint in capsys.readouterr().err


def fail(error):
    def run(args):
        raise error

    return run


@pytest.mark.parametrize(
    ("error", "code", "line"),
    [
        (
            p3d.Error("x.prototxt: layer 'a':\nno such type"),
            1,
            "x.prototxt: layer 'a': no such type",
        ),
        (RuntimeError("engine"), 1, "engine"),
        (RuntimeError(), 1, "RuntimeError"),
        (MemoryError(), 1, "out of memory"),
        (ImportError("libGL.so.1: no such file"), 1, "libGL.so.1: no such file"),
        (FileNotFoundError(2, "No such file", "w.prototxt"), 1, "probe: w.prototxt: No such file"),
        (KeyboardInterrupt(), 130, "interrupted"),
    ],
)
def test_errors_are_one_line_and_a_code(verb, error, code, line, capsys, monkeypatch):
    monkeypatch.delenv("P3D_DEBUG", raising=False)
    verb(fail(error))
    assert cli.main(["probe"]) == code
    out, err = capsys.readouterr()
    assert err.strip().startswith("p3d probe: ")
    assert err.strip().endswith(line)
    assert len(err.strip().splitlines()) == 1
    assert out == ""


def test_debug_shows_the_traceback(verb, monkeypatch):
    monkeypatch.setenv("P3D_DEBUG", "1")
    verb(fail(p3d.Error("x")))
    with pytest.raises(p3d.Error):
        cli.main(["probe"])


def test_a_mistake_of_ours_is_not_hidden(verb):
    verb(fail(ZeroDivisionError()))
    with pytest.raises(ZeroDivisionError):
        cli.main(["probe"])


def test_warnings_are_one_line(verb, capsys):
    def run(args):
        warnings.simplefilter("always")
        warnings.warn("frames are\nmissing", stacklevel=1)

    verb(run)
    assert cli.main(["probe"]) == 0
    assert capsys.readouterr().err == "p3d: warning: frames are missing\n"


@pytest.mark.parametrize("closed", [">&-", "2>&-", "<&- >&- 2>&-"])
def test_standard_streams_may_be_closed(closed, tmp_path):
    """A decoder is asked over pipes that must not have their numbers."""
    video = write_video(tmp_path / "a.mp4", 3)
    command = [sys.executable, "-m", "p3d", "flow", video, "--out", tmp_path, "--size", "16"]
    assert subprocess.run(["sh", "-c", f'"$@" {closed}', "sh", *command]).returncode == 0
    assert (tmp_path / "a" / "flow_x_00002.jpg").exists()


def test_a_reader_that_goes_away_is_no_error():
    code = (
        "import sys; from p3d import cli; sys.argv = ['p3d', 'models', 'p3d199-kinetics']\n"
        "sys.exit(cli.main())"
    )
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run([sys.executable, "-c", code], stdout=write, stderr=subprocess.PIPE)
    os.close(write)
    assert done.stderr == b""
    assert done.returncode == 141


def test_a_log_that_nobody_set_up_has_the_form_of_warnings(verb, capsys):
    def run(args):
        logging.getLogger("p3d.nobody").warning("odd\nclips of %s", "a.npy")
        return 0

    verb(run)
    bare = logging.lastResort
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(logging.getLogger(), "handlers", [])  # pytest's
        assert cli.main(["probe"]) == 0
    assert capsys.readouterr().err == "p3d: warning: odd clips of a.npy\n"
    assert logging.lastResort is bare
