"""tools/benchmark.py: that it compares results before it times, and what it counts.

Nothing here looks at how long anything took.
"""

from __future__ import annotations

import itertools
import json
import os
from functools import partial

import benchmark
import numpy as np
import pytest
from benchmarking import files, machine
from benchmarking.geometry import conv_products, pool_windows
from benchmarking.race import Row, _difference, _finish, _take_turns, race
from benchmarking.systems import BF16, OURS, SYSTEMS, System
from benchmarking.worker import Failed, Worker, installed
from recipe import GOLDEN

from p3d import _core, caffe, models
from p3d.caffe.prototxt import describe

pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

NET = str(GOLDEN / "tiny/tiny.prototxt")
WEIGHTS = str(GOLDEN / "tiny/tiny_seeded.caffemodel")
ORT = SYSTEMS["onnxruntime"]


@pytest.fixture(autouse=True)
def restore():
    threads = _core.num_threads()
    yield
    _core.set_num_threads(threads)


@pytest.fixture
def job(tmp_path):
    return files.prepare(NET, WEIGHTS, batch=2, threads=1, folder=str(tmp_path))[0]


prepare = files.prepare


def spoil(job, folder):
    """The job with an ONNX file that has other weights."""
    os.mkdir(folder)
    other, _ = prepare(NET, None, batch=2, threads=1, folder=str(folder))
    return job._replace(onnx=other.onnx)


def run(job, *systems):
    rows = race(systems, job, batch=2, rounds=2, forwards=2)
    assert [row.system for row in rows] == [OURS.name, *(s.name for s in systems)]
    return rows


def test_the_whole_program(capsys):
    arguments = ["--net", NET, "--weights", WEIGHTS, "--threads", "1", "--forwards", "1"]
    systems = ["--systems", "onnxruntime", "caffe-p3d", "--batch", "1", "3"]
    assert benchmark.main([*arguments, *systems, "--json"]) == 0
    data = json.loads(capsys.readouterr().out)
    assert [run["batch"] for run in data["runs"]] == [1, 3]
    for one in data["runs"]:
        assert one["rounds"] >= 10
        assert one["threads"] == 1
        assert one["floor_ms"] == pytest.approx(2e3 * one["gmac"] / one["peak_gflops"])
        assert one["floor_without_padding_ms"] < one["floor_ms"]
        assert [row["system"] for row in one["rows"]] == ["caffe-p3d", "onnxruntime"]
        for row in one["rows"]:
            assert row["fault"] == ""
            assert row["difference"] < 1e-5
            assert 0 < row["min_ms"] <= row["ms_per_clip"]
            assert row["first_result_s"] > 0
            assert row["peak_mib"] > 20
        assert one["rows"][0]["times_ours"] == 1
        assert one["rows"][1]["difference"] > 0, "the same program twice?"
    table = "\n".join(benchmark._lines(data))
    assert table.count("onnxruntime") == 2
    assert machine.line(data["machine"]) in table


def test_other_results_are_not_timed(job, tmp_path):
    ours, other = run(spoil(job, tmp_path / "other"), ORT)
    assert ours.ms_per_clip > 0
    assert other.fault.startswith("REFUSED")
    assert other.difference > 1e-4
    assert (other.ms_per_clip, other.min_ms, other.times_ours) == (None, None, None)


def test_a_refusal_is_the_exit_code(monkeypatch, tmp_path, capsys):
    def prepare_wrong(*arguments, **options):
        job, work = prepare(*arguments, **options)
        return spoil(job, tmp_path / "other"), work

    monkeypatch.setattr(files, "prepare", prepare_wrong)
    arguments = ["--net", NET, "--weights", WEIGHTS, "--batch", "2", "--forwards", "1"]
    assert benchmark.main([*arguments, "--systems", "onnxruntime"]) == 1
    out = capsys.readouterr().out
    assert "REFUSED: its results differ by" in out


def test_a_system_that_fails_stops_nobody(job, tmp_path):
    (tmp_path / "broken.onnx").write_bytes(b"no such thing")
    dies = System("dies", "onnxruntime", partial(_die, code=7))
    missing = System("missing", "nothing_of_this_name", _die)
    ours, broken, dead, absent = run(
        job._replace(onnx=str(tmp_path / "broken.onnx")), ORT, dies, missing
    )
    assert ours.ms_per_clip > 0
    assert broken.fault.startswith("fails: ")
    assert "broken.onnx" in broken.fault
    assert dead.fault == "fails: its process ended with code 7"
    assert absent.fault == "not installed"
    text = "\n".join(benchmark._table([row._asdict() for row in (ours, broken, dead, absent)]))
    assert "not installed" in text


def _die(job, code=1):
    os._exit(code)


def test_an_engine_that_fails_is_an_error(job):
    with pytest.raises(RuntimeError, match="nowhere"):
        run(job._replace(weights="nowhere.caffemodel"), ORT)


