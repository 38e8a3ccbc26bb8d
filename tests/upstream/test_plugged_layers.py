"""Our layers in a real Caffe: unit tests, and the golden cases forward and backward."""

from __future__ import annotations

import re
import subprocess
from xml.etree import ElementTree

import numpy as np
import pytest
from golden_cases import GOLDEN, check, names
from plugging.files import collect, renamed
from plugging.rivals import LAYERS
from real_caffe import OUR_TESTS, ROOT, UPSTREAM_TESTS

FORWARD, GRADIENT = 1e-5, 1e-4
CASES = [name for name in names("layers") if name.split("/")[0] in ("bn", "conv", "pool3d")]


def _three_axes(name: str) -> bool:
    with np.load(GOLDEN / "layers" / f"{name}.npz") as case:
        return name.startswith("conv/") and case["param0"].ndim == 5


def _compare(name: str, found: dict[str, np.ndarray]) -> None:
    compared = 0
    with np.load(GOLDEN / "layers" / f"{name}.npz") as case:
        for key in case:
            match = re.fullmatch(r"(?:pass\d/)?(top|bottom_diff|param_diff|param_after)\d", key)
            if match:
                tolerance = GRADIENT if match[1].endswith("diff") else FORWARD
                check(found[key], case[key], tolerance, f"{name}, {key}")
                compared += 1
    assert compared


@pytest.mark.parametrize("name", CASES)
def test_golden(name: str, worker) -> None:
    _compare(name, worker.run(GOLDEN / "layers" / f"{name}.npz"))


@pytest.mark.parametrize("name", [name for name in CASES if _three_axes(name)])
def test_force_nd_im2col_keeps_upstreams_own_path(name: str, worker) -> None:
    switch = ("convolution_param {", "convolution_param { force_nd_im2col: true")
    _compare(name, worker.run(GOLDEN / "layers" / f"{name}.npz", switch))


def test_copies_under_other_names_compile(plugged, tmp_path) -> None:
    """As a tree gets them that has layers of these names."""
    copies = collect(ROOT / "layers")
    for layer in LAYERS:
        copies = renamed(copies, layer.type, layer.stem)
    for name, text in copies.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    roots = (tmp_path, plugged.tree.source, plugged.tree.build)
    command = ["c++", "-fsyntax-only", "-w", "-DCPU_ONLY", *(f"-I{root}/include" for root in roots)]
    sources = [tmp_path / f"src/caffe/layers/p3d_{layer.stem}.cpp" for layer in LAYERS]
    done = subprocess.run([*command, *sources], stderr=subprocess.PIPE, text=True)
    assert done.returncode == 0, done.stderr[:4000]


def test_unit_tests(plugged, tmp_path) -> None:
    """Upstream's for what the plug-in touches, and ours."""
    report = tmp_path / "report.xml"
    command = [plugged.tree.test_binary, "--gtest_filter=-*GPU*", f"--gtest_output=xml:{report}"]
    done = subprocess.run(
        command,
        cwd=plugged.tree.source,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    )
    failures = [line for line in done.stdout.splitlines() if "FAILED" in line]
    again = f"cd {plugged.tree.source} && {command[0]} --gtest_filter=-*GPU*"
    shown = "\n".join([*failures, "...", done.stdout[-4000:]])
    assert done.returncode == 0, f"{shown}\nalone: {again}"
    suites = " ".join(s.get("name", "") for s in ElementTree.parse(report).iter("testsuite"))
    for test in (*UPSTREAM_TESTS, *OUR_TESTS):
        suite = test.replace("_", "")
        assert suite in suites.lower(), f"no test of test_{test}.cpp was run, only {suites}"
