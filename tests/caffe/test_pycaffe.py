"""The pycaffe contract as far as inference goes, entry by entry.

One test per line of the checklist that scripts for pycaffe rely on; io, NetSpec and draw have
files of their own.
"""

from __future__ import annotations

import gc
import os
import re
import subprocess
import sys
import textwrap
import weakref
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from recipe import rng_for

import p3d
import p3d.caffe as caffe
from p3d import gpu
from p3d.caffe import mode

GOLDEN = Path(__file__).parents[1] / "golden" / "tiny"
TINY = GOLDEN / "tiny.prototxt"
WEIGHTS = GOLDEN / "tiny_seeded.caffemodel"

IMAGE_NET = """
name: "image"
layer { name: "data" type: "Input" top: "data"
  input_param { shape { dim: 2 dim: 3 dim: 6 dim: 5 } } }
layer { name: "conv" type: "Convolution" bottom: "data" top: "conv"
  convolution_param { num_output: 4 kernel_size: 3 weight_filler { type: "xavier" } } }
layer { name: "fc" type: "InnerProduct" bottom: "conv" top: "fc"
  inner_product_param { num_output: 3 weight_filler { type: "xavier" } } }
layer { name: "prob" type: "Softmax" bottom: "fc" top: "prob" }
"""


@pytest.fixture
def net() -> caffe.Net:
    return caffe.Net(str(TINY), str(WEIGHTS), caffe.TEST)


# --- module


@pytest.mark.parametrize(
    "name",
    [
        "Net",
        "Layer",
        "Classifier",
        "Detector",
        "NetSpec",
        "io",
        "layers",
        "params",
        "to_proto",
        "TRAIN",
        "TEST",
        "Timer",
        "init_log",
        "log",
        "set_mode_cpu",
        "set_mode_gpu",
        "set_device",
        "set_random_seed",
        "solver_count",
        "set_solver_count",
        "solver_rank",
        "set_solver_rank",
        "set_multiprocess",
        "has_nccl",
        "NCCL",
        "layer_type_list",
        "__version__",
    ],
)
def test_module_has(name: str) -> None:
    assert hasattr(caffe, name)


@pytest.mark.parametrize("module", [p3d, caffe])
def test_names_are_completed_before_they_are_looked_up(module: Any) -> None:
    assert set(module.__all__) <= set(dir(module))


@pytest.mark.embedded
def test_people_see_what_they_have() -> None:
    net = caffe.Net(
        """name: "small" input: "data" input_shape { dim: 2 dim: 3 }
        layer { name: "fc" type: "InnerProduct" bottom: "data" top: "fc"
          inner_product_param { num_output: 4 } }""",
        caffe.TEST,
    )
    assert repr(net) == "<Net small, TEST: data 2x3 -> fc 2x4>"
    assert repr(net.layer_dict["fc"]) == "<Layer fc, InnerProduct>"
    assert repr(net.params["fc"][0]) == "<Blob 4 3 (12)>"


def test_phases() -> None:
    assert (caffe.TRAIN, caffe.TEST) == (0, 1)


def test_version() -> None:
    assert caffe.__version__ == p3d.__version__


def test_layer_type_list() -> None:
    assert {"Convolution", "BN", "Pooling3D", "Python"} <= set(caffe.layer_type_list())


def test_random_seed_repeats_fillers() -> None:
    weights = []
    for _ in range(2):
        caffe.set_random_seed(5)
        weights.append(caffe.Net(IMAGE_NET, caffe.TEST).params["conv"][0].data.copy())
    np.testing.assert_array_equal(*weights)
    assert np.abs(weights[0]).max() > 0


