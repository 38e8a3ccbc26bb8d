"""What may happen between two iterations: python training_graph_scenarios.py NAME

Trains on a GPU at $P3D_PRECISION, first step by step, then from graphs, and compares
whatever the scenario yields, bit for bit. So many launches of graphs are stated here.
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from plan_nets import conv, layer

import p3d.caffe as caffe
from p3d import _core
from p3d.error import Error

# A trunk with all that P3D has, BN that learns and that is frozen, in place and not, biases, sums,
# blobs with two readers, then what cannot be replayed.
NET = (
    'layer { name: "clips" type: "Python" top: "data" top: "label" '
    'python_param { module: "training_graph_clips" layer: "Clips" } }\n'
    + conv("a", "data", 6, "pad: 1").replace("kernel_size: 1", "kernel_size: 3")
    + layer("BN", "bn_a", "a", "a")
    + layer("ReLU", "relu_a", "a", "a")
    + layer("Pooling3D", "pool", "a", more="pooling3d_param { pool: MAX kernel_size: 2 stride: 2 "
            "kernel_l: 1 stride_l: 1 }")
    + conv("b", "pool", 6, "bias_term: false").replace("convolution_param", "param { lr_mult: 0 } "
                                                       "convolution_param")
    + layer("BN", "bn_b", "b", more="bn_param { frozen: true }")
    + layer("ReLU", "relu_b", "bn_b", "bn_b")
    + conv("c", "bn_b", 6)
    + layer("BN", "bn_c", "c")
    + layer("Eltwise", "sum", "pool bn_c")
    + layer("PReLU", "prelu", "sum", "sum")
    + layer("Scale", "scale", "sum", "sum", "scale_param { bias_term: true }")
    + layer("Pooling3D", "mean", "sum", more="pooling3d_param { pool: AVE kernel_size: 3 "
            "kernel_l: 2 }")
    + layer("InnerProduct", "fc1", "mean", more='inner_product_param { num_output: 5 '
            'weight_filler { type: "xavier" } }')
    + layer("Dropout", "drop", "fc1")
    + layer("InnerProduct", "fc2", "drop", more='inner_product_param { num_output: 3 '
            'weight_filler { type: "xavier" } }')
    + layer("SoftmaxWithLoss", "loss", "fc2 label")
    + layer("Accuracy", "accuracy", "fc2 label", more="include { phase: TEST }")
)  # fmt: skip
GRAPHS = 4  # of an iteration: from the clips to the dropout, from there to the loss, and back

Values = Iterator[np.ndarray]
Scenario = Callable[[], Values]


class Clips(caffe.Layer):
    """Other clips in every iteration."""

    batch = 2
    fail = False

    def setup(self, bottom: Any, top: Any) -> None:
        self.position = 0

    def reshape(self, bottom: Any, top: Any) -> None:
        top[0].reshape(Clips.batch, 3, 2, 6, 6)
        top[1].reshape(Clips.batch)

    def forward(self, bottom: Any, top: Any) -> None:
        if Clips.fail:
            raise OSError("the disk is gone")
        rng = np.random.default_rng(self.position)
        self.position += 1
        top[0].data[...] = rng.normal(0, 1, top[0].data.shape)
        top[1].data[...] = rng.integers(0, 3, Clips.batch)


sys.modules["training_graph_clips"] = sys.modules[__name__]


def solver(more: str = "") -> Any:
    caffe.set_random_seed(3)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "net.prototxt"
        path.write_text(NET)
        text = (
            f'net: "{path}" base_lr: 0.05 lr_policy: "step" gamma: 0.5 stepsize: 3 momentum: 0.9 '
            f"weight_decay: 0.01 max_iter: 100 random_seed: 7 {more}"
        )
        (Path(folder) / "solver.prototxt").write_text(text)
        return caffe.get_solver(str(Path(folder) / "solver.prototxt"))


def learned(made: Any) -> Values:
    """Weights and BN's statistics, their gradients, and the solver's history."""
    for blobs in made.net.params.values():
        for blob in blobs:
            yield blob.data.copy()
            yield blob.diff.copy()
    for blob in made._updater.history:
        yield blob.data.copy()


def steps() -> Values:
    made = solver()
    made.step(5)
    yield from learned(made)


def losses() -> Values:
    """What a person looks at between iterations; every mask of the dropout is another one."""
    made = solver()
    masks = set()
    for _ in range(6):
        made.step(1)
        yield made.net.blobs["loss"].data.copy()
        yield made.net.blobs["drop"].data.copy()
        masks.add((made.net.blobs["drop"].data == 0).tobytes())
        yield made.net.params["bn_a"][2].data.copy()
    assert len(masks) > 3, len(masks)
    yield from learned(made)


def several_batches() -> Values:
    made = solver("iter_size: 3")
    made.step(5)
    yield from learned(made)


def rate_and_rules() -> Values:
    for more in ('type: "Adam"', 'type: "Nesterov"', "clip_gradients: 0.1"):
        made = solver(more)
        made.step(3)
        made.param.base_lr *= 3
        made.step(2)
        yield from learned(made)


def weights_written() -> Values:
    made = solver()
    made.step(3)
    for name, index in (("a", 0), ("a", 1), ("bn_a", 2), ("b", 0), ("bn_b", 3), ("prelu", 0)):
        made.net.params[name][index].data[...] *= 1.25
        made.step(2)
        yield made.net.blobs["loss"].data.copy()
    held = made.net.params["c"][0].data
    gradient = made.net.params["c"][0].diff
    for _ in range(3):
        held[...] *= 0.9
        made.step(1)
        yield gradient.copy()
    yield from learned(made)


def gradients_written() -> Values:
    """A person's own iterations: gradients add up to whatever is there."""
    made = solver()
    for i in range(6):
        if i % 3 == 0:
            made.net.clear_param_diffs()
        if i % 3 == 1:
            made.net.params["a"][0].diff[...] = 1
        made.net._forward_backward()
        if i % 3 == 2:
            made.apply_update()
        yield made.net.params["fc1"][0].diff.copy()
    yield from learned(made)