def test_a_worker_says_what_went_wrong(job):
    worker = Worker(ORT, job._replace(onnx="nowhere.onnx"))
    try:
        with pytest.raises(Failed, match=r"nowhere\.onnx"):
            worker.start()
        with pytest.raises(Failed):
            worker.run(1)
    finally:
        worker.stop()


def test_differences():
    a = np.float32([[1, -4]])
    assert _difference(a + np.float32([[0, 0.5]]), a) == 0.125
    assert _difference(np.float32([1, -4]), a) == np.inf
    assert not _difference(np.float32([[1, np.nan]]), a) <= 0.1
    assert _difference(a, np.float32([[1, np.nan]])) == np.inf


class FakeWorker:
    """Takes 1 s for a forward in the first round, 2 s in the second...; twice that to warm up."""

    log: list[tuple[str, int]]

    def __init__(self, system, factor, log):
        self.system, self.factor, self.log, self.turn = system, factor, log, 0

    def run(self, forwards):
        self.turn += 1
        self.log.append((self.system.name, forwards))
        seconds = self.turn * self.factor
        return [2 * seconds] + [seconds] * (forwards - 1)

    def peak_memory(self):
        return 100.0


def test_turns_and_statistics():
    log = []
    two = System("two", "x", _die, clips=2)
    workers = {"caffe-p3d": FakeWorker(OURS, 1, log), "two": FakeWorker(two, 3, log)}
    times = _take_turns(workers, 3, 4, lambda line: None)
    assert [name for name, _ in log] == ["caffe-p3d", "two", "two", "caffe-p3d", "caffe-p3d", "two"]
    assert {count for _, count in log} == {5}
    assert times["caffe-p3d"] == [[1.0] * 4, [2.0] * 4, [3.0] * 4]
    row = _finish(Row("two", BF16), workers["two"], times, batch=4)
    assert row.ms_per_clip == 6e3 / (4 * 2)
    assert row.min_ms == 3e3 / (4 * 2)
    assert row.times_ours == 1.5
    assert row.peak_mib == 100


@pytest.mark.parametrize("arguments", [["--rounds", "9"], ["--batch", "0"], ["--systems", "x"]])
def test_usage_errors(arguments, capsys):
    with pytest.raises(SystemExit):
        benchmark.main(arguments)
    assert arguments[0] in capsys.readouterr().err


def test_every_system_that_is_not_installed_is_named(monkeypatch, job):
    assert installed(OURS)
    assert not installed(System("x", "nothing_of_this_name", _die))
    assert not installed(System("x", "nothing", _die, imports="nothing_of_this_name.part"))


# ---------------------------------------------------------------- counting products


CONVOLUTIONS = [
    (size, kernel, stride, pad, dilation)
    for size, kernel, stride, pad, dilation in itertools.product(
        (1, 2, 5, 9), (1, 3, 4), (1, 2, 3), (0, 1, 3), (1, 2)
    )
    if size + 2 * pad > dilation * (kernel - 1)
]


@pytest.mark.parametrize(("size", "kernel", "stride", "pad", "dilation"), CONVOLUTIONS)
def test_products(size, kernel, stride, pad, dilation):
    text = f"""
        layer {{ name: "x" type: "Input" top: "x"
                 input_param {{ shape {{ dim: 2 dim: 4 dim: {size} dim: 6 }} }} }}
        layer {{ name: "y" type: "Convolution" bottom: "x" top: "y" convolution_param {{
                 num_output: 6 group: 2 kernel_size: {kernel} kernel_size: 1
                 stride: {stride} stride: 1 pad: {pad} pad: 0 dilation: {dilation} dilation: 1
                 bias_term: false weight_filler {{ type: "constant" value: 1 }} }} }}"""
    net = caffe.Net(text, caffe.TEST)
    net.blobs["x"].data[...] = 1
    net.forward()
    param = describe(net.param)[0][1]["fields"]["convolution_param"]
    every, real = conv_products(param, net.blobs["x"].shape)
    assert every == net.layer_dict["y"].macs
    assert real == net.blobs["y"].data.sum()  # ones: every product with data counts one


def test_the_products_of_p3d199():
    net = caffe.Net(models.prototxt("p3d199-kinetics", batch=2), caffe.TEST)
    work = files._work(net, 2)
    assert work.macs == pytest.approx(18.40e9, rel=1e-3)
    assert 1 - work.macs_without_padding / work.macs == pytest.approx(0.076, abs=1e-3)


# ---------------------------------------------------------------- the torch module

WINDOWS = [(5, 2, 2, 0), (6, 3, 2, 0), (7, 3, 2, 1), (4, 2, 2, 1), (5, 1, 2, 0), (9, 4, 3, 2)]