@pytest.mark.embedded
def test_scripts_for_a_gpu_run_on_the_cpu_with_one_warning(caplog, monkeypatch) -> None:
    mode._warn.cache_clear()
    monkeypatch.delenv(gpu.VARIABLE, raising=False)
    if gpu.library() is not None:
        pytest.skip("this installation has kernels for GPUs")
    caffe.set_device(0)
    caffe.set_mode_gpu()
    assert [r.levelname for r in caplog.records] == ["WARNING"]
    assert "without kernels for GPUs: nets run on the CPU" in caplog.text
    assert caffe.Net(IMAGE_NET, caffe.TEST).forward()


def test_ranks() -> None:
    assert caffe.solver_count() == 1
    caffe.set_solver_count(2)
    caffe.set_solver_rank(1)
    assert (caffe.solver_count(), caffe.solver_rank()) == (2, 1)
    caffe.set_solver_count(1)
    caffe.set_solver_rank(0)


@pytest.mark.embedded
def test_ranks_that_cannot_be() -> None:
    for count in (0, -1, 10**30):
        with pytest.raises(p3d.Error, match=f"takes 1 to 1024 solvers, not {count}"):
            caffe.set_solver_count(count)
    for rank in (-1, 1024):
        with pytest.raises(p3d.Error, match=f"takes 0 to 1023, not {rank}"):
            caffe.set_solver_rank(rank)
    assert (caffe.solver_count(), caffe.solver_rank()) == (1, 0)


@pytest.mark.embedded
def test_without_kernels_for_gpus_there_is_no_nccl() -> None:
    if gpu.library() is None:
        assert caffe.has_nccl() is False
        with pytest.raises(p3d.Error, match="no kernels for GPUs"):
            caffe.NCCL.new_uid()


def test_timer() -> None:
    timer = caffe.Timer()
    timer.start()
    timer.stop()
    assert timer.ms >= 0


