"""What may happen to a net between two forwards: python graph_scenarios.py NAME [LAUNCHES]

Runs the scenario on the host, then on the GPU at $P3D_PRECISION, and compares whatever it yields.
The number of forwards that were one launch of a graph has to be the one stated here, or LAUNCHES.
"""

from __future__ import annotations

import gc
import os
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from plan_nets import NETS, conv, data, layer, shared

import p3d.caffe as caffe
from p3d import _core

TINY = Path(__file__).parents[1] / "golden" / "tiny"

Values = Iterator[np.ndarray]
Scenario = Callable[[], Values]
# How far the largest of the values may be off, as a part of the largest.
BOUNDS = {"float32": 1e-5, "tf32": 4e-3, "bf16": 0.06, "fp16": 8e-3}

RECURRENT = (
    "recurrent_param { num_output: 3 expose_hidden: true "
    'weight_filler { type: "gaussian" std: 0.5 } }'
)


def inner(name: str, bottom: str, outputs: int) -> str:
    """An InnerProduct over all but the first two axes."""
    more = f'num_output: {outputs} axis: 2 weight_filler {{ type: "gaussian" std: 0.5 }}'
    return layer("InnerProduct", name, bottom, more=f"inner_product_param {{ {more} }}")


LABELLED = (
    data(2, 3, 4, 5)
    + 'layer { name: "label" type: "Input" top: "label" input_param { shape { dim: 2 } } }\n'
    + layer("InnerProduct", "fc", "data", more="inner_product_param { num_output: 4 "
            'weight_filler { type: "gaussian" } }')
    + layer("SoftmaxWithLoss", "loss", "fc label")
)  # fmt: skip
IN_PLACE = data(2, 3, 4, 5) + layer("ReLU", "relu", "data", "data") + conv("c", "data", 4)
RANDOM = (
    'layer { name: "data" type: "DummyData" top: "data" dummy_data_param { '
    'shape { dim: 2 dim: 3 dim: 4 dim: 5 } data_filler { type: "gaussian" } } }\n'
) + conv("c", "data", 4)
AROUND = (
    data(2, 3, 4, 5)
    + conv("c", "data", 4)
    + layer("Python", "host", "c", more='python_param { module: "graph_scenarios" layer: "Half" }')
    + conv("top", "host", 4)
)  # layers in Python run on the host
MAXIMA = data(2, 3, 6, 5) + layer(
    "Pooling", "pool", "data", "pool places", "pooling_param { kernel_size: 2 }"
)
# What a recurrent layer takes: a sequence, whether it goes on, first states.
SEQUENCE = (
    layer("Power", "small", "data", more="power_param { scale: 0.01 }")
    + layer("Slice", "s", "small", "early late", "slice_param { axis: 0 }")
    + inner("h", "early", 3)
    + inner("c", "late", 3)
    + inner("going", "small", 1)
    + layer("Reshape", "going_on", "going", more="reshape_param { shape { dim: 2 dim: 4 } }")
)
# Numbers of items: 0, 0, 1.
ITEMS = (
    'layer { name: "numbers" type: "DummyData" top: "zeros" top: "ones" dummy_data_param { '
    "shape { dim: 2 } shape { dim: 1 } data_filler { } data_filler { value: 1 } } }\n"
) + layer("Concat", "items", "zeros ones", more="concat_param { axis: 0 }")
# Layers that run on the GPU: if one of a net did not, there would be no graph, or two.
ON_GPU = {
    name: data(2, 4, 2, 3, 5) + text
    for name, text in {
        "bias": layer("Bias", "top", "data", more="bias_param { filler { value: 0.5 } }"),
        "bn": layer("BN", "top", "data"),
        "batch_norm": layer("BatchNorm", "top", "data"),
        "scale": layer("Scale", "top", "data", more="scale_param { bias_term: true }"),
        "prelu": layer("PReLU", "top", "data"),
        "prelu_shared": layer("PReLU", "top", "data", more="prelu_param { channel_shared: true }"),
        "abs": layer("AbsVal", "top", "data"),
        "bnll": layer("BNLL", "top", "data"),
        "clip": layer("Clip", "top", "data", more="clip_param { min: -9 max: 30 }"),
        "elu": layer("ELU", "top", "data"),
        "exp": layer("Exp", "top", "data", more="exp_param { scale: 0.01 }"),
        "log": layer("Log", "top", "data", more="log_param { scale: 0.01 shift: 2 }"),
        "power": layer("Power", "top", "data", more="power_param { power: 3 scale: 0.1 }"),
        "sigmoid": layer("Sigmoid", "top", "data"),
        "swish": layer("Swish", "top", "data"),
        "tanh": layer("TanH", "top", "data"),
        "threshold": layer("Threshold", "top", "data"),
        "leaky": layer("ReLU", "top", "data", more="relu_param { negative_slope: 0.25 }"),
        "concat": conv("a", "data", 3) + layer("Concat", "top", "data a"),
        "concat_frames": layer("Split", "s", "data", "a b")
        + layer("Concat", "top", "a b", more="concat_param { axis: 2 }"),
        "slice": conv("a", "data", 4) + layer("Slice", "s", "a", "top b"),
        "slice_rows": layer("Slice", "s", "data", "top b c", "slice_param { axis: 3 }"),
        "deconvolution": layer("Deconvolution", "top", "data", more="convolution_param { "
                               'num_output: 5 kernel_size: 3 stride: 2 pad: 1 '
                               'weight_filler { type: "gaussian" } }'),
        "deconvolution_groups": layer("Deconvolution", "top", "data", more="convolution_param { "
                                      "num_output: 8 group: 4 kernel_size: 2 bias_term: false "
                                      'weight_filler { type: "gaussian" } }'),
        "lrn": layer("LRN", "top", "data"),
        "lrn_within": layer("LRN", "top", "data", more="lrn_param { norm_region: WITHIN_CHANNEL "
                            "local_size: 3 alpha: 0.001 }"),
        "lrn_in_place": conv("top", "data", 4) + layer("LRN", "lrn", "top", "top"),
        "crop": conv("a", "data", 6)
        + layer("Pooling", "like", "data", more="pooling_param { kernel_size: 2 stride: 2 }")
        + layer("Crop", "top", "a like", more="crop_param { offset: 1 }"),
        "tile": layer("Tile", "top", "data", more="tile_param { tiles: 3 }"),
        "tile_rows": conv("a", "data", 3)
        + layer("Tile", "top", "a", more="tile_param { tiles: 2 axis: 3 }"),
        "mvn": conv("a", "data", 4) + layer("MVN", "mvn", "a") + conv("top", "mvn", 4),
        "mvn_across": layer("MVN", "mvn", "data", more="mvn_param { across_channels: true }")
        + conv("top", "mvn", 4),
        "mvn_mean": conv("top", "data", 4)
        + layer("MVN", "mvn", "top", "top", "mvn_param { normalize_variance: false }"),
        "transposed": conv("a", "data", 4)
        + layer("InnerProduct", "top", "a", more="inner_product_param { num_output: 9 "
                'transpose: true weight_filler { type: "gaussian" } bias_filler { value: 3 } }'),
        "silence": conv("a", "data", 4)
        + 'layer { name: "none" type: "Silence" bottom: "a" }\n'
        + conv("top", "data", 4),
        "spp": layer("SPP", "top", "data", more="spp_param { pyramid_height: 2 }"),
        "spp_mean": conv("a", "data", 4)
        + layer("SPP", "top", "a", more="spp_param { pyramid_height: 2 pool: AVE }"),
        "im2col": layer("Im2col", "top", "data", more="convolution_param { kernel_size: 2 pad: 1 "
                        "stride: 2 }"),
        "batch_reindex": ITEMS + layer("BatchReindex", "top", "data items"),
        "embed": ITEMS + layer("Embed", "top", "items", more="embed_param { num_output: 6 "
                               'input_dim: 4 weight_filler { type: "gaussian" } }'),
        "reduction": layer("Reduction", "top", "data", more="reduction_param { axis: 1 }"),
        "reduction_rows": layer("Reduction", "top", "data", more="reduction_param { axis: -2 "
                                "operation: SUMSQ coeff: 0.5 }"),
        "argmax": layer("ArgMax", "top", "data", more="argmax_param { top_k: 3 axis: 1 }"),
        "argmax_of_items": layer("ArgMax", "top", "data", more="argmax_param { out_max_val: true "
                                 "top_k: 2 }"),
        "softmax": layer("Softmax", "top", "data"),
        "lstm": SEQUENCE + layer("LSTM", "l", "small going_on h c", "top h_end c_end", RECURRENT),
        "rnn": SEQUENCE + layer("RNN", "r", "small going_on h", "top h_end", RECURRENT),
        "lstm_unit": SEQUENCE
        + inner("gates", "early", 12)
        + layer("Slice", "at", "going_on", "now then", "slice_param { axis: 0 }")
        + layer("LSTMUnit", "unit", "c gates now", "top h_end"),
        "long_sums": conv("a", "data", 600)
        + conv("b", "a", 24)
        + layer("InnerProduct", "top", "b", more="inner_product_param { num_output: 9 "
                'weight_filler { type: "gaussian" } }'),
    }.items()
}  # fmt: skip
# Their results are floats whatever the precision.
OF_FLOATS = {"softmax", "lstm", "rnn", "lstm_unit", "reduction", "reduction_rows"}
OF_FLOATS |= {"argmax", "argmax_of_items"}
SHARED = data(2, 48, 2, 4, 4) + shared("a", "data", 1) + shared("b", "a", 1)
# Another has a layer that runs on the host.
NOT_REPLAYED: set[str] = set()


