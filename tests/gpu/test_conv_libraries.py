"""What does the convolutions of the GPU: our own kernels, cuDNN or cuBLASLt. Simulated libraries on
the simulated GPU, and the real cuDNN.

To look at that, which needs no GPU:

    P3D_TEST_CUDNN=FOLDER  nvidia/cudnn of the wheel nvidia-cudnn-cu13, beside what it depends on

It is only asked there, and compiles; a libcuda.so.1 has to be there, if only to be linked with.
"""

from __future__ import annotations

import os
import random
import shutil
import subprocess
from pathlib import Path

import cpp
import nvcc
import pytest

ROOT = Path(__file__).parents[2]
TINY = ROOT / "tests" / "golden" / "tiny"
CASE = "2 8 16 1 zero 3,1,1,1,0,0 5,3,1,1,1,1 6,3,1,1,1,1"
FORWARD = f"forward bf16 {CASE} scale"
PRODUCT = "2 8 16 1 zero 3,1,1,1,0,0 5,1,1,1,0,0"
WAYS = {f"{library}_{number}" for library in ("cudnn", "cublaslt") for number in range(3)}
# Our own that can do each form of CASE and PRODUCT, in the order in which they are timed, before
# the libraries' ways.
OWN = [
    "own_wgmma_64x64",
    "own_wgmma_128x128",
    "own_wgmma_128x64",
    "own_mma_128x128",
    "own_mma_128x64",
    "own_mma_64x64",
    "own_mma_64x64_single",
]


def seconds(own: object, *libraries: object) -> str:
    """What is measured for one form: of each of our own kernels, then of the libraries' ways."""
    return " ".join(map(str, [*[own] * len(OWN), *libraries, ""]))


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
            "P3D_SIMULATED_CUBLASLT_LOG": str(tmp_path / "log"),
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
    """The numbers of the libraries' ways in the order in which they were run; forgets them."""
    log = folder / "log"
    lines = log.read_text().split() if log.exists() else []
    log.unlink(missing_ok=True)
    return lines