@pytest.mark.embedded
@pytest.mark.parametrize("stated", ["caffe", "p3d.caffe"])
def test_submodules(stated: str) -> None:
    script = f"""
        import p3d.caffe
        p3d.caffe.install()
        import {stated} as caffe
        from {stated}.proto import caffe_pb2
        import {stated}.io, {stated}.draw, {stated}.net_spec, {stated}.coord_map
        from caffe._caffe import Layer
        from caffe.pycaffe import Net, SGDSolver
        from {stated} import layers as L, params as P
        assert {stated}.io.caffe_pb2 is caffe_pb2
        assert caffe is p3d.caffe
        assert caffe_pb2.NetParameter is p3d.caffe.proto.caffe_pb2.NetParameter
        print("fine")
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script)], capture_output=True, text=True
    )
    assert done.stdout == "fine\n", done.stderr


def test_script_with_its_own_import_caffe(tmp_path: Path) -> None:
    script = tmp_path / "classify.py"
    script.write_text(
        textwrap.dedent(
            f"""
            import sys
            import numpy as np
            import caffe
            caffe.set_mode_cpu()
            net = caffe.Net({str(TINY)!r}, {str(WEIGHTS)!r}, caffe.TEST)
            net.blobs["data"].reshape(1, 3, 8, 32, 32)
            net.blobs["data"].data[...] = np.zeros((1, 3, 8, 32, 32))
            net.forward()
            print(sys.argv[1], net.blobs["prob"].data[0].shape)
            """
        )
    )
    done = subprocess.run(
        [sys.executable, "-m", "p3d.caffe", str(script), "argument"],
        capture_output=True,
        text=True,
    )
    assert done.stdout == "argument (5,)\n", done.stderr


@pytest.mark.embedded
@pytest.mark.parametrize("way", ["spawn", "forkserver"])
def test_script_that_starts_processes(way: str, tmp_path: Path) -> None:
    (tmp_path / "parallel.py").write_text(
        textwrap.dedent(
            f"""
            import multiprocessing
            import caffe
            from caffe.proto import caffe_pb2
            def outputs(file):
                return caffe.Net(file, caffe_pb2.TEST).outputs
            if __name__ == "__main__":
                with multiprocessing.get_context({way!r}).Pool(1) as pool:
                    print(pool.apply(outputs, [{str(TINY)!r}]))
            """
        )
    )
    done = subprocess.run(
        [sys.executable, "-m", "p3d.caffe", "parallel.py"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,  # the pool starts processes again for ever where they cannot begin
    )
    assert done.stdout == "['prob']\n", done.stderr


# --- construction


def test_positional_forms(net: caffe.Net) -> None:
    value = net.params["conv1"][0].data
    for other in (
        caffe.Net(str(TINY), caffe.TEST, weights=str(WEIGHTS)),
        caffe.Net(str(TINY), phase=caffe.TEST, weights=WEIGHTS),
        caffe.Net(str(TINY), caffe.TEST, 0, [], str(WEIGHTS)),
        caffe.Net(TINY, WEIGHTS, caffe.TEST),
    ):
        np.testing.assert_array_equal(other.params["conv1"][0].data, value)


def test_level_and_stages() -> None:
    text = IMAGE_NET + (
        'layer { name: "extra" type: "ReLU" bottom: "fc" top: "extra" '
        'include { stage: "deploy" min_level: 2 } }'
        'layer { name: "more" type: "ReLU" bottom: "extra" top: "more" '
        'include { stage: "deploy" min_level: 2 } }'
    )
    assert "extra" not in caffe.Net(text, caffe.TEST).blobs
    assert "extra" not in caffe.Net(text, caffe.TEST, level=2).blobs
    assert "extra" in caffe.Net(text, caffe.TEST, level=2, stages=["deploy"]).blobs


def test_missing_file() -> None:
    with pytest.raises(RuntimeError, match=r"Could not open file .*nothing\.prototxt"):
        caffe.Net("nothing.prototxt", caffe.TEST)
    with pytest.raises(RuntimeError, match=r"nothing\.caffemodel"):
        caffe.Net(str(TINY), "nothing.caffemodel", caffe.TEST)


def test_hdf5_weights_are_recognised_by_content(tmp_path: Path, net: caffe.Net) -> None:
    pytest.importorskip("h5py")
    renamed = tmp_path / "weights.bin"
    renamed.write_bytes((GOLDEN / "tiny_seeded.caffemodel.h5").read_bytes())
    other = caffe.Net(str(TINY), str(renamed), caffe.TEST)
    np.testing.assert_array_equal(other.params["fc_tiny"][1].data, net.params["fc_tiny"][1].data)


def test_unknown_layer_type() -> None:
    with pytest.raises(RuntimeError, match=r"Convolutoin 'conv'.*did you mean 'Convolution'"):
        caffe.Net(IMAGE_NET.replace('"Convolution"', '"Convolutoin"'), caffe.TEST)


# --- attributes


def test_names(net: caffe.Net) -> None:
    assert net.inputs == ["data"]
    assert net.outputs == ["prob"]
    assert list(net._layer_names)[:3] == ["data", "conv1", "bn_conv1"]
    assert net.bottom_names["prob"] == ["fc_tiny"]
    assert net.top_names["prob"] == ["prob"]
    assert [net._blob_names[i] for i in net._top_ids(1)] == ["conv1"]
    assert [net._blob_names[i] for i in net._bottom_ids(1)] == ["data"]
    assert [net._blob_names[i] for i in [*net._inputs, *net._outputs]] == ["data", "prob"]
    assert net.layer_dict["conv1"].type == "Convolution"
    assert len(net.layers) == len(net._layer_names)
    net.name = "tiny_iter_5"  # a script's own use
    assert net.name == "tiny_iter_5"
    assert list(net.blobs)[:2] == ["data", "conv1"]
    assert net.blobs is net.blobs
    assert len(net._blobs) == len(net.blobs)
    assert [len(v) for k, v in net.params.items() if k in ("conv1", "bn_conv1", "fc_tiny")] == [
        1,
        4,
        2,
    ]


def test_loss_weights() -> None:
    text = (
        IMAGE_NET.replace("Softmax", "SoftmaxWithLoss").replace(
            'bottom: "fc" top: "prob"', 'bottom: "fc" bottom: "label" top: "prob"'
        )
        + 'layer { name: "label" type: "Input" top: "label" input_param { shape { dim: 2 } } }'
    )
    lines = text.strip().split("\nlayer")
    ordered = "\nlayer".join([lines[0], lines[-1], *lines[1:-1]])
    net = caffe.Net(ordered, caffe.TEST)
    assert net.blob_loss_weights["prob"] == 1
    assert net.blob_loss_weights["fc"] == 0
    assert list(net._blob_loss_weights) == list(net.blob_loss_weights.values())
    net.blobs["data"].data[...] = rng_for("loss").normal(0, 1, (2, 3, 6, 5))
    loss = net._forward(0, len(net.layers) - 1)
    assert loss == pytest.approx(float(net.blobs["prob"].data), rel=1e-6)


# --- forward


def test_forward_returns_live_views(net: caffe.Net) -> None:
    out = net.forward(data=np.ones((1, 3, 8, 32, 32)))
    assert list(out) == ["prob"]
    first = out["prob"].copy()
    net.forward(data=np.full((1, 3, 8, 32, 32), 90.0))
    assert not np.array_equal(out["prob"], first)
    np.testing.assert_array_equal(out["prob"], net.blobs["prob"].data)


def test_forward_with_blobs_start_and_end(net: caffe.Net) -> None:
    assert set(net.forward(blobs=["pool5", "res2a"])) == {"prob", "pool5", "res2a"}
    assert set(net.forward(end="pool5")) == {"pool5"}
    assert set(net.forward(start="fc_tiny")) == {"prob"}
    with pytest.raises(RuntimeError, match="no layer 'nothing'"):
        net.forward(end="nothing")
    with pytest.raises(RuntimeError, match="no blob 'nothing'"):
        net.forward(blobs=["nothing"])


def test_forward_checks_inputs(net: caffe.Net) -> None:
    with pytest.raises(Exception, match="Input blob arguments do not match net inputs"):
        net.forward(picture=np.zeros((1, 3, 8, 32, 32)))
    with pytest.raises(Exception, match="Input is not batch sized"):
        net.forward(data=np.zeros((2, 3, 8, 32, 32)))


def test_forward_all_pads_the_last_batch() -> None:
    net = caffe.Net(IMAGE_NET, caffe.TEST)
    items = rng_for("all").normal(0, 1, (5, 3, 6, 5))
    out = net.forward_all(blobs=["fc"], data=items)
    assert out["prob"].shape == (5, 3)
    assert out["fc"].shape == (5, 3)
    net.blobs["data"].data[...] = items[2:4]
    np.testing.assert_allclose(net.forward()["prob"], out["prob"][2:4], rtol=1e-6)


def test_hooks_run_around_every_layer() -> None:
    net = caffe.Net(IMAGE_NET, caffe.TEST)
    seen: list[tuple[str, int]] = []
    net.before_forward(lambda layer: seen.append(("before", layer)))
    net.after_forward(lambda layer: seen.append(("after", layer)))
    net.forward()
    assert seen == [(when, i) for i in range(len(net.layers)) for when in ("before", "after")]


@pytest.mark.embedded
def test_hooks_that_add_hooks() -> None:
    net = caffe.Net(IMAGE_NET, caffe.TRAIN)
    seen: list[int] = []

    def add(_: int) -> None:
        for _ in range(50):
            net.before_forward(seen.append)
            net.after_backward(seen.append)

    net.before_forward(add)
    net.forward()
    assert sorted(set(seen)) == list(range(1, len(net.layers)))
    net.after_backward(add)
    net.backward()
    assert len(net.forward()["prob"]) == 2


@pytest.mark.embedded
def test_a_net_whose_hooks_use_it_is_freed() -> None:
    def hooked() -> weakref.ref[caffe.Net]:
        net = caffe.Net(IMAGE_NET, caffe.TRAIN)
        seen: list[str] = []
        net.after_forward(lambda layer: seen.append(net.layers[layer].name))
        net.after_backward(lambda layer: seen.append(net.layers[layer].name))
        net.forward()
        net.backward(prob=np.ones((2, 3)))
        assert seen == [*net._layer_names, *reversed(net._layer_names)]
        return weakref.ref(net)

    watch = hooked()
    gc.collect()
    assert watch() is None


def test_private_forward_by_index(net: caffe.Net) -> None:
    net.forward()
    expected = net.blobs["prob"].data.copy()
    net.blobs["prob"].data[...] = 0
    net._forward(len(net.layers) - 1, len(net.layers) - 1)
    np.testing.assert_allclose(net.blobs["prob"].data, expected, rtol=1e-6)
    with pytest.raises(RuntimeError, match="not all in the net"):
        net._forward(0, 10_000)


# --- backward


def test_backward_returns_live_views_of_the_inputs_diffs() -> None:
    net = caffe.Net("force_backward: true" + IMAGE_NET, caffe.TEST)
    net.forward(data=rng_for("x").normal(0, 1, (2, 3, 6, 5)))
    weights = rng_for("w").normal(0, 1, (2, 3))
    diffs = net.backward(diffs=["fc"], prob=weights)
    assert set(diffs) == {"data", "fc"}
    prob = net.blobs["prob"].data
    expected = prob * (weights - (weights * prob).sum(1, keepdims=True))
    np.testing.assert_allclose(diffs["fc"], expected, rtol=1e-4, atol=1e-6)
    first = diffs["data"].copy()
    net.backward(prob=2 * weights)
    np.testing.assert_allclose(diffs["data"], 2 * first, rtol=1e-5, atol=1e-7)
    assert set(net.backward(start="prob", end="fc")) == {"conv"}


def test_backward_checks_diffs() -> None:
    net = caffe.Net("force_backward: true" + IMAGE_NET, caffe.TEST)
    net.forward()
    with pytest.raises(Exception, match="Top diff arguments do not match net outputs"):
        net.backward(fc=np.zeros((2, 3)))
    with pytest.raises(Exception, match="Diff is not batch sized"):
        net.backward(prob=np.zeros((1, 3)))


def test_forward_backward_all_pads_the_last_batch() -> None:
    net = caffe.Net("force_backward: true" + IMAGE_NET, caffe.TEST)
    items = rng_for("all").normal(0, 1, (5, 3, 6, 5))
    weights = rng_for("all diffs").normal(0, 1, (5, 3))
    blobs, diffs = net.forward_backward_all(["fc"], ["conv"], data=items, prob=weights)
    assert {name: array.shape for name, array in blobs.items()} == {"prob": (5, 3), "fc": (5, 3)}
    assert diffs["data"].shape == items.shape
    assert diffs["conv"].shape == (5, 4, 4, 3)
    net.forward(data=items[2:4])
    expected = net.backward(prob=weights[2:4])["data"]
    np.testing.assert_allclose(diffs["data"][2:4], expected, rtol=1e-5, atol=1e-7)


@pytest.mark.embedded  # upstream's generators raise StopIteration, which Python >= 3.7 forbids
def test_forward_backward_all_checks_its_arguments() -> None:
    net = caffe.Net("force_backward: true" + IMAGE_NET, caffe.TEST)
    with pytest.raises(Exception, match="do not match net inputs and outputs"):
        net.forward_backward_all(picture=np.zeros((5, 3, 6, 5)))


# --- reshape, copy, share, save


def test_idiom_reshape_fill_forward() -> None:
    net = caffe.Net(IMAGE_NET.replace('layer { name: "fc"', 'layer { name: "fc"'), caffe.TEST)
    net.blobs["data"].reshape(1, 3, 6, 5)
    net.blobs["data"].data[...] = rng_for("x").normal(0, 1, (3, 6, 5))
    net.forward()
    assert net.blobs["prob"].data[0].shape == (3,)


def test_share_with(net: caffe.Net) -> None:
    other = caffe.Net(str(TINY), caffe.TEST)
    other.share_with(net)
    net.params["fc_tiny"][1].data[...] = 3
    np.testing.assert_array_equal(other.params["fc_tiny"][1].data, 3)


@pytest.mark.parametrize("form", ["caffemodel", "h5"])
def test_save_and_copy_from(net: caffe.Net, tmp_path: Path, form: str) -> None:
    path = tmp_path / f"saved.{form}"
    if form == "h5":
        pytest.importorskip("h5py")
        net.save_hdf5(str(path))
    else:
        net.save(str(path))
    other = caffe.Net(str(TINY), caffe.TEST)
    (other.load_hdf5 if form == "h5" else other.copy_from)(str(path))
    for name, blobs in net.params.items():
        for i, blob in enumerate(blobs):
            np.testing.assert_array_equal(other.params[name][i].data, blob.data, f"{name}/{i}")


def test_clear_param_diffs(net: caffe.Net) -> None:
    net.params["conv1"][0].diff[...] = 1
    net.clear_param_diffs()
    assert not net.params["conv1"][0].diff.any()


# --- blob


def test_blob_views_outlive_the_net() -> None:
    net = caffe.Net(IMAGE_NET, caffe.TEST)
    view = net.params["conv"][0].data
    expected = view.copy()
    del net
    np.testing.assert_array_equal(view, expected)
    view[...] = 1


def test_blob_attributes() -> None:
    net = caffe.Net(IMAGE_NET, caffe.TEST)
    blob = net.blobs["data"]
    assert (blob.num, blob.channels, blob.height, blob.width) == (2, 3, 6, 5)
    assert blob.count == 180
    assert list(blob.shape) == [2, 3, 6, 5]
    assert (blob.shape[1], len(blob.shape)) == (3, 4)
    assert blob.data.dtype == np.float32
    assert blob.data.flags.writeable
    assert blob.diff.shape == (2, 3, 6, 5)


@pytest.mark.embedded
def test_reshape_checks_the_shape() -> None:
    blob = caffe.Net(IMAGE_NET, caffe.TEST).blobs["data"]
    with pytest.raises(TypeError):
        blob.reshape(shape=(1, 3, 6, 5))
    with pytest.raises(TypeError, match=r"reshape\(\*dims\), not \(1, 3, 6, 5\)"):
        blob.reshape((1, 3, 6, 5))
    with pytest.raises(TypeError, match=r"not 6\.5"):
        blob.reshape(1, 3, 6.5, 5)
    with pytest.raises(RuntimeError, match="-1"):
        blob.reshape(1, -1, 6, 5)
    with pytest.raises(RuntimeError, match=r"2\^31"):
        blob.reshape(1 << 20, 1 << 20)


@pytest.mark.embedded
@pytest.mark.parametrize("size", ["2", 2.0, (2, 3), None])
def test_reshape_takes_whole_numbers(size: object) -> None:
    blob = caffe.Net(IMAGE_NET, caffe.TEST).blobs["data"]
    with pytest.raises(TypeError, match="whole numbers"):
        blob.reshape(1, size)
    with pytest.raises(OverflowError):
        blob.reshape(2**70)
    blob.reshape(np.int64(1), np.uint8(3))
    assert blob.shape == (1, 3)


@pytest.mark.embedded
@pytest.mark.parametrize("dims", [(1,), (0,), (100, 3, 3, 3), (3, 4, 3, 3), ()])
def test_parameters_keep_their_shapes(dims: tuple[int, ...]) -> None:
    net, other = (caffe.Net(IMAGE_NET, caffe.TEST) for _ in range(2))
    other.share_with(net)
    expected = net.forward()["prob"].copy()
    with pytest.raises(RuntimeError, match="parameter 0 of Convolution 'conv' keeps its shape 4 3"):
        net.params["conv"][0].reshape(*dims)
    net.params["conv"][0].reshape(4, 3, 3, 3)
    np.testing.assert_array_equal(net.forward()["prob"], expected)
    assert other.params["conv"][0].data.shape == (4, 3, 3, 3)


@pytest.mark.embedded
def test_blobs_that_share_values_with_one_that_was_reshaped() -> None:
    net = caffe.Net(
        """
        layer { name: "x" type: "Input" top: "x" input_param { shape { dim: 200 dim: 99 } } }
        layer { name: "f" type: "Flatten" bottom: "x" top: "f" flatten_param { axis: 0 } }
        """,
        caffe.TEST,
    )
    net.blobs["f"].reshape(1)
    for blob in ("data", "diff"):
        with pytest.raises(RuntimeError, match=r"shares its values was reshaped to 1: call resh"):
            getattr(net.blobs["x"], blob)
    net.reshape()
    net.blobs["x"].data[...] = 1
    assert net.forward()["f"].sum() == 200 * 99


@pytest.mark.embedded
def test_legacy_accessors_raise_beyond_four_axes(net: caffe.Net) -> None:
    for name in ("num", "channels", "height", "width"):
        with pytest.raises(RuntimeError, match=r"\.shape"):
            getattr(net.blobs["data"], name)


def test_param_lists(net: caffe.Net) -> None:
    blobs = net.params["bn_conv1"]
    assert tuple(blobs[-1].shape) == (1, 8)
    assert len(blobs[1:3]) == 2
    assert [b.count for b in blobs] == [8] * 4
    blobs_of_layer = net.layer_dict["bn_conv1"].blobs
    np.testing.assert_array_equal(blobs_of_layer[0].data, blobs[0].data)
    with pytest.raises(TypeError):  # forgot .data[...]
        blobs[0] = np.zeros(8)


# --- Python layers

PYTHON_LAYER = """
import numpy as np
import p3d.caffe as caffe


