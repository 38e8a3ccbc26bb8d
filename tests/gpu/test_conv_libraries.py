"""cuDNN among the convolutions of the GPU: a simulated one on the simulated GPU, and the real one.

To look at the real one, which needs no GPU for that:

    P3D_TEST_CUDNN=FOLDER  with lib/ of the wheel nvidia-cudnn-cu13

It is only asked there, and compiles; a libcuda.so.1 has to be there, if only to be linked with.
"""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import cpp
import nvcc
import pytest

ROOT = Path(__file__).parents[2]
TINY = ROOT / "tests" / "golden" / "tiny"
CASE = "2 8 16 1 zero 3,1,1,1,0,0 5,3,1,1,1,1 6,3,1,1,1,1"
FORWARD = f"forward bf16 {CASE} scale"


@pytest.fixture
def convolve(tmp_path: Path):
    """Runs the C++ program; returns what was chosen for every form, and what it printed."""

    def convolve(scenario: str, *cases: str, folder: object = None, **variables: str):
        programs = cpp.build("gpu")
        command = [
            programs / "test_conv_libraries",
            programs / "simulated_gpu.so",
            folder or programs,
            tmp_path / "cache",
            scenario,
            *cases,
        ]
        environment = {
            **{key: value for key, value in os.environ.items() if key != "P3D_CONVOLUTION"},
            "P3D_SIMULATED_CUDNN_LOG": str(tmp_path / "log"),
            **variables,
        }
        done = subprocess.run(
            list(map(str, command)), env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, f"{command}\n{variables}\n{done.stdout}{done.stderr}"
        lines = (line.split("\t") for line in done.stdout.splitlines() if "\t" in line)
        return {form: choice for choice, form in lines}, done.stdout + done.stderr

    return convolve


def runs(folder: Path) -> list[str]:
    """The numbers of cuDNN's plans in the order in which they were run; forgets them."""
    log = folder / "log"
    lines = log.read_text().split() if log.exists() else []
    log.unlink(missing_ok=True)
    return lines


@pytest.mark.parametrize("pin", ["cudnn", "cudnn_1", ""])
def test_every_form_is_right(convolve, pin: str) -> None:
    # The race's times make another one win each time.
    seconds = "9 1 2 3 9 2 1 3 9 3 2 1 1 2 3 4 " * 60
    chosen, _ = convolve("all", P3D_CONVOLUTION=pin, P3D_SIMULATED_SECONDS=seconds)
    pinned = {"cudnn": {"cudnn_0"}, "cudnn_1": {"cudnn_1"}}
    assert set(chosen.values()) == pinned.get(pin, {"own", "cudnn_0", "cudnn_1", "cudnn_2"})
    for use in ("forward", "data_gradient", "weight_gradient"):
        for kind in ("tf32", "bf16", "fp16"):
            assert any(form.startswith(f"{use} {kind}") for form in chosen), (use, kind)
    # What cuDNN is not asked for.
    asked = [form.split() for form in chosen]
    assert all("replicate" not in form for form in asked)
    assert all(int(form[3]) % 8 == 0 and form[5] != "16" for form in asked)


@pytest.mark.parametrize(
    ("seconds", "winner"),
    [
        ("1 2 3 4", "own"),
        ("4 2 3 4", "cudnn_0"),
        ("4 3 2 3", "cudnn_1"),
        ("4 3 2 1", "cudnn_2"),
        ("2 2 2 2", "own"),
    ],
)
def test_the_fastest_is_chosen(convolve, seconds: str, winner: str) -> None:
    chosen, _ = convolve("one", CASE, P3D_SIMULATED_SECONDS=seconds)
    assert chosen[FORWARD] == winner


def test_a_pinned_choice_is_not_timed_or_kept(convolve, tmp_path: Path) -> None:
    chosen, _ = convolve("one", CASE, P3D_CONVOLUTION="own")
    assert chosen[FORWARD] == "own"
    assert runs(tmp_path) == []
    chosen, _ = convolve("one", CASE, P3D_CONVOLUTION="cudnn_2")
    assert chosen[FORWARD] == "cudnn_2"
    assert set(runs(tmp_path)) == {"2"}
    for odd in ("cudnn_3", "cudnn_", "cudnn_x", "nonsense"):
        chosen, _ = convolve("one", CASE, P3D_CONVOLUTION=odd)
        assert chosen[FORWARD] == "own", odd
    assert not (tmp_path / "cache").exists()


def test_what_is_wrong_is_not_chosen(convolve) -> None:
    slow_own = "9 " * 40
    lies = {"P3D_SIMULATED_SECONDS": slow_own, "P3D_SIMULATED_CUDNN_LIES": "0 1 2"}
    chosen, printed = convolve("one", CASE, P3D_CONVOLUTION="", **lies)
    assert set(chosen.values()) == {"own"}
    assert printed.count(f"largest value off: {FORWARD}\n") == 3
    chosen, printed = convolve("one", CASE, P3D_CONVOLUTION="cudnn_1", **lies)
    assert set(chosen.values()) == {"own"}
    assert printed.count(f"largest value off: {FORWARD}\n") == 1


def test_what_fails_is_not_chosen(convolve) -> None:
    chosen, _ = convolve(
        "one", CASE, P3D_SIMULATED_SECONDS="4 3 2", P3D_SIMULATED_CUDNN_FAILS="0 2"
    )
    assert chosen[FORWARD] == "cudnn_1"


def test_no_cudnn_and_an_old_one(convolve, tmp_path: Path) -> None:
    chosen, printed = convolve("one", CASE, folder=tmp_path)
    if "cuDNN 9." not in printed:  # else the loader knows one
        assert not chosen
        assert "no cuDNN" in printed
        assert "pip install 'caffe-p3d[cuda]'" in printed
    chosen, printed = convolve("one", CASE, P3D_SIMULATED_CUDNN_VERSION="91402")
    assert not chosen
    assert "cuDNN 9.14.2 is not used: before 9.15" in printed
    chosen, printed = convolve("one", CASE, P3D_SIMULATED_CUDNN_PLANS="0")
    assert set(chosen.values()) == {"own"}
    assert "cuDNN 9.28.1" in printed


def test_a_cudnn_that_does_not_start(convolve) -> None:
    chosen, printed = convolve("one", CASE, P3D_SIMULATED_CUDNN_BROKEN="yes")
    assert not chosen
    reason = "cuDNN fails in cudnnCreate: NOT_SUPPORTED (a part of cuDNN is missing)"
    assert printed.count(f"caffe-p3d: cuDNN is not used: {reason}") == 1


def cached(folder: Path) -> Path:
    (path,) = (folder / "cache").iterdir()
    return path


def test_choices_are_kept(convolve, tmp_path: Path) -> None:
    chosen, _ = convolve("one", CASE, P3D_SIMULATED_SECONDS="4 3 2 3 1 2 2 2 4 3 3 1")
    assert sorted(chosen.values()) == ["cudnn_1", "cudnn_2", "own"]
    assert len(set(runs(tmp_path))) == 3
    # Timed again, cudnn_0 would win.
    again, _ = convolve("one", CASE, P3D_SIMULATED_SECONDS="9 1 2 3 9 1 2 3 9 1 2 3")
    assert again == chosen
    assert sorted(runs(tmp_path)) == ["1", "2"]
    # Another version's choices are others.
    convolve("one", CASE, P3D_SIMULATED_CUDNN_VERSION="92900")
    assert len(list((tmp_path / "cache").iterdir())) == 2


@pytest.mark.parametrize(
    "text",
    [
        "",
        "another system\ncudnn_1\t" + FORWARD + "\n",
        "{system}\nno tab",
        "{system}\ncudnn_9\t" + FORWARD + "\n",
        "{system}\ncudnn_1x\t" + FORWARD + "\n",
        "{system}\n\x00\xff\t" + FORWARD + "\n",
    ],
)
def test_a_damaged_file_is_made_again(convolve, tmp_path: Path, text: str) -> None:
    times = "4 2 3 4 " * 3
    chosen, _ = convolve("one", CASE, P3D_SIMULATED_SECONDS=times)
    path = cached(tmp_path)
    good = path.read_text()
    path.write_text(text.replace("{system}", good.splitlines()[0]), encoding="latin1")
    again, _ = convolve("one", CASE, P3D_SIMULATED_SECONDS=times)
    assert again == chosen
    assert path.read_text() == good


def test_a_writer_that_was_killed_leaves_the_old_file(convolve, tmp_path: Path) -> None:
    chosen, _ = convolve("one", CASE)
    path = cached(tmp_path)
    path.with_name(path.name + ".1").write_text("half a li")
    assert convolve("one", CASE)[0] == chosen


def test_a_folder_that_cannot_be_written(convolve, tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("a file")
    chosen, _ = convolve("one", CASE, P3D_SIMULATED_SECONDS="4 2 3 4")
    assert chosen[FORWARD] == "cudnn_0"


def test_nothing_is_chosen_in_a_capture(convolve) -> None:
    chosen, _ = convolve("capture", CASE, P3D_CONVOLUTION="cudnn")
    assert chosen[FORWARD] == "cudnn_0"
    assert f"forward bf16 {CASE} shift" not in chosen


@pytest.fixture
def path(tmp_path: Path) -> str:
    """A PYTHONPATH that has the simulated cuDNN where pip puts the real one."""
    folder = tmp_path / "nvidia" / "cudnn" / "lib"
    folder.mkdir(parents=True)
    (folder / "libcudnn.so.9").symlink_to(cpp.build("gpu") / "libcudnn.so.9")
    return os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])


