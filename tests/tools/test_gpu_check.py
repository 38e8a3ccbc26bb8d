"""gpu_check.py on a machine without a GPU, and what it makes of programs' results."""

from __future__ import annotations

from pathlib import Path

import cpp
import gpu_check
import pytest

TINY = Path(__file__).parents[1] / "golden" / "tiny" / "tiny.prototxt"


def test_it_says_what_is_missing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def no_library(name: str) -> None:
        raise OSError(name)

    monkeypatch.setattr(gpu_check.ctypes, "CDLL", no_library)
    monkeypatch.setenv("PATH", "")
    assert gpu_check.main([]) == 2
    error = capsys.readouterr().err
    assert "nothing was verified: there is no NVIDIA driver" in error
    assert "nvcc is not on the PATH; install the CUDA toolkit" in error


@pytest.mark.parametrize(("code", "passed"), [(0, True), (3, False)])
def test_caffes_tests_count(tmp_path: Path, code: int, passed: bool) -> None:
    program = tmp_path / "test" / "test.testbin"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\necho "ran $*"\nexit {code}\n')
    program.chmod(0o755)
    row = gpu_check._check_caffe(tmp_path)
    assert row.passed is passed
    assert passed or "ran --gtest_filter=BN*:Pooling3D*:Convolution3D*" in row.result


def test_a_caffe_without_tests_fails(tmp_path: Path) -> None:
    row = gpu_check._check_caffe(tmp_path)
    assert not row.passed
    assert "no test.testbin" in row.result


def test_nets_are_run_with_the_library(tmp_path: Path) -> None:
    library = cpp.build("gpu") / "simulated_gpu.so"
    test = tmp_path / "test_it.py"
    test.write_text(
        f"import os\ndef test(): assert os.environ['P3D_CUDA_LIBRARY'] == {str(library)!r}\n"
    )
    rows = gpu_check.check_nets(library, [(str(TINY), 2), ("p3d7", 1)], [test])
    assert [row.passed for row in rows] == [True, True, False], rows
    assert rows[1].what == f"{TINY}, batch 2"
    assert rows[1].result.endswith("ms per clip, float32")
    assert "p3d7" in rows[2].result
