"""What a net says that it needs of a GPU that is too small for it, and whether that is true."""

from __future__ import annotations

import re
import textwrap
from pathlib import Path

import pytest

GOLDEN = Path(__file__).parents[1] / "golden" / "tiny"
NET, WEIGHTS = GOLDEN / "tiny.prototxt", GOLDEN / "tiny_seeded.caffemodel"

PREPARE = f"""
import re
import numpy as np
import p3d.caffe as caffe
from p3d import _core, gpu
from p3d.error import OutOfMemory

net = caffe.Net({str(NET)!r}, {str(WEIGHTS)!r}, caffe.TEST)
caffe.set_mode_gpu()

def forward(count):
    net.blobs["data"].reshape(count, *net.blobs["data"].shape[1:])
    net.blobs["data"].data[...] = 1
    return net.forward()["prob"].copy()

def told(count):
    try:
        forward(count)
    except OutOfMemory as error:
        return str(error)
    raise SystemExit(f"a batch of {{count}} fits")
"""


def script(run, body: str, **variables: str) -> str:
    done = run("-c", PREPARE + textwrap.dedent(body), **variables)
    assert done.returncode == 0, f"{body}\n{done.stdout}{done.stderr}"
    return done.stdout


@pytest.mark.parametrize("mib", ["4", "8", "16"])
@pytest.mark.parametrize("layer_by_layer", [False, True])
@pytest.mark.parametrize("before", [0, 2])
def test_the_batch_that_is_named_fits(run, mib, layer_by_layer, before) -> None:
    """And one twice as large does not; also where the net was used before."""
    text = script(
        run,
        f"""
        if {layer_by_layer}:
            net.run_by_layer()
        if {before}:
            forward({before})
        text = told(2000)
        fits = int(re.search(r"a batch of (\\d+) fits", text)[1])
        rows = forward(fits)
        assert rows.shape[0] == fits and np.isfinite(rows).all()
        told(2 * fits)
        forward(1)
        print(text)
        """,
        P3D_SIMULATED_MIB=mib,
    )
    assert re.search(
        r"no room for .*; with a batch of 2000 this net needs about [\d.]+ MiB "
        r"\([\d.]+ MiB for weights, [\d.]+ MiB per item\) of [\d.]+ MiB that it may have: "
        r"a batch of \d+ fits",
        text,
    ), text


def test_a_gpu_too_small_for_one(run) -> None:
    text = script(
        run,
        """
        net = caffe.Net(str(net.param), caffe.TEST, relax_reshape=True)
        net.blobs["data"].reshape(1, 3, 8, 256, 256)
        print(told(1))
        """,
        P3D_SIMULATED_MIB="4",
    )
    assert "not even a batch of one fits" in text, text


def test_the_batch_of_an_extraction_is_chosen_to_fit(run, tmp_path) -> None:
    script(
        run,
        f"""
        from p3d import Extractor
        extractor = Extractor({str(WEIGHTS)!r}, {str(NET)!r}, decoders=0)
        gpu.run(False)
        assert extractor.clips_at_once() == 4
        gpu.run(True)
        batch = extractor.clips_at_once()
        assert 1 < batch < 64, batch
        clips = np.random.default_rng(0).uniform(-100, 100, (3 * batch, 3, 8, 32, 32))
        got = extractor.extract(clips.astype(np.float32))["pool5"]
        assert _core.gpu_mode() and _core.gpu_graph_launches() == 2
        gpu.run(False)
        want = extractor.extract(clips.astype(np.float32))["pool5"]
        np.testing.assert_allclose(got, want, rtol=0, atol=1e-5 * want.max())
        """,
        P3D_SIMULATED_MIB="6",
    )


def test_a_large_gpu_is_not_filled_with_clips(run) -> None:
    script(
        run,
        f"""
        from p3d import Extractor
        gpu.run(True)
        assert Extractor({str(WEIGHTS)!r}, {str(NET)!r}, decoders=0).clips_at_once() == 64
        """,
    )


TRAIN = """
layer {{ name: "in" type: "Input" top: "x" top: "label"
  input_param {{ shape {{ dim: {0} dim: 3 dim: 8 dim: 16 dim: 16 }} shape {{ dim: {0} }} }} }}
layer {{ name: "conv" type: "Convolution" bottom: "x" top: "conv" convolution_param {{
  num_output: 8 kernel_size: 3 pad: 1 weight_filler {{ type: "xavier" }} }} }}
layer {{ name: "relu" type: "ReLU" bottom: "conv" top: "conv" }}
layer {{ name: "conv2" type: "Convolution" bottom: "conv" top: "conv2" convolution_param {{
  num_output: 8 kernel_size: 3 pad: 1 weight_filler {{ type: "xavier" }} }} }}
layer {{ name: "bn" type: "BN" bottom: "conv2" top: "bn" }}
layer {{ name: "fc" type: "InnerProduct" bottom: "bn" top: "fc"
  inner_product_param {{ num_output: 3 weight_filler {{ type: "xavier" }} }} }}
layer {{ name: "loss" type: "SoftmaxWithLoss" bottom: "fc" bottom: "label" top: "loss" }}
"""


def test_the_batch_that_a_solver_names_fits(run, tmp_path: Path) -> None:
    solver = tmp_path / "solver.prototxt"
    solver.write_text(
        'net: "net.prototxt" base_lr: 0.01 lr_policy: "fixed" momentum: 0.9 max_iter: 9'
    )

    def step(count: int) -> str:
        (tmp_path / "net.prototxt").write_text(TRAIN.format(count))
        return script(
            run,
            f"""
            solver = caffe.get_solver({str(solver)!r})
            solver.net.blobs["x"].data[...] = 1
            try:
                solver.step(3)
                print("done")
            except OutOfMemory as error:
                print(error)
            """,
            P3D_SIMULATED_MIB="8",
        )

    text = step(500)
    found = re.search(r"a batch of (\d+) fits", text)
    assert found, text
    assert step(int(found[1])).strip() == "done"
    assert "has no room" in step(2 * int(found[1]))


def test_the_most_that_was_reserved_stays_known(run) -> None:
    script(
        run,
        """
        forward(8)
        held, most = _core.gpu_bytes_in_use(), _core.gpu_bytes_reserved()
        assert most >= held > 0
        del net
        assert _core.gpu_bytes_in_use() < held
        assert _core.gpu_bytes_reserved() == most
        """,
    )
