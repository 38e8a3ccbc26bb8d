"""Choosing a GPU, running nets on it, and what goes wrong there."""

from __future__ import annotations

import json
import textwrap
from pathlib import Path

import pytest

GOLDEN = Path(__file__).parents[1] / "golden" / "tiny"
NET, WEIGHTS = GOLDEN / "tiny.prototxt", GOLDEN / "tiny_seeded.caffemodel"

PREPARE = f"""
import numpy as np
import p3d.caffe as caffe
from p3d import _core, gpu
from p3d.error import Error

def make():
    net = caffe.Net({str(NET)!r}, {str(WEIGHTS)!r}, caffe.TEST)
    fill(net)
    return net

def fill(net):
    shape = net.blobs["data"].shape
    net.blobs["data"].data[...] = np.random.default_rng(1).uniform(-100, 100, shape)
"""


def script(run, body: str, **variables: str | None) -> str:
    """What a script prints that begins with PREPARE."""
    done = run("-c", PREPARE + textwrap.dedent(body), **variables)
    assert done.returncode == 0, f"{body}\n{done.stdout}{done.stderr}"
    return done.stdout


def test_a_mode_is_heeded_from_the_next_forward_on(run) -> None:
    script(
        run,
        """
        net = make()
        want = net.forward()["prob"].copy()
        caffe.set_mode_gpu()
        got = net.forward()["prob"].copy()
        assert _core.gpu_mode() and gpu.used() == 0 and _core.gpu_bytes_in_use() > 0
        np.testing.assert_allclose(got, want, rtol=0, atol=1e-5 * want.max())
        caffe.set_mode_cpu()
        np.testing.assert_array_equal(net.forward()["prob"], want)
        del net
        assert _core.gpu_bytes_in_use() == 0
        """,
    )


@pytest.mark.parametrize("layer", ["BN", "BatchNorm", "MVN"])
def test_a_backward_finds_the_moments_where_its_forward_left_them(run, layer) -> None:
    script(
        run,
        f"""
        from plan_nets import conv, data, layer
        net = caffe.Net("force_backward: true " + data(2, 3, 4, 5) + conv("c", "data", 4)
                        + layer("{layer}", "n", "c") + conv("top", "n", 2), caffe.TRAIN)
        fill(net)
        net.blobs["top"].diff[...] = np.random.default_rng(2).normal(size=(2, 2, 4, 5))
        found = []
        for forward, backward in ((0, 0), (0, 1), (1, 0), (1, 1), (0, 0)):
            (caffe.set_mode_gpu if forward else caffe.set_mode_cpu)()
            net.forward()
            (caffe.set_mode_gpu if backward else caffe.set_mode_cpu)()
            net.clear_param_diffs()
            net.backward()
            found.append(net.params["c"][0].diff.copy())
        assert np.abs(found[0]).max() > 0
        for diff in found:
            bound = 1e-4 * np.abs(found[0]).max()
            np.testing.assert_allclose(diff, found[0], rtol=0, atol=bound)
        """,
    )


def test_the_device_query(run) -> None:
    done = run("-m", "p3d", "device_query")
    assert done.returncode == 0, done.stderr
    assert "cuda:0  simulated GPU" in done.stdout
    answer = json.loads(run("-m", "p3d", "device_query", "--json").stdout)
    assert [found["name"] for found in answer["gpus"]] == ["simulated GPU"]
    assert answer["error"] is None


@pytest.mark.parametrize(
    ("arguments", "variables", "message"),
    [
        (["--device", "cuda:7"], {}, "there is no GPU 7; this machine has 1, counted from 0"),
        (["--device", "gpu"], {}, "there is no device 'gpu': it is cpu, cuda or cuda:N"),
        ([], {"P3D_DEVICE": "cuda:3"}, "there is no GPU 3"),
        (["--device", "cuda"], {"P3D_CUDA_LIBRARY": None}, "no kernels for GPUs"),
        (["--device", "cuda"], {"P3D_CUDA_LIBRARY": "missing.so"}, "missing.so"),
        (["--device", "cuda"], {"P3D_CUDA_LIBRARY": str(WEIGHTS)}, "cannot be loaded"),
    ],
)
def test_a_gpu_that_cannot_be_used(run, arguments, variables, message) -> None:
    command = ["-m", "p3d", "time", NET, "--iterations", "1"]
    done = run(*command, *arguments, **variables)
    assert done.returncode == 1
    assert message in done.stderr, done.stderr
    assert len(done.stderr.strip().splitlines()) == 1, done.stderr