class Half(caffe.Layer):
    """A layer in Python."""

    def setup(self, bottom: Any, top: Any) -> None:
        pass

    def reshape(self, bottom: Any, top: Any) -> None:
        top[0].reshape(*bottom[0].data.shape)

    def forward(self, bottom: Any, top: Any) -> None:
        top[0].data[...] = 0.5 * bottom[0].data


sys.modules["graph_scenarios"] = sys.modules[__name__]


def tiny() -> caffe.Net:
    return caffe.Net(str(TINY / "tiny.prototxt"), str(TINY / "tiny_seeded.caffemodel"), caffe.TEST)


def made(text: str) -> caffe.Net:
    caffe.set_random_seed(1)
    return caffe.Net(text, caffe.TEST)


def fill(net: caffe.Net, seed: int) -> None:
    blob = net.blobs["data"]
    blob.data[...] = np.random.default_rng(seed).uniform(-100, 100, blob.shape)


def forwards(net: caffe.Net, times: int, seed: int = 0) -> Values:
    """The outputs for `times` inputs that begin with `seed`."""
    for i in range(times):
        fill(net, seed + i)
        yield from (value.copy() for value in net.forward().values())


def changing_inputs() -> Values:
    yield from forwards(tiny(), 5)


def views_held() -> Values:
    net = tiny()
    inputs, outputs = net.blobs["data"].data, net.blobs["prob"].data
    for i in range(4):
        inputs[...] = np.random.default_rng(i).uniform(-100, 100, inputs.shape)
        net.forward()
        yield outputs.copy()
    outputs[...] = 7  # of no consequence
    net.forward()
    yield outputs.copy()