def other_batches() -> Values:
    made = solver()
    for Clips.batch in (2, 3, 1, 2):
        made.step(3)
        yield made.net.blobs["loss"].data.copy()
    yield from learned(made)


def blobs_asked_for() -> Values:
    made = solver()
    made.step(3)
    yield made.net.blobs["pool"].data.copy()
    yield made.net.blobs["b"].data.copy()  # folded away
    made.step(3)
    yield made.net.blobs["pool"].diff.copy()  # runs backward layer by layer
    made.step(2)
    yield from learned(made)


def layer_by_layer() -> Values:
    made = solver()
    made.step(3)
    made.net.clear_param_diffs()
    made.net.forward()
    made.net.backward()
    yield made.net.params["a"][0].diff.copy()
    made.step(3)
    caffe.set_mode_cpu()
    made.net.forward()
    caffe.set_mode_gpu()
    made.step(2)
    Clips.batch = 3
    made.net.forward()
    made.step(3)
    yield from learned(made)


def tests_between() -> Values:
    made = solver("test_iter: 3 test_interval: 2 test_initialization: true")
    made.step(8)
    yield made.test_nets[0].blobs["accuracy"].data.copy()
    yield from learned(made)


def restored() -> Values:
    with tempfile.TemporaryDirectory() as folder:
        made = solver(f'snapshot_prefix: "{folder}/s"')
        made.step(3)
        made.snapshot()
        made.step(3)
        made.restore(f"{folder}/s_iter_3.solverstate")
        made.step(3)
        yield from learned(made)


def modes_switched() -> Values:
    precision = _core.precision()
    made = solver()
    made.step(3)
    caffe.set_mode_cpu()
    made.step(2)
    caffe.set_mode_gpu()
    made.step(3)
    for other in ("bf16", "float32", precision):
        caffe.set_precision(other)
        made.step(2)
    made.step(2)
    yield from learned(made)


def two_trainings() -> Values:
    both = [solver(), solver()]
    for i in range(6):
        both[i % 2].step(2)
    for made in both:
        yield from learned(made)


def interrupted() -> Values:
    made = solver()
    made.step(3)
    Clips.fail = True
    with pytest.raises(OSError, match="the disk is gone"):
        made.step(1)
    Clips.fail = False
    made.step(2)
    made.net.params["fc2"][0].data[0, 0] = np.nan  # no way back from the loss
    before = made.net.params["a"][0].data.copy()
    with pytest.raises(Error, match="not finite"):
        made.step(1)
    np.testing.assert_array_equal(made.net.params["a"][0].data, before)
    made.net.params["fc2"][0].data[0, 0] = 0
    made.step(2)
    yield from learned(made)


def overflow() -> Values:
    """In fp16 the factor on the loss falls for as long as gradients overflow."""
    made = solver()
    if _core.precision() != "fp16":
        return
    made._loss_scale._scale = 2.0**26
    scales = []
    for _ in range(12):
        made.step(1)
        scales.append(made._loss_scale.value)
    yield np.array(scales)
    assert len(set(scales)) > 2, scales
    yield from learned(made)


LAUNCHES: dict[Scenario, int | None] = {
    steps: 4 * GRAPHS,
    losses: 4 * GRAPHS,  # a blob that is asked for is kept: that is another plan
    several_batches: None,
    rate_and_rules: 3 * 4 * GRAPHS,
    weights_written: None,
    gradients_written: None,
    other_batches: 4 * 2 * GRAPHS,
    blobs_asked_for: None,
    layer_by_layer: None,
    tests_between: None,
    restored: None,
    modes_switched: None,
    two_trainings: None,
    interrupted: None,
    overflow: None,
}  # None: depends on the precision; but there are some


def run(scenario: Scenario, graphs: bool) -> list[np.ndarray]:
    os.environ["P3D_GRAPHS"] = str(int(graphs))
    Clips.batch = 2
    return list(scenario())


def main(name: str) -> None:
    scenario = next(found for found in LAUNCHES if found.__name__ == name)
    caffe.set_mode_gpu()
    want = run(scenario, graphs=False)
    assert _core.gpu_graph_launches() == 0
    got = run(scenario, graphs=True)
    assert len(got) == len(want)
    for i, (actual, desired) in enumerate(zip(got, want, strict=True)):
        np.testing.assert_array_equal(actual, desired, err_msg=f"value {i}")
    found, expected = _core.gpu_graph_launches(), LAUNCHES[scenario]
    right = found > 0 if expected is None else found == expected
    assert right or not want, f"{found} launches of graphs, not {expected}"


if __name__ == "__main__":
    main(sys.argv[1])
