"""gpu_check.py on a machine without a GPU, and what it makes of programs' results."""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path
from typing import Any

import cpp
import gpu_check
import pytest
from benchmarking import gpu_targets
from benchmarking.gpu_systems import peaks
from benchmarking.gpu_targets import Target
from caffe_trees import write_tree
from gpu_checking import comparisons, in_caffe, machine, nets, running, videos

TINY = Path(__file__).parents[1] / "golden" / "tiny" / "tiny.prototxt"


def test_it_says_what_is_missing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def no_library(name: str) -> None:
        raise OSError(name)

    monkeypatch.setattr(machine.ctypes, "CDLL", no_library)
    monkeypatch.setenv("PATH", "")
    assert gpu_check.main([]) == 2
    error = capsys.readouterr().err
    assert "nothing was verified: there is no NVIDIA driver" in error
    assert "cmake is not on the PATH; pip install cmake" in error


@pytest.mark.parametrize(
    ("only", "failing", "whats"),
    [
        ([], "p3d_cuda", ["p3d_cuda"]),
        ([], "kernel", ["p3d_cuda", "kernel", "net", "bf16", "tf32", "target", "videos", "videos"]),
        (["--only", "targets"], "net", ["p3d_cuda", "bf16", "tf32", "target"]),
    ],
)
def test_all_goes_on_but_where_nothing_was_built(
    only: list[str],
    failing: str,
    whats: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def row(what: str, *_: Any) -> running.Row:
        return running.Row(what, what != failing, f"of {what}")

    monkeypatch.setattr(gpu_check, "what_is_missing", lambda tests: [])
    monkeypatch.setattr(gpu_check, "device_query", lambda library: None)
    monkeypatch.setattr(gpu_check, "_build", lambda work: row("p3d_cuda"))
    monkeypatch.setattr(gpu_check, "choose", lambda library, net, precision: row(precision))
    for name, what in (("kernels", "kernel"), ("nets", "net"), ("targets", "target")):
        monkeypatch.setattr(gpu_check, f"check_{name}", lambda *_, what=what: iter([row(what)]))
    for name in ("extraction", "training"):
        monkeypatch.setattr(gpu_check, f"check_{name}", lambda *_: row("videos"))
    figures = tmp_path / "figures.json"
    assert gpu_check.main([*only, "--json", str(figures)]) == (failing in whats)
    table = [line.split()[0] for line in capsys.readouterr().out.splitlines()[1:-1]]
    assert table == whats
    assert [row["what"] for row in json.loads(figures.read_text())["rows"][:-1]] == whats


class Driver:
    """In the place of libcuda.so.1: of CUDA 12.8, with one GPU."""

    def __init__(self, name: str) -> None:
        pass

    def cuInit(self, flags: int) -> int:
        return 0

    def cuDriverGetVersion(self, version: Any) -> int:
        version._obj.value = 12080
        return 0

    def cuDeviceGetCount(self, count: Any) -> int:
        count._obj.value = 1
        return 0


def write_tool(folder: Path, name: str, script: str = "") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return path


@pytest.fixture
def with_driver(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that is the PATH, where cmake is, beside a driver and no nvcc."""
    monkeypatch.setattr(machine.ctypes, "CDLL", Driver)
    write_tool(tmp_path, "cmake")
    monkeypatch.setenv("PATH", str(tmp_path))
    return tmp_path


@pytest.mark.parametrize("release", ["12.9", "13.0"])
def test_nvcc_may_be_no_newer_than_the_driver(with_driver: Path, release: str) -> None:
    write_tool(with_driver, "nvcc", f"echo release {release}, V{release}.88")
    too_new = [
        "the driver knows CUDA 12, what nvcc makes needs CUDA 13; update the driver or put an "
        "nvcc of CUDA 12 on the PATH"
    ]
    assert machine.what_is_missing() == (too_new if release == "13.0" else [])


def test_nvcc_is_that_of_a_package(with_driver: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = with_driver / "packages" / "nvidia" / "cu12"
    for name in machine.fetch_nvcc.NEEDED:
        path = root / name.replace("**/", "").replace("*", "")
        write_tool(path.parent, path.name)
    nvcc = write_tool(root / "bin", "nvcc", "echo release 12.9, V12.9.86")
    monkeypatch.syspath_prepend(with_driver / "packages")
    assert machine.what_is_missing() == []
    assert machine.shutil.which("nvcc") == str(nvcc)


def test_it_says_why_there_is_no_nvcc(with_driver: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(folder: Path) -> Path:
        raise RuntimeError("pip cannot fetch it")

    monkeypatch.setattr(machine.fetch_nvcc, "installed", lambda: None)
    monkeypatch.setattr(machine.fetch_nvcc, "nvcc", fail)
    reason = "nvcc is not on the PATH; install the CUDA toolkit (pip cannot fetch it)"
    assert machine.what_is_missing() == [reason]


def test_a_program_that_waits_for_ever_is_ended(tmp_path: Path) -> None:
    program = write_tool(tmp_path, "waits", "exec sleep 60")
    row = running.run_program(program, [], 0.2)
    assert row == running.Row("waits", False, "it was ended after 0 s")


@pytest.mark.parametrize(("code", "passed"), [(0, True), (3, False)])
def test_layers_are_tested_in_a_copy_of_caffe(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int, passed: bool
) -> None:
    tree = write_tree(tmp_path / "tree", "upstream")
    work = tmp_path / "work"
    work.mkdir()
    # In the places of cmake and make: the second leaves a program of tests.
    tools = {
        "cmake": f'echo "$*" > {work}/cmake.txt',
        "make": "mkdir -p $2/test && cp $0 $2/test/test.testbin"
        f" && printf '#!/bin/sh\necho it ran\nexit {code}\n' > $2/test/test.testbin",
    }
    for name, script in tools.items():
        (tmp_path / name).write_text(f"#!/bin/sh\n{script}\n")
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    row = in_caffe.check_caffe(tree, work, "90")
    assert row.passed is passed, row.result
    assert passed or "it ran" in row.result
    assert "-DCUDA_ARCH_BIN=90" in (work / "cmake.txt").read_text()
    assert (work / "caffe/src/caffe/layers/bn_layer.cu").exists()
    assert not (tree / "src/caffe/layers/bn_layer.cu").exists()


def test_what_is_no_caffe_fails(tmp_path: Path) -> None:
    row = in_caffe.check_caffe(tmp_path, tmp_path / "work", "90")
    assert not row.passed
    assert "is no source tree of Caffe" in row.result


def test_nets_are_run_with_the_library(tmp_path: Path) -> None:
    library = cpp.build("gpu") / "simulated_gpu.so"
    test = tmp_path / "test_it.py"
    test.write_text(
        f"import os\ndef test(): assert os.environ['P3D_CUDA_LIBRARY'] == {str(library)!r}\n"
    )
    rows = nets.check_nets(library, [(str(TINY), 2), ("p3d7", 1)], [test])
    assert [row.passed for row in rows] == [True, True, False], rows
    assert rows[1].what == f"{TINY}, batch 2"
    assert rows[1].result.endswith("ms per clip, float32")
    assert "p3d7" in rows[2].result


def test_convolutions_are_chosen_beforehand() -> None:
    library = cpp.build("gpu") / "simulated_gpu.so"
    row = nets.choose(library, str(TINY), "bf16", batch=1)
    assert row.passed, row
    assert "cuDNN" in row.result
    assert "cuBLASLt" in row.result
    assert not nets.choose(library, "p3d7", "bf16").passed


def test_targets_are_measured_with_the_library(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where torch has no such GPU, a precision may not be there yet, and nothing is installed but
    what the package needs."""
    (tmp_path / "onnx.py").write_text("raise ImportError('it is not there')")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path), prepend=os.pathsep)
    library = cpp.build("gpu") / "simulated_gpu.so"
    targets = [
        Target(2, "float32"),
        Target(1, "float32", train=True),
        Target(1, "bf16"),
        Target(1, "float32", times_torch=2),
    ]
    figures: dict[str, Any] = {"comparisons": []}
    deadline = time.monotonic() + 3600
    options = ["--forwards", "1", "--systems", "torch-last"]
    check = comparisons.check_targets
    rows = list(check(library, str(TINY), targets[:3], figures, deadline, options))
    assert [row.what for row in rows] == [gpu_targets.name_of(target) for target in targets[:3]]
    assert all(row.passed for row in rows), rows
    assert all("ms per clip" in row.result for row in rows[:2]), rows
    assert "floor unknown" in rows[0].result
    assert "no torch to compare with (torch-last: " in rows[0].result
    assert "ms per clip" in rows[2].result or "has no precision bf16" in rows[2].result
    assert len(figures["comparisons"][0]["profile"]["steps"]) > 3
    query = nets.device_query(library)
    assert query is not None
    assert query["gpus"][0]["name"] == "simulated GPU"
    late = check(library, str(TINY), targets[3:], figures, time.monotonic())
    assert [*late] == [running.Row("inference float32, batch 1", True, "not run: no time was left")]
    gpu_check.write_figures(tmp_path / "figures.json", figures, rows)
    written = json.loads((tmp_path / "figures.json").read_text())
    assert written["comparisons"][0]["run"]["device"] == "simulated GPU"
    assert written["rows"][0]["result"] == rows[0].result