def weights_written() -> Values:
    net = tiny()
    yield from forwards(net, 3)
    for name, index in (("conv1", 0), ("bn_conv1", 2), ("res2a_branch1", 0), ("bn2a_branch1", 1)):
        net.params[name][index].data[...] *= 1.25
        yield from forwards(net, 3)


def weights_held() -> Values:
    net = tiny()
    weights = net.params["conv1"][0].data
    for _ in range(3):
        weights[...] *= 1.25
        yield from forwards(net, 2)


def reshaped() -> Values:
    net = tiny()
    shape = net.blobs["data"].shape
    for batch in (1, 3, 2, 1):
        net.blobs["data"].reshape(batch, *shape[1:])
        yield from forwards(net, 3)


def blobs_asked_for() -> Values:
    net = tiny()
    yield from forwards(net, 3)
    for _ in range(2):
        yield net.blobs["res2a"].data.copy()
        yield from forwards(net, 3)
    yield net.blobs["pool1"].data.copy()
    yield net.blobs["res2a"].data.copy()


def parts() -> Values:
    net = tiny()
    yield from forwards(net, 3)
    yield net.forward(end="res2a")["res2a"].copy()
    yield from forwards(net, 3)
    net.profile()
    yield from forwards(net, 2)
    net._net.set_planning(False)
    yield from forwards(net, 2)
    net._net.set_planning(True)
    yield from forwards(net, 2)


def two_nets() -> Values:
    nets = [tiny(), made(NETS["sum_of_three"])]
    for i in range(4):
        for net in nets:
            yield from forwards(net, 1, i)


def shared_weights() -> Values:
    nets = [made(SHARED), made(SHARED)]
    nets[1].share_with(nets[0])
    for factor in (1, 0.5):
        nets[0].params["a"][0].data[...] *= factor
        for i in range(3):
            for net in nets:
                yield from forwards(net, 1, i)