def test_a_library_of_another_kind(run) -> None:
    import p3d._core

    done = run("-m", "p3d", "device_query", P3D_CUDA_LIBRARY=p3d._core.__file__)
    assert done.returncode == 1
    assert "is no GPU library of caffe-p3d" in done.stderr


def test_a_full_gpu_is_an_error_and_no_more(run) -> None:
    script(
        run,
        """
        caffe.set_mode_gpu()
        net = make()
        small = net.forward()["prob"].copy()
        held = _core.gpu_bytes_in_use()
        net.blobs["data"].reshape(200, *net.blobs["data"].shape[1:])
        fill(net)
        for _ in range(3):
            try:
                net.forward()
                raise SystemExit("no error")
            except Error as error:
                assert "has no room for" in str(error) and "smaller batch" in str(error), error
        net.blobs["data"].reshape(*make().blobs["data"].shape)
        fill(net)
        np.testing.assert_array_equal(net.forward()["prob"], small)
        assert _core.gpu_bytes_in_use() <= 2 * held
        """,
        P3D_SIMULATED_MIB="4",
    )


def test_features_are_those_of_the_processor(run, tmp_path, real_video) -> None:
    import numpy as np

    command = ["-m", "p3d", "extract", real_video, "--net", NET, "--weights", WEIGHTS]
    for name, device in (("cpu", []), ("gpu", ["--device", "cuda:0"])):
        done = run(*command, "--clips", "3", "--out", tmp_path / name, *device)
        assert done.returncode == 0, done.stderr
    want, got = (np.load(tmp_path / name / "bikes.npy") for name in ("cpu", "gpu"))
    np.testing.assert_allclose(got, want, rtol=0, atol=1e-5 * np.abs(want).max())


def test_features_of_another_precision_are_made_again(run, tmp_path, real_video) -> None:
    command = ["-m", "p3d", "extract", real_video, "--net", NET, "--weights", WEIGHTS]
    command += ["--clips", "2", "--out", tmp_path]
    narrow = ["--device", "cuda:0", "--precision", "bf16"]
    for options, precision, skipped in (
        (narrow, "bf16", 0),
        (narrow, "bf16", 1),
        ([], "float32", 0),
    ):
        done = run(*command, *options, "--json")
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout.splitlines()[-1])["skipped"] == skipped
        assert json.loads((tmp_path / "bikes.json").read_text())["precision"] == precision


@pytest.mark.parametrize("without", [None, "P3D_GRAPHS", "P3D_SIMULATED_CAPTURE"])
def test_time_names_kernels_and_says_whether_the_net_is_a_graph(run, without) -> None:
    command = ["-m", "p3d", "time", NET, "--iterations", "2", "--device", "cuda:0"]
    text = run(*command, **({without: "0"} if without else {})).stdout
    assert ("inference plan, one CUDA graph," in text) == (without is None), text
    assert ("inference plan, a launch per step," in text) != (without is None), text
    kernels = {row["kernel"] for row in json.loads(run(*command, "--json").stdout)["steps"]}
    assert any(kernel.startswith("conv_f32_cuda_tiles_") for kernel in kernels), kernels
    assert "conv_cuda" not in kernels


@pytest.mark.parametrize("more", [[], ["--layers"], ["--precision", "bf16"]])
def test_time_counts_copies_of_inputs_in_no_step(run, more) -> None:
    command = ["-m", "p3d", "time", NET, "--iterations", "2", "--device", "cuda:0", *more]
    data = json.loads(run(*command, "--json").stdout)
    assert data["input_copies_ms"] > 0
    names = [step["name"] for step in data["steps"]]
    assert names[0] == "data"
    assert "input copies" not in names
    assert sum(step["ms"] for step in data["steps"]) == pytest.approx(data["total"]["ms"])
    assert " ms, in no step\n" in run(*command).stdout


@pytest.mark.parametrize("captures", ["1", "0"])
def test_a_graph_that_is_refused_is_told_once(run, captures) -> None:
    said = script(
        run,
        """
        import logging, sys
        logging.basicConfig(stream=sys.stdout, level=logging.INFO, format="%(message)s")
        caffe.set_mode_gpu()
        net = make()
        for _ in range(4):
            net.forward()
        """,
        P3D_SIMULATED_CAPTURE=captures,
    )
    lines = [line for line in said.splitlines() if "no CUDA graph" in line]
    assert len(lines) == (captures == "0"), said
    assert not lines or lines[0].endswith(
        "every step is a launch of its own: no graph can be captured here"
    )