@pytest.mark.parametrize(("size", "kernel", "stride", "pad"), WINDOWS)
def test_pool_windows_are_the_engines(size, kernel, stride, pad):
    text = f"""
        layer {{ name: "x" type: "Input" top: "x"
                 input_param {{ shape {{ dim: 1 dim: 1 dim: {size} dim: {size} }} }} }}
        layer {{ name: "y" type: "Pooling" bottom: "x" top: "y" pooling_param {{
                 pool: MAX kernel_size: {kernel} stride: {stride} pad: {pad} }} }}"""
    net = caffe.Net(text, caffe.TEST)
    counts = pool_windows([size] * 2, [kernel] * 2, [stride] * 2, [pad] * 2, True)
    assert counts == list(net.blobs["y"].shape[2:])


OTHER_LAYERS = """
layer { name: "x" type: "Input" top: "x"
        input_param { shape { dim: 2 dim: 4 dim: 5 dim: 9 dim: 8 } } }
layer { name: "c" type: "Convolution" bottom: "x" top: "c"
        convolution_param { num_output: 6 group: 2 kernel_size: 3 stride: 1 stride: 2 stride: 1
        pad: 1 dilation: 1 dilation: 1 dilation: 2 } }
layer { name: "norm" type: "BatchNorm" bottom: "c" top: "norm" }
layer { name: "scale" type: "Scale" bottom: "norm" top: "scale" scale_param { bias_term: true } }
layer { name: "leak" type: "ReLU" bottom: "scale" top: "leak" relu_param { negative_slope: 0.2 } }
layer { name: "relu" type: "ReLU" bottom: "norm" top: "relu" }
layer { name: "most" type: "Eltwise" bottom: "leak" bottom: "relu" bottom: "norm" top: "most"
        eltwise_param { operation: MAX } }
layer { name: "times" type: "Eltwise" bottom: "leak" bottom: "most" top: "times"
        eltwise_param { operation: PROD } }
layer { name: "sum" type: "Eltwise" bottom: "leak" bottom: "times" bottom: "relu" top: "sum"
        eltwise_param { coeff: 0.5 coeff: -1 coeff: 2 } }
layer { name: "pool" type: "Pooling3D" bottom: "sum" top: "pool" pooling3d_param { pool: AVE
        kernel_size: 3 stride: 2 pad: 1 kernel_l: 2 stride_l: 2 pad_l: 1 } }
layer { name: "all" type: "Pooling3D" bottom: "pool" top: "all"
        pooling3d_param { pool: MAX global_pooling: true } }
layer { name: "flat" type: "Reshape" bottom: "pool" top: "flat"
        reshape_param { shape { dim: -1 } axis: 1 num_axes: 2 } }
layer { name: "fc" type: "InnerProduct" bottom: "flat" top: "fc"
        inner_product_param { num_output: 5 bias_filler { type: "constant" value: 0.5 } } }
layer { name: "prob" type: "Softmax" bottom: "fc" top: "prob" }
"""


@pytest.mark.parametrize(
    "text",
    [
        models.prototxt("p3d63-kinetics", crop=48, classes=7, batch=2),
        models.prototxt("p3d63-kinetics-flow", crop=48, classes=7, length=5),
        OTHER_LAYERS,
    ],
    ids=["p3d63", "p3d63-flow", "other"],
)
def test_torch_gives_the_engines_numbers(text, tmp_path):
    torch = pytest.importorskip("torch")
    from benchmarking.torch_net import CaffeNet

    from p3d.random_weights import fill

    net = caffe.Net(text, caffe.TEST)
    fill(net)
    source = net.inputs[0]
    clip = files.clips(tuple(net.blobs[source].shape)) / (1 if source == "data" else 100)
    names = [
        name for name in net.blobs if name not in (source, "pool5_drop") and "split" not in name
    ]
    net.blobs[source].data[...] = clip
    expected = net.forward(blobs=names)
    weights = {name: [np.array(b.data) for b in blobs] for name, blobs in net.params.items()}
    layers, defaults = describe(net.param)
    module = CaffeNet(layers, defaults, weights, source, names)
    with torch.no_grad():
        found = dict(zip(names, module(torch.from_numpy(clip)), strict=True))
    for name in names:
        assert _difference(found[name].numpy(), expected[name]) < 1e-5, name
    eps = layers[2]["fields"].setdefault("bn_param", dict(defaults["bn_param"]))
    eps["eps"] = 0.1
    layers[2]["fields"]["batch_norm_param"] = dict(defaults["batch_norm_param"], eps=0.1)
    with torch.no_grad():
        spoiled = CaffeNet(layers, defaults, weights, source, ["prob"])(torch.from_numpy(clip))[0]
    assert _difference(spoiled.numpy(), expected["prob"]) > 1e-4


def test_torch_refuses_what_it_does_not_know():
    pytest.importorskip("torch")
    from benchmarking.torch_net import CaffeNet

    layer = {"name": "a", "type": "LRN", "bottom": ["x"], "top": ["a"], "fields": {}}
    with pytest.raises(NotImplementedError, match="LRN"):
        CaffeNet([layer], {}, {}, "x", ["a"])