def weights_moved() -> Values:
    """Use on the host leaves the packed ones only; another net then takes the GPU's memory."""
    on_gpu = _core.gpu_mode()
    nets = [made(SHARED), made(SHARED)]
    nets[1].share_with(nets[0])
    for _ in range(3):
        yield from forwards(nets[0], 3)
        caffe.set_mode_cpu()
        yield from forwards(nets[1], 2)
        if on_gpu:
            caffe.set_mode_gpu()
        nets.append(made(SHARED))
        yield from forwards(nets[-1], 1)


def mode_switched() -> Values:
    on_gpu = _core.gpu_mode()
    net = tiny()
    for _ in range(2):
        yield from forwards(net, 3)
        caffe.set_mode_cpu()
        yield from forwards(net, 2)
        if on_gpu:
            caffe.set_mode_gpu()


def freed() -> Values:
    for _ in range(3):
        yield from forwards(tiny(), 3)
        gc.collect()
        assert _core.gpu_bytes_in_use() == 0


def two_threads() -> Values:
    results: list[list[np.ndarray]] = [[], []]

    def work(index: int) -> None:
        net = tiny()
        results[index] += forwards(net, 10, 100 * index)

    threads = [threading.Thread(target=work, args=(i,)) for i in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [len(found) for found in results] == [10, 10]
    for found in results:
        yield from found


def small_nets() -> Values:
    for name, text in NETS.items():
        before = _core.gpu_graph_launches()
        yield from forwards(made(text), 3)
        expected = 2 if _core.gpu_mode() and name not in NOT_REPLAYED else 0
        assert _core.gpu_graph_launches() - before == expected, name


def on_gpu() -> Values:
    for name, text in ON_GPU.items():
        before = _core.gpu_graph_launches()
        yield from forwards(made(text), 3)
        expected = 2 if _core.gpu_mode() else 0
        assert _core.gpu_graph_launches() - before == expected, name


def in_parts() -> Values:
    """Graphs go around what runs on the host or adds up there."""
    for text, graphs in ((LABELLED, 1), (IN_PLACE, 1), (AROUND, 2)):
        before = _core.gpu_graph_launches()
        net = made(text)
        yield from forwards(net, 3)
        expected = 2 * graphs if _core.gpu_mode() else 0
        assert _core.gpu_graph_launches() - before == expected, text
        assert net._net.graphs == (graphs if _core.gpu_mode() else 0)


def two_tops() -> Values:
    # In 16 bits there are more equal values.
    if os.environ.get("P3D_PRECISION") not in ("bf16", "fp16"):
        yield from forwards(made(MAXIMA), 3)
    else:
        yield from forwards(tiny(), 3)


def other_sources() -> Values:
    net = made(RANDOM)
    for _ in range(4):
        yield net.forward()["c"].copy()


LAUNCHES: dict[Scenario, int | None] = {
    changing_inputs: 4,
    views_held: 4,
    weights_written: 5 * 3 - 1,
    weights_held: 5,
    reshaped: 4 * 2,
    blobs_asked_for: 2 + 2 + 3,
    parts: None,
    two_nets: 2 * 3,
    shared_weights: 2 * 6 - 2,
    weights_moved: None,
    mode_switched: 2 * 2,
    freed: 3 * 2,
    two_threads: 2 * 9,
    small_nets: 2 * (len(NETS) - len(NOT_REPLAYED)),
    on_gpu: 2 * len(ON_GPU),
    in_parts: 2 * (1 + 1 + 2),
    two_tops: 2,
    other_sources: 3,
}  # None: depends on where memory is found again


def main(name: str, launches: int | None) -> None:
    scenario = next(found for found in LAUNCHES if found.__name__ == name)
    expected = LAUNCHES[scenario] if launches is None else launches
    caffe.set_mode_gpu()
    precision = _core.precision()
    assert precision == os.environ.get("P3D_PRECISION", "float32")
    caffe.set_mode_cpu()
    caffe.set_precision("float32")
    want = list(scenario())
    assert _core.gpu_graph_launches() == 0
    caffe.set_mode_gpu()
    caffe.set_precision(precision)
    got = list(scenario())
    assert len(got) == len(want) > 0
    for i, (actual, desired) in enumerate(zip(got, want, strict=True)):
        bound = BOUNDS[precision] * np.abs(desired).max()
        np.testing.assert_allclose(actual, desired, rtol=0, atol=bound, err_msg=f"value {i}")
    exact = all(map(np.array_equal, got, want))
    assert exact is False or precision in ("float32", "tf32"), "nothing was rounded to 16 bits"
    found = _core.gpu_graph_launches()
    assert expected in (None, found), f"{found} forwards were one launch, not {expected}"


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else None)
