"""Which backend is taken, and what is said where there is none, with a stand-in for pycaffe."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from p3d import cli
from p3d.caffe import backend
from p3d.error import Error

pytestmark = pytest.mark.embedded

# As much of a pycaffe as is looked at before a net is made.
PYCAFFE = """
import os
from p3d.caffe import proto
from p3d.caffe.proto.caffe_pb2 import TEST, TRAIN
__version__ = "1.0.0"
class Net: pass
class Layer: pass
def layer_type_list(): return ["Input", "BN", "Pooling3D", "Convolution", "ROIPooling"]
def has_nccl(): return "asked " + os.environ["GLOG_minloglevel"]
"""
OLD_PROTO = """
class proto:
    class caffe_pb2:
        class LayerParameter:
            class DESCRIPTOR:
                fields_by_name = {"bn_param": 1}
"""
# A pycaffe that runs nets: those of the embedded engine.
RUNS = """
from types import SimpleNamespace
from p3d.caffe import proto
from p3d.caffe.embedded import *
from p3d.caffe.proto.caffe_pb2 import TEST, TRAIN
__version__ = "1.0.0"
_caffe = SimpleNamespace(Blob=object)
"""
USE = "import p3d.caffe as caffe\ncaffe.use('upstream')\n"


def python(folder: Path, script: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Runs a script that can import what lies in `folder`."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("GLOG", "P3D"))}
    return subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script)],
        env={**kept, "PYTHONPATH": str(folder), **environment},
        cwd=folder,
        capture_output=True,
        text=True,
    )


def pycaffe(folder: Path, text: str = PYCAFFE) -> None:
    (folder / "caffe").mkdir()
    (folder / "caffe" / "__init__.py").write_text(text)


def last_line(done: subprocess.CompletedProcess[str]) -> str:
    assert done.returncode == 1, done.stdout + done.stderr
    return done.stderr.strip().splitlines()[-1]


def test_embedded_is_the_default(tmp_path: Path) -> None:
    pycaffe(tmp_path, "raise KeyError('imported')")
    script = "import p3d.caffe as caffe; print(caffe.Net.__module__, caffe.backend.current())"
    assert python(tmp_path, script).stdout.split() == ["p3d.caffe.pycaffe", "embedded"]


@pytest.mark.parametrize(
    ("script", "environment"),
    [(USE, {}), ("import p3d.caffe as caffe\n", {"P3D_BACKEND": "upstream"})],
)
@pytest.mark.parametrize("level", [None, "0"])
def test_upstream(tmp_path: Path, script: str, environment: dict, level: str | None) -> None:
    pycaffe(tmp_path)
    if level is not None:
        environment = {**environment, "GLOG_minloglevel": level}
    show = "print(caffe.Net.__module__, caffe.Layer.__module__, caffe.TEST, caffe.has_nccl())"
    done = python(tmp_path, script + show, **environment)
    expected = f"p3d.caffe.upstream caffe 1 asked {level or 2}\n"
    assert done.stdout == expected, done.stderr


@pytest.mark.parametrize(
    ("package", "message"),
    [
        (None, "`import caffe` finds none: build one with `make pycaffe` and set PYTHONPATH"),
        ("", "which is no pycaffe: set PYTHONPATH to the folder python of a Caffe tree"),
        ("import skimage_of_the_tests", "pip install skimage_of_the_tests"),
        ("import caffe._caffe", "build it for this Python, 3."),
        ("raise ImportError('numpy.core.multiarray failed to import')", "pip install 'numpy<2'"),
        ("raise TypeError('Descriptors cannot be created directly.')", "protobuf==4.21.12"),
        ("raise ImportError('libcaffe.so.1.0.0: cannot open')", "libcaffe.so.1.0.0: cannot open"),
        (PYCAFFE.replace('"BN", "Pooling3D", ', ""), "no layers BN, Pooling3D: python tools/plug_"),
        (PYCAFFE.replace('"BN", ', ""), "no layers BN: python tools/plug_into_caffe.py"),
        (PYCAFFE + OLD_PROTO, "has the layer Pooling3D, but its caffe_pb2.py does not know"),
    ],
)
def test_no_caffe_that_could_be_used(tmp_path: Path, package: str | None, message: str) -> None:
    if package is not None:
        pycaffe(tmp_path, package)
    error = last_line(python(tmp_path, USE))
    assert error.startswith("p3d.error.Error: ")
    assert message in error


def test_a_folder_called_caffe_is_no_pycaffe(tmp_path: Path) -> None:
    (tmp_path / "caffe").mkdir()
    error = last_line(python(tmp_path, USE))
    assert f"{tmp_path / 'caffe'}, which is no pycaffe" in error


def test_use_comes_before_everything(tmp_path: Path) -> None:
    pycaffe(tmp_path)
    script = "import p3d.caffe as caffe\ncaffe.set_mode_cpu()\ncaffe.use('embedded')\n"
    error = last_line(python(tmp_path, script + USE))
    assert "already: call p3d.caffe.use('upstream') before anything else of p3d.caffe" in error


def test_install_and_upstream(tmp_path: Path) -> None:
    pycaffe(tmp_path)
    taken = "import sys, p3d.caffe as caffe\nsys.modules['caffe'] = caffe\n"
    assert "leave install() away" in last_line(python(tmp_path, taken + USE))
    done = python(tmp_path, USE + "caffe.install()\nimport caffe\nprint(caffe.__file__)")
    assert done.stdout == f"{tmp_path / 'caffe' / '__init__.py'}\n", done.stderr


@pytest.mark.parametrize(
    ("layer", "message"),
    [
        ('type: "BNN"', "BNN 'x': the Caffe at .* has no layer type BNN; did you mean 'BN'"),
        (
            'type: "BNN" bnn_param { }',
            "BNN 'x': the Caffe at .* has no layer type BNN; did you mean",
        ),
        ('type: "BN" bn_parm { }', "line 2 .*has no field 'bn_parm'; did you mean 'bn_param'"),
        ('type: "BN" bottom: "y"', "layer 'x' reads an unknown bottom blob 'y'"),
    ],
)
def test_faults_of_a_net_are_found_before_caffe_sees_it(
    tmp_path: Path, layer: str, message: str
) -> None:
    pycaffe(tmp_path)
    (tmp_path / "net.prototxt").write_text(f'name: "n"\nlayer {{ name: "x" {layer} }}')
    error = last_line(python(tmp_path, USE + "caffe.Net('net.prototxt', caffe.TEST)"))
    assert re.search(message, error), error


@pytest.mark.parametrize(
    ("file", "without"),
    [
        ("caffe/test_pycaffe.py", "nothing"),
        ("test_extract_end_to_end.py", "told_from or lengths or flow or demo"),  # large nets
    ],
)
def test_the_interface_keeps_its_promises(tmp_path: Path, file: str, without: str) -> None:
    """The same tests on the backend upstream, with a stand-in; upstream/ has the real one."""
    pycaffe(tmp_path, RUNS)
    options = ["-q", "-p", "no:cacheprovider", "-k", f"not ({without})"]
    command = ["-m", "pytest", *options, f"tests/{file}"]
    done = subprocess.run(
        [sys.executable, *command],
        env={**os.environ, "PYTHONPATH": str(tmp_path), "P3D_BACKEND": "upstream"},
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert int(done.stdout.rpartition(" passed")[0].split()[-1]) > 10, done.stdout


def test_threads_are_set_before_caffe_is_imported(tmp_path: Path) -> None:
    pycaffe(tmp_path, PYCAFFE.replace("GLOG_minloglevel", "OPENBLAS_NUM_THREADS"))
    script = f"import p3d.caffe as caffe\ncaffe.backend.choose('upstream')\n{{}}\n{USE}{{}}\n"
    count = "caffe.backend.set_num_threads({})"
    ask = "print(caffe.has_nccl())"
    same = python(tmp_path, script.format(count.format(3), f"{count.format(3)}; {ask}"))
    assert same.stdout == "asked 3\n", same.stderr
    late = python(tmp_path, script.format("", count.format(3)))
    assert "set P3D_NUM_THREADS and OPENBLAS_NUM_THREADS before" in last_line(late)


def test_unknown_backends(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(Error, match="no backend 'cafe'; there are embedded, upstream"):
        backend.use("cafe")


@pytest.mark.parametrize("place", ["before", "before=", "after", "environment"])
def test_command_line(tmp_path: Path, place: str) -> None:
    """The choice reaches the verb; a verb that runs no net asks for no Caffe, and has no option."""
    net = ["p3d63-kinetics"]
    arguments = {
        "before": ["--backend", "upstream", "export", *net],
        "before=": ["-backend=upstream", "export", *net],
        "after": ["export", *net, "--backend", "upstream"],
        "environment": ["export", *net],
    }[place]
    environment = {"P3D_BACKEND": "upstream"} if place == "environment" else {}
    run = "from p3d.cli import main; raise SystemExit(main({!r}))"
    done = python(tmp_path, run.format([*arguments, "-o", "x.onnx"]), **environment)
    assert "p3d export: the backend upstream needs a real Caffe" in last_line(done)
    arguments[arguments.index("export")] = "models"
    code = 0 if place == "environment" else 2
    assert python(tmp_path, run.format(arguments), **environment).returncode == code


def test_command_line_with_an_unknown_backend(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["time", "--backend", "cafe"]) == 2
    assert "embedded" in capsys.readouterr().err
