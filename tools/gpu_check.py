"""Verifies the CUDA kernels on the GPU of this machine: one command, one table.

    python tools/gpu_check.py                    builds, tests against the CPU, measures
    python tools/gpu_check.py --json FILE        and writes all figures, with what they are of
    python tools/gpu_check.py --caffe TREE       and has the layers tested in a Caffe with CUDA

Kernels are compared with the CPU's and timed, then the engine's tests run on the GPU, then nets.
P3D-199 then takes turns with torch, where that can be imported with CUDA; what is asked of it
stands beside each figure, as "met", "missed" or, where not all could be compared, "open", and a
profile below those that were missed. A target that was missed is no failure. What does not fit in
ten minutes is left out, and says so.

Needs an NVIDIA GPU with its driver, nvcc 12.8 or newer (on the PATH, or PyPI's), a C++ compiler and
caffe-p3d with what its tests need (`pip install '.[test]'`) in the Python that runs this; says what
is missing otherwise.
TREE is a source tree of Caffe. A copy of it gets our layers (plug_into_caffe.py --modernize) and
is built with CUDA, and with cuDNN where that is installed. That takes the libraries that a Caffe
needs, and some minutes more than the ten.

Exit codes: 0 all passed, 1 something failed, 2 something is missing, nothing was verified.
"""

from __future__ import annotations

import argparse
import ctypes
import importlib.util
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import fetch_nvcc
from benchmarking import gpu_targets

ROOT = Path(__file__).parents[1]
TESTS = ROOT / "tests" / "kernels"
INCLUDES = [f"-I{ROOT / 'layers'}", f"-I{TESTS}"]
NET_TESTS = tuple(
    ROOT / "tests" / "gpu" / f"test_{name}.py"
    for name in ("nets", "graph", "precision", "feeding_pixels")
)
NETS = (("p3d63-kinetics", 8), ("p3d199-kinetics", 1), ("p3d199-kinetics", 8))
SECONDS = 540  # for all, of which one comparison may take COMPARISON
COMPARISON = 150
PROGRAM = 240  # a kernel may wait for ever
CHOOSING = 90
# What measures a net may compare that many seconds more, with those of training for the first time.
CHOOSING_MORE = {"P3D_CONVOLUTION_SECONDS": "30"}
QUICK = ["--systems", "torch-last"]
CAFFE_TESTS = ROOT / "layers" / "caffe" / "src" / "caffe" / "test"
CAFFE_OPTIONS = ("BUILD_docs=OFF", "BUILD_python=OFF", "USE_OPENCV=OFF", "USE_LEVELDB=OFF")
CAFFE_OPTIONS += ("USE_LMDB=OFF", "CMAKE_BUILD_TYPE=Release", "CMAKE_POLICY_VERSION_MINIMUM=3.5")


class Row(NamedTuple):
    what: str
    passed: bool
    result: str


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--caffe",
        type=Path,
        metavar="TREE",
        help="a source tree of Caffe, for the layers' own tests",
    )
    parser.add_argument("--num", type=int, default=8, metavar="N", help="clips to measure with (8)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures there")
    args = parser.parse_args(argv)
    began = time.monotonic()
    missing = _missing()
    if missing:
        print(f"gpu_check: nothing was verified: {'; '.join(missing)}", file=sys.stderr)
        return 2
    figures: dict[str, Any] = {"gpu": _gpu(), "commit": _commit(), "comparisons": []}
    print(figures["gpu"])
    with tempfile.TemporaryDirectory() as work:
        rows = _check(Path(work), args.num)
        if rows[0].passed:
            library = Path(work) / "libp3d_cuda.so"
            figures["device_query"] = _query(library)
            rows += [choose(library, NET, precision) for precision in ("bf16", "tf32")]
            rows.append(check_extraction(library, NET, figures, began + SECONDS))
            rows.append(check_training(library, NET, figures, began + SECONDS))
            rows += check_targets(library, NET, gpu_targets.TARGETS, figures, began + SECONDS)
        rows.append(check_caffe(args.caffe, Path(work), _capability()) if args.caffe else NO_CAFFE)
    if args.json:
        write_figures(args.json, figures, rows)
    width = max(len(row.what) for row in rows)
    for row in rows:
        print(f"{row.what:{width}}  {'ok    ' if row.passed else 'FAILED'}  {row.result}")
    return 0 if all(row.passed for row in rows) else 1