@pytest.mark.parametrize(
    ("said", "rows", "runs"),
    [
        ("it was ended after 150 s", ["open", "open"], [0, 1, 1]),
        ("benchmark\n REFUSED: prob differs\n}", ["not run: REFUSED", "not run: REFUSED"], [0, 0]),
        ("RuntimeError: has no precision bf16", ["not run: RuntimeError"] * 2, [0, 0]),
    ],
)
def test_what_torch_cannot_do_in_time_is_left_out(said, rows, runs, monkeypatch) -> None:
    """Its compiler is not tried a second time."""
    ours = {**_row("caffe-p3d", 1, 10), "peak_mib": 10}
    run = {"device": "none", "gmac": 1, "rows": [ours, _row("torch-last", 2, 20)]}
    tried = []

    def output(command, environment=None, seconds=None) -> tuple[str, str]:
        if "time" in command:
            return "", json.dumps({"steps": []})
        quick = command[-2:] == comparisons.QUICK
        tried.append(int(quick))
        return ("", json.dumps({"runs": [run]})) if quick else (said, "")

    monkeypatch.setattr(comparisons, "output_of", output)
    targets = [Target(1, "bf16"), Target(2, "bf16")]
    figures: dict[str, Any] = {"comparisons": []}
    deadline = time.monotonic() + 3600
    found = list(comparisons.check_targets(Path("x"), "net", targets, figures, deadline))
    assert tried == runs
    for row, start in zip(found, rows, strict=True):
        assert row.result.startswith(start), row
        assert row.passed == ("REFUSED" not in said)
        assert ("torch.compile was left out" in row.result) == (start == "open")