def by_cudnn(form: str) -> bool:
    """Whether cuDNN is asked for it: channels of a group in eights, or fours; zeros as padding."""
    _, kind, _, channels, outputs, group, mode, *_ = form.split()
    step = 4 if kind == "tf32" else 8
    whole = all(int(count) // int(group) % step == 0 for count in (channels, outputs))
    return whole and mode == "zero"


def by_cublaslt(form: str) -> bool:
    """Whether cuBLASLt is: a product of matrices with an epilogue that it has."""
    words = form.split()
    axes = [word.split(",", 1)[1] for word in words[7:] if word[0].isdigit()]
    still = all(axis in ("1,1,1,0,0", "1,1,2,0,0") for axis in axes)
    residual = next((word for word in words if word.startswith("residual")), "residual,1,1")
    weighed = not residual.startswith("residual,1,") and "shift" in words
    inner = "relu" in words and residual in words
    return words[5] == "1" and still and not inner and not weighed


@pytest.mark.parametrize("pin", ["cudnn_1", "cublaslt"])
def test_every_form_is_right(convolve, pin: str) -> None:
    chosen, _ = convolve("all", P3D_CONVOLUTION=pin)
    can = by_cudnn if "cudnn" in pin else by_cublaslt
    way = pin if "_" in pin else f"{pin}_0"
    assert chosen == {form: way if can(form) else "own" for form in chosen}
    for use in ("forward", "data_gradient", "weight_gradient"):
        for kind in ("tf32", "bf16", "fp16"):
            done = [form for form in chosen if form.startswith(f"{use} {kind}") and can(form)]
            assert done, (use, kind)


def test_every_winner_is_right(convolve) -> None:
    rng = random.Random(0)
    times = " ".join(str(rng.randint(1, 30)) for _ in range(2000))
    few = [
        "3 8 8 1 zero 2,1,1,1,0,0 3,1,1,1,0,0",
        "2 5 4 1 zero 5,1,1,1,0,0",
        "1 8 8 1 zero 5,3,2,1,1,1",
    ]
    chosen, _ = convolve("all", PRODUCT, *few, P3D_SIMULATED_SECONDS=times)
    winners = {*chosen.values()}
    assert len(winners & {*WAYS}) >= 4
    assert len(winners & {*OWN}) >= 4
    for form, way in chosen.items():
        assert by_cudnn(form) or "cudnn" not in way, form
        assert by_cublaslt(form) or "cublaslt" not in way, form


@pytest.mark.parametrize(
    ("case", "times", "winner"),
    [
        (CASE, (1, 2, 3, 4), OWN[0]),
        (CASE, (4, 2, 3, 4), "cudnn_0"),
        (CASE, (4, 3, 2, 3), "cudnn_1"),
        (CASE, (4, 3, 2, 1), "cudnn_2"),
        (CASE, (2, 2, 2, 2), OWN[0]),
        (CASE, (100, 99, 96, 96), OWN[0]),
        (CASE, (100, 99, 94, 96), "cudnn_1"),
        (PRODUCT, (1, 2, 3, 4, 2, 3, 4), OWN[0]),
        (PRODUCT, (4, 3, 2, 3, 2, 3, 4), "cudnn_1"),
        (PRODUCT, (4, 3, 3, 3, 2, 3, 4), "cublaslt_0"),
        (PRODUCT, (4, 3, 3, 3, 3, 2, 1), "cublaslt_2"),
    ],
)
def test_the_fastest_is_chosen(convolve, case: str, times: tuple[int, ...], winner: str) -> None:
    chosen, _ = convolve("one", case, P3D_SIMULATED_SECONDS=seconds(*times))
    assert chosen[f"forward bf16 {case} scale"] == winner


@pytest.mark.parametrize("number", range(len(OWN)))
def test_the_fastest_of_our_own_is_chosen(convolve, tmp_path: Path, number: int) -> None:
    times = [9] * len(OWN)
    times[number] = 8
    words = " ".join(map(str, times))
    chosen, printed = convolve("one", CASE, folder=tmp_path, P3D_SIMULATED_SECONDS=words)
    assert chosen[FORWARD] == OWN[number]
    assert "are compared" not in printed, "it takes no time"
    # It is kept, and may be pinned.
    assert convolve("one", CASE, folder=tmp_path)[0][FORWARD] == OWN[number]
    pinned, _ = convolve("one", CASE, P3D_CONVOLUTION=OWN[number])
    assert set(pinned.values()) == {OWN[number]}


def test_sums_in_one_piece_may_win(convolve) -> None:
    """Where the shape is one whose sums on tensor cores are cut into slices."""
    case = "1 1024 64 1 zero 1,1,1,1,0,0 3,1,1,1,0,0 3,1,1,1,0,0"
    times = "9 9 9 5 " + "9 " * 99  # the second of the second kernel
    chosen, _ = convolve("one", case, P3D_SIMULATED_SECONDS=times)
    assert chosen[f"forward bf16 {case} scale"] == "own_wgmma_128x128_unsliced"
    for name in ("own_mma_64x64", "own_mma_64x64_unsliced"):
        chosen, _ = convolve("one", case, P3D_CONVOLUTION=name)
        assert chosen[f"forward bf16 {case} scale"] == name


def test_comparisons_end(convolve, tmp_path: Path) -> None:
    chosen, printed = convolve("one", CASE, P3D_CONVOLUTION_SECONDS="0")
    assert set(chosen.values()) == {"own"}
    assert "are compared" not in printed
    assert not (tmp_path / "cache").exists()
    few = {"P3D_CONVOLUTION_SECONDS": "1e-9", "P3D_SIMULATED_SECONDS": seconds(4, 2, 3, 3)}
    chosen, _ = convolve("one", CASE, **few)
    assert sorted(chosen.values()) == ["cudnn_0", OWN[0], OWN[0]]
    times = seconds(4, 3, 1, 2) + seconds(4, 3, 2, 1)
    chosen, _ = convolve("one", CASE, P3D_SIMULATED_SECONDS=times)
    assert sorted(chosen.values()) == ["cudnn_0", "cudnn_1", "cudnn_2"]


def test_a_comparison_is_announced_once(convolve) -> None:
    line = "caffe-p3d: ways to do convolutions are compared on this GPU, which takes seconds"
    _, printed = convolve("one", CASE)
    assert printed.count(line) == 1
    _, printed = convolve("one", CASE)  # kept
    assert line not in printed


NO_OTHER = {"P3D_SIMULATED_CUDNN_PLANS": "0"}


@pytest.fixture
def plans(convolve, tmp_path: Path) -> list[Path]:
    """What a process left that has chosen cuDNN's second way for each of three forms."""
    times = seconds(4, 3, 1, 2) * 3
    chosen, _ = convolve("one", CASE, P3D_SIMULATED_SECONDS=times)
    assert set(chosen.values()) == {"cudnn_1"}
    return sorted(path for path in (tmp_path / "cache").glob("convolutions-*/*"))


def test_plans_are_compiled_once(convolve, plans: list[Path], tmp_path: Path) -> None:
    assert len(plans) == 3
    before = [path.stat().st_mtime_ns for path in plans]
    runs(tmp_path)
    chosen, _ = convolve("one", CASE, **NO_OTHER)
    assert set(chosen.values()) == {"cudnn_1"}
    assert set(runs(tmp_path)) == {"1"}
    assert [path.stat().st_mtime_ns for path in plans] == before
    # Those of another version are not asked for.
    chosen, _ = convolve("one", CASE, P3D_SIMULATED_CUDNN_VERSION="92900", **NO_OTHER)
    assert not any("cudnn" in way for way in chosen.values())


@pytest.mark.parametrize("damage", ["cut off", "another byte", "another plan", "empty", "none"])
def test_damaged_plans_are_compiled_anew(convolve, plans: list[Path], damage: str) -> None:
    good = [path.read_bytes() for path in plans]
    for path, other in zip(plans, [*good[1:], good[0]], strict=True):
        text = path.read_bytes()
        if damage == "none":
            path.unlink()
        else:
            path.write_bytes({
                "cut off": text[:-9], "another byte": text[:-9] + b"\0" + text[-8:],
                "another plan": other, "empty": b"",
            }[damage])  # fmt: skip
    chosen, _ = convolve("one", CASE, P3D_SIMULATED_SECONDS=seconds(4) * 3, **NO_OTHER)
    assert set(chosen.values()) == {OWN[0]}
    for path, text in zip(plans, good, strict=True):
        path.unlink(missing_ok=True)
        path.write_bytes(text[:-1])
    cache = plans[0].parent.with_suffix(".txt")
    cache.write_text(cache.read_text().replace(OWN[0], "cudnn_1"))
    chosen, _ = convolve("one", CASE)
    assert set(chosen.values()) == {"cudnn_1"}
    assert [path.read_bytes() for path in plans] == good


@pytest.mark.parametrize("pin", [None, "cudnn"])
def test_our_own_do_it_where_a_library_has_no_room(
    convolve, plans: list[Path], pin: str | None
) -> None:
    variables = {"P3D_CONVOLUTION": pin} if pin else {}
    chosen, _ = convolve("one", CASE, P3D_SIMULATED_MIB="1", **variables)
    assert set(chosen.values()) == {"own"}


def test_a_pinned_choice_is_not_timed_or_kept(convolve, tmp_path: Path) -> None:
    chosen, printed = convolve("one", CASE, P3D_CONVOLUTION="own")
    assert chosen[FORWARD] == "own"
    assert "are compared" not in printed
    assert runs(tmp_path) == []
    chosen, _ = convolve("one", CASE, P3D_CONVOLUTION="cudnn_2")
    assert chosen[FORWARD] == "cudnn_2"
    assert set(runs(tmp_path)) == {"2"}
    for odd in ("cudnn_3", "cudnn_", "cudnn_x", "cublaslt_3", "cublaslt_9999999", "nonsense"):
        chosen, _ = convolve("one", PRODUCT, P3D_CONVOLUTION=odd)
        assert set(chosen.values()) == {"own"}, odd
    assert not (tmp_path / "cache").exists()


@pytest.mark.parametrize(("library", "case"), [("cudnn", CASE), ("cublaslt", PRODUCT)])
def test_what_is_wrong_is_not_chosen(convolve, library: str, case: str) -> None:
    lies = {f"P3D_SIMULATED_{library.upper()}_LIES": "0 1 2", "P3D_SIMULATED_SECONDS": "9 " * 99}
    lie = f"{library}_1 is not used for a convolution, its results are "
    chosen, printed = convolve("one", case, **lies)
    assert not any(way.startswith(library) for way in chosen.values())
    assert printed.count(lie) == 3
    assert printed.count(f"largest value off: forward bf16 {case} scale\n") == 3
    chosen, printed = convolve("one", case, P3D_CONVOLUTION=f"{library}_1", **lies)
    assert set(chosen.values()) == {"own"}
    assert printed.count(lie) == 3


def test_what_fails_is_not_chosen(convolve) -> None:
    fails = {"P3D_SIMULATED_CUDNN_FAILS": "0 2", "P3D_SIMULATED_CUBLASLT_FAILS": "0 1 2"}
    chosen, _ = convolve("one", CASE, P3D_SIMULATED_SECONDS=seconds(4, 3, 2), **fails)
    assert chosen[FORWARD] == "cudnn_1"
    chosen, _ = convolve("one", PRODUCT, P3D_CONVOLUTION="cublaslt", **fails)
    assert set(chosen.values()) == {"own"}


def test_what_cublaslt_does_not_have_is_not_chosen(convolve) -> None:
    pin = {"P3D_CONVOLUTION": "cublaslt"}
    chosen, _ = convolve("one", PRODUCT, P3D_SIMULATED_CUBLASLT_UNFIT="0 2", **pin)
    assert set(chosen.values()) == {"cublaslt_1"}
    chosen, _ = convolve("one", PRODUCT, P3D_SIMULATED_CUBLASLT_PLANS="0", **pin)
    assert set(chosen.values()) == {"own"}
    chosen, printed = convolve("one", PRODUCT, P3D_SIMULATED_CUBLASLT_SAME="yes", **pin)
    refusal = f"cublaslt does not do every convolution (weight_gradient bf16 {PRODUCT}: cuBLASLt"
    assert printed.count(refusal) == printed.count("does not do every") == 1
    assert chosen.pop(f"weight_gradient bf16 {PRODUCT}") == "own"
    assert set(chosen.values()) == {"cublaslt_0"}


def test_there_is_one_of_them_or_none(convolve, tmp_path: Path) -> None:
    cure = "; pip install 'caffe-p3d[cuda]'"
    chosen, printed = convolve("one", PRODUCT, folder=tmp_path)
    if "cuDNN 9." not in printed and "cuBLASLt 1" not in printed:  # else the loader knows one
        assert {way.split("_")[0] for way in chosen.values()} == {"own"}
        for title, file in (("cuDNN", "libcudnn.so.9"), ("cuBLASLt", "libcublasLt.so.13")):
            assert f"no {title} ({file}: cannot open" in printed
        assert printed.count(cure) == 2
    folder = tmp_path / "alone"
    folder.mkdir()
    (folder / "libcublasLt.so.13").symlink_to(cpp.build("gpu") / "libcublasLt.so.13")
    chosen, printed = convolve("one", PRODUCT, folder=folder, P3D_CONVOLUTION="cublaslt")
    assert "cuBLASLt 13.10.0" in printed
    assert set(chosen.values()) == {"cublaslt_0"}
    chosen, printed = convolve("one", CASE, folder=folder)
    assert set(chosen.values()) == {OWN[0]} or "no cuDNN" not in printed  # it is no product
    (folder / "libcublasLt.so.13").unlink()
    (folder / "libcudnn.so.9").symlink_to(cpp.build("gpu") / "libcudnn.so.9")
    chosen, printed = convolve("one", CASE, folder=folder, P3D_CONVOLUTION="cudnn")
    if "cuDNN 9.28.1" not in printed:
        assert "no cuBLASLt, which cuDNN needs (libcublasLt.so.13: cannot open" in printed
        assert set(chosen.values()) == {"own"}


def test_what_cudnn_compiles_with_is_there(run, path: str, tmp_path: Path) -> None:
    """Under the names by which it is asked for, wherever the loader looks."""
    names = ("libnvrtc-builtins.so.13.0", "libnvrtc.so.13")
    for name in names:
        shutil.copy(cpp.build("gpu") / "libcublasLt.so.13", tmp_path / "nvidia/cu13/lib" / name)
    code = "from p3d import gpu; gpu.libraries(); print(open('/proc/self/maps').read())"
    loaded = run("-c", code, PYTHONPATH=path).stdout
    assert all(f"nvidia/cu13/lib/{name}" in loaded for name in names)


def test_a_cudnn_that_is_old_or_has_nothing(convolve) -> None:
    chosen, printed = convolve("one", CASE, P3D_SIMULATED_CUDNN_VERSION="91402")
    assert set(chosen.values()) == {OWN[0]}
    assert "cuDNN 9.14.2 is not used: before 9.15" in printed
    chosen, printed = convolve("one", CASE, P3D_SIMULATED_CUDNN_PLANS="0")
    assert set(chosen.values()) == {OWN[0]}
    assert "cuDNN 9.28.1" in printed


def test_a_cudnn_that_knows_a_form_in_one_mode_alone(convolve) -> None:
    pin = {"P3D_CONVOLUTION": "cudnn_1"}
    chosen, _ = convolve("one", CASE, P3D_SIMULATED_CUDNN_FALLBACK="yes", **pin)
    assert set(chosen.values()) == {"cudnn_1"}


BROKEN = {
    "CUDNN": "cuDNN 9.28.1 is not used: cuDNN fails in cudnnCreate: NOT_SUPPORTED "
    "(a part of cuDNN is missing)",
    "CUBLASLT": "cuBLASLt 13.10.0 is not used: cuBLASLt fails in cublasLtCreate: as it was told",
}


@pytest.mark.parametrize("broken", [["CUDNN"], ["CUBLASLT"], ["CUDNN", "CUBLASLT"]])
def test_what_does_not_start_is_not_used(convolve, broken: list[str]) -> None:
    variables = {f"P3D_SIMULATED_{name}_BROKEN": "yes" for name in broken}
    times = seconds(9, *[1] * 3 * (2 - len(broken))) * 3
    chosen, printed = convolve("one", PRODUCT, P3D_SIMULATED_SECONDS=times, **variables)
    for name, line in BROKEN.items():
        assert printed.count(f"caffe-p3d: {line}\n") == (name in broken), name
    others = {name.lower() for name in BROKEN if name not in broken}
    assert {way.split("_")[0] for way in chosen.values()} == others or {"own"}


def cached(folder: Path) -> Path:
    (path,) = (folder / "cache").glob("*.txt")
    return path


def test_choices_are_kept(convolve, tmp_path: Path) -> None:
    times = seconds(4, 3, 2, 3) + seconds(1, 2, 2, 2) + seconds(4, 3, 3, 1)
    chosen, _ = convolve("one", CASE, P3D_SIMULATED_SECONDS=times)
    assert sorted(chosen.values()) == ["cudnn_1", "cudnn_2", OWN[0]]
    assert len(set(runs(tmp_path))) == 3
    # Timed again, cudnn_0 would win.
    again, _ = convolve("one", CASE, P3D_SIMULATED_SECONDS=seconds(9, 1, 2, 3) * 3)
    assert again == chosen
    assert sorted(runs(tmp_path)) == ["1", "2"]
    # Another version's choices are others, whichever library's it is.
    convolve("one", CASE, P3D_SIMULATED_CUDNN_VERSION="92900")
    convolve("one", CASE, P3D_SIMULATED_CUBLASLT_VERSION="131100")
    assert len(list((tmp_path / "cache").glob("*.txt"))) == 3


def test_choices_of_cublaslt_are_kept(convolve, tmp_path: Path) -> None:
    chosen, _ = convolve("one", PRODUCT, P3D_SIMULATED_SECONDS=seconds(9, 4, 3, 3, 2, 1, 2) * 3)
    assert set(chosen.values()) == {"cublaslt_1"}
    runs(tmp_path)
    again, _ = convolve("one", PRODUCT, P3D_SIMULATED_SECONDS=seconds(1, 2, 3, 3, 2, 2, 2) * 3)
    assert again == chosen
    assert runs(tmp_path) == ["1"] * 3


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
    times = seconds(4, 2, 3, 4) * 3
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
    chosen, _ = convolve("one", CASE, P3D_SIMULATED_SECONDS=seconds(4, 2, 3, 4))
    assert chosen[FORWARD] == "cudnn_0"


@pytest.mark.parametrize(("library", "case"), [("cudnn", CASE), ("cublaslt", PRODUCT)])
def test_nothing_is_chosen_in_a_capture(convolve, library: str, case: str) -> None:
    chosen, _ = convolve("capture", case, P3D_CONVOLUTION=library)
    assert chosen[f"forward bf16 {case} scale"] == f"{library}_0"
    assert f"forward bf16 {case} shift" not in chosen


@pytest.fixture
def path(tmp_path: Path) -> str:
    """A PYTHONPATH that has the simulated libraries where pip puts the real ones."""
    for folder, name in (("cudnn", "libcudnn.so.9"), ("cu13", "libcublasLt.so.13")):
        at = tmp_path / "nvidia" / folder / "lib" / name
        at.parent.mkdir(parents=True)
        at.symlink_to(cpp.build("gpu") / name)
    return os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])


