"""Nets on the GPU: their tests, how long they take, how their convolutions are done."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from gpu_checking.running import PROGRAM, ROOT, Row, in_lines, output_of

NET_TESTS = tuple(
    ROOT / "tests" / "gpu" / f"test_{name}.py"
    for name in ("nets", "graph", "precision", "feeding_pixels")
)
CHOOSING = 90  # seconds


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
        done = list(pool.map(lambda test: output_of([*pytest, test], own, PROGRAM), tests))
    error = "\n".join(error for error, _ in done if error)
    rows = [Row("nets on the GPU", not error, error or "equal to the stored outputs of Caffe")]
    for net, batch in nets:
        time = [sys.executable, "-m", "p3d", "time", net, "--batch", str(batch), "--json"]
        error, output = output_of([*time, "--device", "cuda:0"], environment, PROGRAM)
        result = error or f"{json.loads(output)['ms_per_item']['median']:.2f} ms per clip, float32"
        rows.append(Row(f"{net}, batch {batch}", not error, result))
    return rows


def choose(library: Path, net: str, precision: str, batch: int = 64) -> Row:
    """Has the libraries' ways to do the net's convolutions compared with ours, which takes its time
    once; the row says what was chosen how often, and what else was said meanwhile."""
    code = (
        "import collections, os, sys, numpy\n"
        "os.dup2(1, 2)\n"
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
    error, output = output_of(command, environment, CHOOSING)
    what = f"convolutions, {precision}"
    if "was ended after" in error:
        return Row(what, True, f"not all were chosen within {CHOOSING} s")
    return Row(what, not error, error or in_lines(output))


def device_query(library: Path) -> dict[str, Any] | None:
    """What `p3d device_query` says of GPUs and versions."""
    environment = {**os.environ, "P3D_CUDA_LIBRARY": str(library)}
    command = [sys.executable, "-m", "p3d", "device_query", "--json"]
    error, output = output_of(command, environment)
    found: dict[str, Any] | None = None if error else json.loads(output)
    return found