NET = """
import sys, numpy as np, p3d.caffe as caffe
from p3d import _core
net = caffe.Net(sys.argv[1], sys.argv[2], caffe.TEST)
def run(seed):
    data = net.blobs["data"].data
    data[...] = np.random.default_rng(seed).uniform(-100, 100, data.shape)
    return net.forward()["prob"].copy()
caffe.set_mode_cpu()
want = [run(seed) for seed in range(3)]
caffe.set_device(0), caffe.set_mode_gpu()
for seed in range(3):
    np.testing.assert_allclose(run(seed), want[seed], rtol=0, atol=0.06)
print(_core.gpu_graph_launches(), *(step["kernel"] for step in net.profile()))
"""


@pytest.mark.parametrize("pin", ["own", "cudnn"])
def test_a_net_is_done_by_it(run, path: str, pin: str) -> None:
    files = [TINY / "tiny.prototxt", TINY / "tiny_seeded.caffemodel"]
    pinned = {"PYTHONPATH": path, "P3D_PRECISION": "bf16", "P3D_CONVOLUTION": pin}
    done = run("-c", NET, *files, **pinned)
    assert done.returncode == 0, done.stderr
    launches, *kernels = done.stdout.split()
    assert launches == "2"
    assert ("conv_bf16_cudnn_0" in kernels) == (pin == "cudnn")
    assert any(name.startswith("conv_bf16_cuda_mma") for name in kernels)  # of three channels