NET = """
import sys, numpy as np, p3d.caffe as caffe
from p3d import _core
net = caffe.Net(sys.argv[1], sys.argv[2], caffe.TEST)
def run(seed):
    data = net.blobs["data"].data
    data[...] = np.random.default_rng(seed).uniform(-100, 100, data.shape)
    return net.forward()["prob"].copy()
caffe.set_mode_cpu(), caffe.set_precision("float32")
want = [run(seed) for seed in range(3)]
caffe.set_device(0), caffe.set_mode_gpu(), caffe.set_precision("bf16")
for seed in range(3):
    np.testing.assert_allclose(run(seed), want[seed], rtol=0, atol=0.06)
print(_core.gpu_graph_launches(), *(step["kernel"] for step in net.profile()))
"""


@pytest.mark.parametrize("pin", ["own", "cudnn", "cublaslt"])
def test_a_net_is_done_by_it(run, path: str, pin: str) -> None:
    files = [TINY / "tiny.prototxt", TINY / "tiny_seeded.caffemodel"]
    pinned = {"PYTHONPATH": path, "P3D_PRECISION": "bf16", "P3D_CONVOLUTION": pin}
    done = run("-c", NET, *files, **pinned)
    assert done.returncode == 0, done.stderr
    launches, *kernels = done.stdout.split()
    assert launches == "2"
    for library in ("cudnn", "cublaslt"):
        assert (f"conv_bf16_{library}_0" in kernels) == (pin == library)
    assert any(name.startswith("conv_bf16_cuda_mma") for name in kernels)  # of three channels