def test_nothing_goes_on_behind_its_time(tmp_path: Path) -> None:
    """Nor does what it has started, which would hold its output open."""
    child = "import time; time.sleep(600)"
    program = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {child!r}])"
    error, _ = running.output_of([sys.executable, "-c", program], None, 1)
    assert error.endswith("it was ended after 1 s")


def test_extraction_and_training_end_to_end() -> None:
    library = cpp.build("gpu") / "simulated_gpu.so"
    figures: dict[str, Any] = {}
    deadline = time.monotonic() + 3600
    row = videos.check_extraction(library, str(TINY), figures, deadline, 1, 4)
    assert row.passed, row
    assert row.what == "extraction, end to end, bf16"
    found = figures["extraction_end_to_end"]
    assert found["clips"] == 20
    assert found["net_clips_per_second"] > 0
    assert "clips/s in batches of 4, the net alone " in row.result
    row = videos.check_training(library, str(TINY), figures, deadline, 2, 3)
    assert row.passed, row
    found = figures["training_end_to_end"]
    assert min(found["iterations_per_second"], found["net_iterations_per_second"]) > 0
    assert "iterations/s of 2 clips, " in row.result
    for check in (videos.check_extraction, videos.check_training):
        late = check(library, str(TINY), figures, time.monotonic())
        assert late.result == "not run: no time was left"
        bad = check(library, "none.prototxt", figures, deadline)
        assert not bad.passed
        assert "none.prototxt: there is no such prototxt" in bad.result


