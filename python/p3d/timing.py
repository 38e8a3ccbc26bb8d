"""Where the time of a net's forward goes.

net = make(prototxt, batch=8)
report = measure(net, iterations=20)
report.ms                    whole forwards, as a user calls them
report.steps                 the steps in the net's order
group(report.steps, "kernel")
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from statistics import median
from typing import Any, NamedTuple

import numpy as np

from p3d.error import Error


class Step(NamedTuple):
    """A layer with those that run inside its epilogue, or several steps together."""

    name: str
    type: str
    kernel: str
    layers: int
    macs: int
    ms: float
    values: int = 0  # that it has to read or write, of blobs and weights

    @property
    def gflops(self) -> float:
        """GFLOP/s; a multiply-add counts as two, and products with padding count."""
        return 2e-6 * self.macs / self.ms if self.ms else 0.0


class Report(NamedTuple):
    """Times are milliseconds of a whole batch."""

    items: int
    warm_up_ms: float
    ms: list[float]
    steps: list[Step]
    copies_ms: float | None  # of inputs to a GPU; in no step


def make(
    prototxt: Any, weights: Any = None, *, batch: int | None = None, layer_by_layer: bool = False
) -> Any:
    """A net to measure. Without weights it gets random ones."""
    from p3d import caffe
    from p3d.random_weights import fill

    net = caffe.Net(prototxt, caffe.TEST, weights=weights)
    if weights is None:
        fill(net)
    if batch is not None:
        if not net.inputs:
            raise Error("the net has no Input layer whose batch could be changed")
        for name in net.inputs:
            net.blobs[name].reshape(batch, *net.blobs[name].shape[1:])
        net.reshape()
    if layer_by_layer:
        net.run_by_layer()
    return net


def measure(net: Any, iterations: int) -> Report:
    """Runs the net on noise: twice to warm up (the first time counts), then `iterations` times as
    a whole, each followed by once step by step. Times of steps are medians."""
    rng = np.random.default_rng(0)
    clips = {
        name: rng.normal(0, 50, net.blobs[name].shape).astype(np.float32) for name in net.inputs
    }
    warm_up = _forward(net, clips)
    _forward(net, clips)
    whole, profiles = [], []
    for _ in range(iterations):
        whole.append(_forward(net, clips))
        # On the processor the first step also brings a new clip into the engine's order.
        _fill(net, clips)
        profiles.append(net.profile())
    items = int(net.blobs[net.inputs[0]].shape[0]) if net.inputs else 1
    copies = [rows.pop(0)["ms"] for rows in profiles if rows and not rows[0]["type"]]
    steps = _steps(net, profiles)
    return Report(items, warm_up, whole, steps, median(copies) if copies else None)


def _forward(net: Any, clips: dict[str, np.ndarray]) -> float:
    """Milliseconds of a forward as people write it: fill the inputs, run, copy the outputs."""
    start = time.perf_counter()
    _fill(net, clips)
    for values in net.forward().values():
        values.copy()
    return (time.perf_counter() - start) * 1e3


def _fill(net: Any, clips: dict[str, np.ndarray]) -> None:
    for name, clip in clips.items():
        net.blobs[name].data[...] = clip


def _steps(net: Any, profiles: Sequence[list[dict[str, Any]]]) -> list[Step]:
    steps = []
    for rows in zip(*profiles, strict=True):
        first = rows[0]
        names = first["layers"].split(" + ")
        inside = [net.layer_dict[name].type for name in names[1:]]
        steps.append(
            Step(
                name=" +".join([names[0], *inside]),
                type=first["type"],
                kernel=first["kernel"],
                layers=len(names),
                macs=first["macs"],
                ms=median(row["ms"] for row in rows),
                values=first.get("values", 0),
            )
        )
    return steps


def group(steps: Iterable[Step], by: str) -> list[Step]:
    """The sums of the steps that agree in "kernel" or "type", the longest first."""
    found: dict[str, list[Step]] = {}
    for step in steps:
        found.setdefault(getattr(step, by) or step.type, []).append(step)
    return sorted((total(some, name) for name, some in found.items()), key=lambda s: -s.ms)


def total(steps: Sequence[Step], name: str = "total") -> Step:
    """The sum of the steps; `layers` counts the steps."""
    return Step(
        name=name,
        type=steps[0].type if steps else "",
        kernel=steps[0].kernel if steps else "",
        layers=len(steps),
        macs=sum(step.macs for step in steps),
        ms=sum(step.ms for step in steps),
        values=sum(step.values for step in steps),
    )