def test_the_device_query_shows_it(run, path: str) -> None:
    query = run("-m", "p3d", "device_query", PYTHONPATH=path).stdout
    assert "\ncuDNN 9.28.1, cuBLASLt 13.10.0\n" in query
    old = run(
        "-m", "p3d", "device_query", PYTHONPATH=path, P3D_SIMULATED_CUDNN_VERSION="90000"
    ).stdout
    assert "cuDNN 9.0.0 is not used" in old
    assert ", cuBLASLt 13.10.0\n" in old


@pytest.fixture
def real() -> Path:
    folder = os.environ.get("P3D_TEST_CUDNN")
    if not folder:
        pytest.skip("P3D_TEST_CUDNN names no folder with a real cuDNN")
    return Path(folder)


@pytest.mark.parametrize(("library", "headers"), [("cudnn", "cudnn9"), ("cublaslt", "cublas")])
def test_our_numbers_are_those_of_the_real_header(library: str, headers: str) -> None:
    source = Path(__file__).with_name(f"check_{library}_api.cpp")
    folders = [ROOT / "layers", nvcc.headers(headers)]
    options = ["-std=c++14", "-x=cu", "-Xcompiler=-Wno-deprecated-declarations"]
    nvcc.compile_cuda([source], folders, archs=["90"], options=options)


def test_the_real_one_takes_our_convolutions(real: Path) -> None:
    program = cpp.target("real_cudnn", "plain", "-DP3D_PYTHON=OFF") / "tests" / "gpu" / "real_cudnn"
    command = [program, real / "lib", Path(__file__).with_name("h200.json"), CASE]
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, check=False)
    if "libcuda.so.1" in done.stderr:
        pytest.skip(done.stderr.splitlines()[-1])
    assert done.returncode == 0, done.stdout + done.stderr