def _row(system: str, ms: float, mib: float, fault: str = "") -> dict[str, Any]:
    names = {"ms_per_clip": ms, "peak_mib": mib, "fault": fault, "difference": 1e-3}
    return {"system": system, "version": "2", **names}


@pytest.mark.parametrize(
    ("rows", "floor", "verdict", "parts"),
    [
        ([(0.1, 900), (0.16, 1000)], 0.047, "met", ["47% of it", "1.60 x ours", "10000 clips/s"]),
        ([(0.1, 900), (0.14, 1000)], 0.047, "missed", ["1.40 x ours (asked 1.50)"]),
        ([(0.1, 900), (0.16, 1000)], 0.03, "missed", ["30% of it (asked 40%)"]),
        ([(0.1, 1100), (0.16, 1000)], 0.047, "missed", ["1100 MiB", "(asked more than ours)"]),
        ([(0.1, 900), (0.3, 800), (0.16, 1000)], 0.047, "missed", ["1.60 x ours"]),
        ([(0.1, 900)], None, "open", ["floor unknown", "no torch to compare with"]),
    ],
)
def test_what_was_asked_stands_beside_the_figures(rows, floor, verdict, parts) -> None:
    run = {"rows": [_row(f"system{i}", *figures) for i, figures in enumerate(rows)]}
    run["rows"].append(_row("torch-broken", 0, 0, "fails: no such thing"))
    target = Target(64, "bf16", times_torch=1.5, floor=0.4)
    found = gpu_targets.outcome(target, run, floor)
    assert found.what == "inference bf16, batch 64"
    assert found.verdict == verdict, found
    if verdict == "met":
        assert gpu_targets.outcome(target, run, floor, whole=False).verdict == "open"
        assert gpu_targets.outcome(target, run, None).verdict == "open"
    for part in parts:
        assert part in found.result


def test_floors_are_of_products_or_of_bytes() -> None:
    gmac = 18.4e9
    products = gpu_targets.floor_ms("NVIDIA H200", "bf16", gmac, 1e6, 1)
    assert products == pytest.approx(2e3 * gmac / 989e12)
    assert gpu_targets.floor_ms("NVIDIA H200", "bf16", gmac, 1e6, 3) == pytest.approx(3 * products)
    lots = gpu_targets.floor_ms("NVIDIA H200", "bf16", 1, 4.8e9, 1)
    assert lots == pytest.approx(2)
    assert gpu_targets.floor_ms("NVIDIA H200", "float32", 1, 4.8e9, 1) == pytest.approx(4)
    assert gpu_targets.floor_ms("simulated GPU", "bf16", gmac, 1, 1) is None


@pytest.mark.parametrize(
    ("name", "tera"),
    [
        ("NVIDIA A100-SXM4-80GB", 312),
        ("NVIDIA H100 80GB HBM3", 989),
        ("NVIDIA L4", 121),
        ("NVIDIA GeForce RTX 4090", 165),
        ("NVIDIA L40S", None),
    ],
)
def test_peaks_by_name(name: str, tera: float | None) -> None:
    found = peaks(name, "bf16")
    assert (found and found[0]) == (tera and tera * 1e12)


def test_a_profile_begins_with_what_lost_most() -> None:
    step = {"macs": 0, "values": 1e9, "share": 0.5, "kernel": "k"}
    ms = {"quick": 0.1, "slow": 9, "large": 5}
    steps = [{**step, "name": name, "ms": value} for name, value in ms.items()]
    steps[2]["values"] = 9e9
    lines = gpu_targets.profile("NVIDIA H200", "float32", {"steps": steps}, 2)
    assert len(lines) == 3
    assert lines[1].startswith("slow")
    assert "0.8333" in lines[1]
    assert gpu_targets.profile("none", "float32", {"steps": steps}, 1)[1].split()[2] == "unknown"