NO_CAFFE = Row("layers in Caffe", True, "not run: needs --caffe TREE")


def _missing() -> list[str]:
    """What this machine lacks, with the cure."""
    missing = []
    version, count = ctypes.c_int(), ctypes.c_int()
    try:
        driver = ctypes.CDLL("libcuda.so.1")
        driver.cuDriverGetVersion(ctypes.byref(version))
        code = driver.cuInit(0)
        if code or driver.cuDeviceGetCount(ctypes.byref(count)) or not count.value:
            missing.append(f"the NVIDIA driver finds no GPU (cuInit returns {code})")
    except OSError:
        missing.append("there is no NVIDIA driver (libcuda.so.1); install it, or use a GPU machine")
    if not shutil.which("cmake"):
        missing.append("cmake is not on the PATH; pip install cmake")
    for package in ("p3d", "pytest", "pybind11"):
        if not importlib.util.find_spec(package):
            missing.append(f"{package} cannot be imported; pip install '.[test]'")
    if not missing and (error := _bring_nvcc() or _mismatch(version.value // 1000)):
        missing.append(error)
    return missing


def _bring_nvcc() -> str:
    """Puts an nvcc on the PATH, PyPI's where there is none; says why it cannot."""
    if shutil.which("nvcc"):
        return ""
    try:
        nvcc = fetch_nvcc.installed() or fetch_nvcc.nvcc(ROOT / "build" / "cuda")
    except RuntimeError as error:
        return f"nvcc is not on the PATH; install the CUDA toolkit ({error})"
    os.environ["PATH"] = os.pathsep.join([str(nvcc.parent), os.environ.get("PATH", "")])
    return ""


def _mismatch(driver: int) -> str:
    """What is wrong where nvcc is of a later CUDA than this one, whose programs the driver runs."""
    found = re.search(r"release (\d+)", _output(["nvcc", "--version"])[1])
    if found is None or int(found[1]) <= driver:
        return ""
    return (
        f"the driver knows CUDA {driver}, what nvcc makes needs CUDA {found[1]}; update the driver "
        f"or put an nvcc of CUDA {driver} on the PATH"
    )


def _gpu() -> str:
    query = ["nvidia-smi", "--query-gpu=name,driver_version,memory.total", "--format=csv,noheader"]
    try:
        return subprocess.run(query, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return "GPU without nvidia-smi"


def _check(work: Path, num: int) -> list[Row]:
    options = ["-DP3D_CUDA=ON", "-DCMAKE_CUDA_ARCHITECTURES=native", "-DP3D_PYTHON=OFF"]
    error = _run(["cmake", "-S", ROOT, "-B", work, *options])
    error = error or _run(["cmake", "--build", work, "--target", "p3d_cuda", "--parallel"])
    if error:
        return [Row("p3d_cuda", False, error)]
    return [*_check_kernels(work, num), *check_nets(work / "libp3d_cuda.so", NETS)]


def _check_kernels(work: Path, num: int) -> list[Row]:
    tests = sorted(TESTS.glob("test_cuda_*.cpp"))
    benchmarks = sorted((ROOT / "tools").glob("bench_cuda*.cpp"))
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        errors = list(pool.map(partial(build, work), [*tests, *benchmarks]))
    programs = [
        *((source, []) for source in tests),
        *((source, [str(num)]) for source in benchmarks),
    ]
    return [
        Row(source.stem, False, error) if error else _run_program(work / source.stem, arguments)
        for error, (source, arguments) in zip(errors, programs, strict=True)
    ]


def check_nets(
    library: Path, nets: Sequence[tuple[str, int]], tests: Sequence[Path] = NET_TESTS
) -> list[Row]:
    """The tests of nets with this library, and what (net, batch) take."""
    environment = {**os.environ, "P3D_CUDA_LIBRARY": str(library)}
    pytest = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
    # Their shapes are many, and choosing takes seconds for each; `choose` is for the libraries.
    # What a package says of its future is no matter of the GPU.
    own = {**environment, "P3D_CONVOLUTION": "own", "PYTEST_ADDOPTS": "-W default"}
    with ThreadPoolExecutor() as pool:
        done = list(pool.map(lambda test: _output([*pytest, test], own, PROGRAM), tests))
    error = "\n".join(error for error, _ in done if error)
    rows = [Row("nets on the GPU", not error, error or "equal to the stored outputs of Caffe")]
    for net, batch in nets:
        time = [sys.executable, "-m", "p3d", "time", net, "--batch", str(batch), "--json"]
        error, output = _output([*time, "--device", "cuda:0"], environment, PROGRAM)
        result = error or f"{json.loads(output)['ms_per_item']['median']:.2f} ms per clip, float32"
        rows.append(Row(f"{net}, batch {batch}", not error, result))
    return rows


NET = "p3d199-kinetics"
END_TO_END = "{}, end to end, bf16"


def choose(library: Path, net: str, precision: str, batch: int = 64) -> Row:
    """Has the libraries' ways to do the net's convolutions compared with ours, which takes its time
    once; the row says what was chosen how often."""
    code = (
        "import collections, sys, numpy\n"
        "from p3d import gpu, timing\n"
        "from p3d.export.sources import net_text\n"
        "net = timing.make(net_text(None, sys.argv[1])[1], batch=int(sys.argv[2]))\n"
        "data = net.blobs['data'].data\n"
        "data[...] = numpy.random.default_rng(0).uniform(-100, 100, data.shape)\n"
        "net.forward()\n"
        "found = collections.Counter(gpu.choices().values())\n"
        "print(f'{gpu.libraries()}:', ', '.join(f'{n} by {name}' for name, n in found.items()))\n"
    )
    environment = {
        **os.environ,
        "P3D_CUDA_LIBRARY": str(library),
        "P3D_DEVICE": "cuda:0",
        "P3D_PRECISION": precision,
    }
    command = [sys.executable, "-c", code, net, str(batch)]
    error, output = _output(command, environment, CHOOSING)
    what = f"convolutions, {precision}"
    if "was ended after" in error:
        return Row(what, True, f"not all were chosen within {CHOOSING} s")
    return Row(what, not error, error or output.strip())


def check_targets(
    library: Path,
    net: str,
    targets: Sequence[gpu_targets.Target],
    figures: dict[str, Any],
    deadline: float,
    options: Sequence[str] = (),
) -> list[Row]:
    """A row for each target, with a profile where it was missed, until time.monotonic() is
    `deadline`. What was measured is added to `figures`.

    options: more of benchmark.py's
    """
    environment = {**os.environ, **CHOOSING_MORE, "P3D_CUDA_LIBRARY": str(library)}
    rows = []
    quick: list[str] = []  # what leaves the compiler of torch out, once it took too long
    for target in targets:
        what = gpu_targets.name_of(target)
        command: list[str | Path] = [sys.executable, ROOT / "tools" / "benchmark.py", "--json"]
        command += ["--net", net, "--device", "cuda:0", "--precision", target.precision, *options]
        command += ["--batch", str(target.batch), *(["--train"] if target.train else [])]
        for more in ([*quick], QUICK):
            left = min(deadline - time.monotonic(), COMPARISON)
            if left <= 0:
                error = "no time was left"
                break
            error, output = _output([*command, *more], environment, left)
            if "was ended after" not in error or more:
                break
            quick = QUICK
        if error:
            reason, left_out = _reason(error)
            rows.append(Row(what, left_out, f"not run: {reason}"))
            continue
        run = json.loads(output)["runs"][0]
        steps = _steps(environment, net, target, deadline - time.monotonic())
        floor = _floor(run, target, steps)
        found = gpu_targets.outcome(target, run, floor, whole=not quick)
        text = f"{found.verdict}: {found.result}"
        if quick:
            text += f"; torch.compile was left out, it takes more than {COMPARISON} s"
        if found.verdict == "missed" and steps:
            lines = gpu_targets.profile(run["device"], target.precision, steps)
            text = "\n    ".join([text, *lines])
        rows.append(Row(what, True, text))
        figures["comparisons"].append(
            {
                **target._asdict(),
                "verdict": found.verdict,
                "floor_ms": floor,
                "run": run,
                "profile": steps,
            }
        )
    return rows


def _reason(error: str) -> tuple[str, bool]:
    """Why a comparison was not made, and whether that is no failure."""
    lines = error.strip().splitlines()
    refused = [line.strip() for line in lines if "REFUSED" in line]
    reason = (refused or lines)[-1]
    left_out = ("has no precision", "was ended after", "no time was left")
    return reason, any(words in reason for words in left_out)


def check_extraction(
    library: Path,
    net: str,
    figures: dict[str, Any],
    deadline: float,
    videos: int = 256,
    batch: int = 64,
) -> Row:
    """The row of an extraction from video files to features; "not run" behind the deadline."""

    def say(found: dict[str, Any]) -> str:
        rate, alone = found["clips_per_second"], found["net_clips_per_second"]
        return (
            f"{rate:.1f} clips/s in batches of {found['batch']}, the net alone {alone:.1f}; "
            f"{found['waiting']:.0%} of the time the net waited for frames"
        )

    command = ["end_to_end", net, "cuda:0", videos, batch]
    return _end_to_end("extraction", command, library, figures, deadline, say)


def check_training(
    library: Path,
    net: str,
    figures: dict[str, Any],
    deadline: float,
    batch: int = 8,
    iterations: int = 30,
) -> Row:
    """The row of a training from video files; "not run" behind the deadline."""

    def say(found: dict[str, Any]) -> str:
        rate, alone = found["iterations_per_second"], found["net_iterations_per_second"]
        return (
            f"{rate:.2f} iterations/s of {batch} clips, {rate * batch:.1f} clips/s; the net alone "
            f"{alone:.2f} iterations/s"
        )

    command = ["end_to_end_training", net, "cuda:0", batch, iterations]
    return _end_to_end("training", command, library, figures, deadline, say)


def _end_to_end(
    kind: str,
    program: Sequence[Any],
    library: Path,
    figures: dict[str, Any],
    deadline: float,
    say: Callable[[dict[str, Any]], str],
) -> Row:
    """The row of a program of benchmarking, whose figures `say` puts in words."""
    what = END_TO_END.format(kind)
    left = deadline - time.monotonic()
    if left <= 0:
        return Row(what, True, "not run: no time was left")
    paths = [str(ROOT / "tools"), os.environ.get("PYTHONPATH", "")]
    environment = {
        **os.environ,
        **CHOOSING_MORE,
        "P3D_CUDA_LIBRARY": str(library),
        "P3D_PRECISION": "bf16",
        "PYTHONPATH": os.pathsep.join(filter(None, paths)),
    }
    command = [sys.executable, "-m", f"benchmarking.{program[0]}", *program[1:]]
    error, output = _output(command, environment, left)
    if error:
        reason, left_out = _reason(error)
        return Row(what, left_out, f"not run: {reason}")
    found = figures[f"{kind}_end_to_end"] = json.loads(output)
    return Row(what, found["on_gpu"], say(found))


def _steps(
    environment: dict[str, str], net: str, target: gpu_targets.Target, left: float
) -> dict[str, Any] | None:
    """What `p3d time` says of the net in inference, None where it says nothing."""
    command = [sys.executable, "-m", "p3d", "time", net, "--json", "--iterations", "5"]
    command += ["--device", "cuda:0", "--batch", str(target.batch)]
    if target.precision != "float32":
        command += ["--precision", target.precision]
    error, output = _output(command, environment, max(left, 1))
    found: dict[str, Any] | None = None if error else json.loads(output)
    return found


def _floor(
    run: dict[str, Any], target: gpu_targets.Target, steps: dict[str, Any] | None
) -> float | None:
    """Milliseconds per clip; of the products alone where the steps are not known."""
    values = sum(step["values"] for step in steps["steps"]) / target.batch if steps else 0
    passes = 3 if target.train else 1
    macs = run["gmac"] * 1e9
    return gpu_targets.floor_ms(run["device"], target.precision, macs, values, passes)


def _query(library: Path) -> dict[str, Any] | None:
    """What `p3d device_query` says of GPUs and versions."""
    environment = {**os.environ, "P3D_CUDA_LIBRARY": str(library)}
    command = [sys.executable, "-m", "p3d", "device_query", "--json"]
    error, output = _output(command, environment)
    found: dict[str, Any] | None = None if error else json.loads(output)
    return found


def write_figures(path: Path, figures: dict[str, Any], rows: Sequence[Row]) -> None:
    """All that was measured, with all rows."""
    data = {**figures, "rows": [row._asdict() for row in rows]}
    path.write_text(json.dumps(data, indent=1) + "\n")


def _commit() -> str:
    command = ["git", "-C", str(ROOT), "describe", "--always", "--dirty"]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


def build(work: Path, source: Path, architecture: str = "native") -> str:
    """Makes work/<the source's name>, a program on the kernels that were built in `work`; returns
    what a compiler that fails prints."""
    nvcc = ["nvcc", f"-arch={architecture}", *_library_options()]
    compiled = work / f"{source.stem}.o"
    options = ["-std=c++14", "-O2", *INCLUDES, "-x=cu", "-c", source, "-o", compiled]
    libraries = [work / "libp3d_cuda_kernels.a", work / "libp3d_kernels.a"]
    return _run([*nvcc, *options]) or _run([*nvcc, compiled, *libraries, "-o", work / source.stem])


def _library_options() -> list[str]:
    """Where CUDA's libraries are; nvcc 13.0 as PyPI has it does not know."""
    nvcc = shutil.which("nvcc")
    folder = Path(nvcc).resolve().parents[1] / "lib" if nvcc else ROOT
    return [f"-L{folder}"] if (folder / "libcudart_static.a").exists() else []


def _run_program(program: Path, arguments: list[str], seconds: float = PROGRAM) -> Row:
    """A program's row: the last line of its output, or all of it if there are more."""
    command = [str(program), *arguments]
    try:
        done = subprocess.run(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=seconds
        )
    except subprocess.TimeoutExpired:
        return Row(program.name, False, f"it was ended after {seconds:.0f} s")
    lines = done.stdout.strip().splitlines()
    return Row(
        program.name, done.returncode == 0, "\n    ".join(["", *lines] if lines[1:] else lines)
    )


def check_caffe(tree: Path, work: Path, capability: str) -> Row:
    """The layers' own tests in a copy of this Caffe, built for GPUs of this compute capability."""
    copy, build = work / "caffe", work / "caffe-build"
    if not (tree / "src" / "caffe").is_dir():
        return Row("layers in Caffe", False, f"{tree} is no source tree of Caffe")
    shutil.copytree(tree, copy, symlinks=True, ignore=shutil.ignore_patterns(".git", "build"))
    tests = sorted(path.stem.removeprefix("test_") for path in CAFFE_TESTS.glob("test_*.cpp"))
    options = [*CAFFE_OPTIONS, f"BUILD_only_tests={','.join(tests)}"]
    options += ["CUDA_ARCH_NAME=Manual", f"CUDA_ARCH_BIN={capability}", "CUDA_ARCH_PTX="]
    commands: list[list[str | Path]] = [
        [sys.executable, ROOT / "tools" / "plug_into_caffe.py", copy, "--modernize"],
        ["cmake", "-S", copy, "-B", build, *(f"-D{option}" for option in options)],
        ["make", "-C", build, f"-j{os.cpu_count()}", "test.testbin"],
        [build / "test" / "test.testbin"],
    ]
    error = next(filter(None, map(_run, commands)), "")
    return Row("layers in Caffe", not error, error or "all tests passed")


def _capability() -> str:
    """Of the first GPU: "90" for 9.0."""
    query = ["nvidia-smi", "--query-gpu=compute_cap", "--format=csv,noheader"]
    _, output = _output(query)
    return output.split()[0].replace(".", "")


def _run(command: list[str | Path]) -> str:
    """What a command that fails prints; nothing if it succeeds."""
    return _output(command)[0]


def _output(
    command: Sequence[str | Path],
    environment: dict[str, str] | None = None,
    seconds: float | None = None,
) -> tuple[str, str]:
    """(what a command that fails prints, or nothing; what it prints on stdout)"""
    words = list(map(str, command))
    # A group of its own, so that nothing which it started goes on computing.
    done = subprocess.Popen(
        words,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
        start_new_session=True,
    )
    try:
        out, said = done.communicate(timeout=seconds)
    except BaseException as error:
        os.killpg(done.pid, signal.SIGKILL)
        done.communicate()
        if not isinstance(error, subprocess.TimeoutExpired):
            raise
        return f"{' '.join(words)}\nit was ended after {seconds:.0f} s", ""
    text = f"{' '.join(words)}\n{(out + said)[-4000:]}" if done.returncode else ""
    return text, out


if __name__ == "__main__":
    sys.exit(main())