class Affine(caffe.Layer):
    def setup(self, bottom, top):
        assert self.phase == caffe.TEST
        self.factor = float(self.param_str)
        self.blobs.add_blob(1)
        self.blobs[0].data[...] = 10

    def reshape(self, bottom, top):
        top[0].reshape(*bottom[0].data.shape)

    def forward(self, bottom, top):
        top[0].data[...] = self.factor * bottom[0].data + self.blobs[0].data


class Broken(caffe.Layer):
    def reshape(self, bottom, top):
        top[0].reshape(2, 4)

    def forward(self, bottom, top):
        raise KeyError("the layer's own error")


class NotALayer:
    pass
"""


@pytest.fixture
def python_net(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "layers_of_a_user.py").write_text(PYTHON_LAYER)
    monkeypatch.syspath_prepend(str(tmp_path))
    sys.modules.pop("layers_of_a_user", None)

    def make(layer: str) -> caffe.Net:
        text = IMAGE_NET.replace(
            'layer { name: "fc"',
            'layer { name: "own" type: "Python" bottom: "conv" top: "own" python_param { '
            f'module: "layers_of_a_user" layer: "{layer}" param_str: "2.5" }} }}\n'
            'layer { name: "fc"',
        ).replace('bottom: "conv" top: "fc"', 'bottom: "own" top: "fc"')
        return caffe.Net(text, caffe.TEST)

    return make


def test_python_layer(python_net) -> None:
    net = python_net("Affine")
    for seed in ("a", "b"):
        net.blobs["data"].data[...] = rng_for(seed).normal(0, 1, (2, 3, 6, 5))
        net.forward()
        np.testing.assert_allclose(
            net.blobs["own"].data, 2.5 * net.blobs["conv"].data + 10, rtol=1e-6
        )
    assert net.params["own"][0].data == 10
    net.params["own"][0].data[...] = -1
    net.forward()
    np.testing.assert_allclose(net.blobs["own"].data, 2.5 * net.blobs["conv"].data - 1, rtol=1e-5)


@pytest.mark.embedded
def test_python_layer_errors_pass_through(python_net) -> None:
    net = python_net("Broken")
    net.blobs["data"].data[...] = 1
    with pytest.raises(KeyError, match="the layer's own error"):
        net.forward()
    assert net.blobs["conv"].data.any()  # made again without the layer
    with pytest.raises(RuntimeError, match="no class 'Missing'"):
        python_net("Missing")
    with pytest.raises(RuntimeError, match=r"not derived from the Layer of p3d\.caffe"):
        python_net("NotALayer")


@pytest.mark.embedded
@pytest.mark.parametrize("module", ["layers_of_a_user", "package_of_a_user.layers_of_a_user"])
def test_python_layer_of_a_module_that_is_nowhere(python_net, module: str) -> None:
    text = f'layer {{ name: "own" type: "Python" top: "own" python_param {{ module: "{module}2" '
    missing = module.split(".")[0] if "." in module else f"{module}2"
    words = f"Python 'own': there is no module '{missing}' on Python's path: .*PYTHONPATH"
    with pytest.raises(RuntimeError, match=words):
        caffe.Net(text + 'layer: "Own" } }', caffe.TEST)


@pytest.mark.embedded
def test_python_layer_whose_module_imports_caffe(tmp_path: Path) -> None:
    """As those for a real Caffe do, where there is none."""
    module = PYTHON_LAYER.replace("import p3d.caffe as caffe", "import caffe\nimport caffe.io")
    (tmp_path / "layers_of_a_user.py").write_text(module)
    text = (
        'layer { name: "x" type: "Input" top: "x" input_param { shape { dim: [1, 2] } } }'
        'layer { name: "own" type: "Python" bottom: "x" top: "own" python_param '
        '{ module: "layers_of_a_user" layer: "Affine" param_str: "2" } }'
    )
    code = f"import p3d.caffe as c; print(c.Net({text!r}, c.TEST).forward()['own'].sum())"
    command = [sys.executable, "-c", code]
    environment = {**os.environ, "PYTHONPATH": ""}  # on which tests/caffe could be taken for one
    done = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert done.stdout == "20.0\n", done.stderr


@pytest.mark.parametrize(
    "call",
    [
        lambda net: net.profile(),
        lambda net: net.share_with(caffe.Net(IMAGE_NET.replace('"conv"', '"fc_tiny"'), caffe.TEST)),
    ],
    ids=["profile", "share_with"],
)
def test_errors_name_the_file(net: caffe.Net, call: Any) -> None:
    net.blobs["data"].reshape(1, 5, 3, 7, 7)
    with pytest.raises(RuntimeError, match=re.escape(f"{TINY}: ")):
        call(net)


@pytest.mark.embedded
def test_errors_of_values_that_are_made_again_name_the_file(tmp_path: Path) -> None:
    path = tmp_path / os.fsdecode(b"caf\xe9.prototxt")
    relu = 'layer { name: "relu" type: "ReLU" bottom: "conv" top: "relu" }'
    behind = IMAGE_NET.index('layer { name: "fc"')
    text = IMAGE_NET[behind:].replace('bottom: "conv"', 'bottom: "relu"')
    path.write_text(IMAGE_NET[:behind] + relu + text)
    net = caffe.Net(str(path), caffe.TEST)
    net.forward()
    net.blobs["data"].reshape(1, 3, 6, 5)
    with pytest.raises(RuntimeError, match=f"^{re.escape(str(path))}: blob 'conv' is not at hand"):
        net.blobs["conv"].data.sum()