def test_the_device_query_shows_it(run, path: str) -> None:
    assert "cuDNN 9.28.1" in run("-m", "p3d", "device_query", PYTHONPATH=path).stdout
    old = run(
        "-m", "p3d", "device_query", PYTHONPATH=path, P3D_SIMULATED_CUDNN_VERSION="90000"
    ).stdout
    assert "cuDNN 9.0.0 is not used" in old


@pytest.fixture
def real() -> Path:
    folder = os.environ.get("P3D_TEST_CUDNN")
    if not folder:
        pytest.skip("P3D_TEST_CUDNN names no folder with a real cuDNN")
    return Path(folder)


def test_our_numbers_are_those_of_the_real_header() -> None:
    source = Path(__file__).with_name("check_cudnn_api.cpp")
    folders = [ROOT / "layers", nvcc.headers("cudnn9")]
    options = ["-std=c++14", "-x=cu", "-Xcompiler=-Wno-deprecated-declarations"]
    nvcc.compile_cuda([source], folders, archs=["90"], options=options)


def test_the_real_one_takes_our_convolutions(real: Path) -> None:
    program = cpp.target("real_cudnn", "plain", "-DP3D_PYTHON=OFF") / "tests" / "gpu" / "real_cudnn"
    command = [program, real / "lib", Path(__file__).with_name("h200.json"), CASE]
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, check=False)
    if "libcuda.so.1" in done.stderr:
        pytest.skip(done.stderr.splitlines()[-1])
    assert done.returncode == 0, done.stdout + done.stderr
