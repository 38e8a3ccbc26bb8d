"""How fast the VideoData layers of a net are on their own, and where their time goes."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any, NamedTuple

from p3d import _core
from p3d.caffe import data_layers, net_file, prototxt
from p3d.caffe.net_graph import is_included
from p3d.caffe.proto import caffe_pb2
from p3d.data.video_batches import Spent, VideoBatches
from p3d.error import Error


class Report(NamedTuple):
    """One layer. Seconds are of the processor, in whatever process, but `seconds` and `spent.wait`
    are of the clock."""

    layer: str
    phase: str
    videos: int
    shape: tuple[int, ...]  # of the top data
    workers: int
    seconds: float
    spent: Spent

    @property
    def clips_per_second(self) -> float:
        return self.spent.clips / self.seconds

    @property
    def frames_per_second(self) -> float:
        return self.clips_per_second * self.shape[2]


def measure(network: Any, batches: int, workers: int | None = None) -> Iterator[Report]:
    """A report for every VideoData layer of each phase, made of so many batches after a first one,
    with which processes start. Nothing takes the batches, so the layers never have to wait for a
    net. `workers` is instead of the prototxt's.
    """
    param, origin = net_file.load(network)
    found = False
    for phase in (caffe_pb2.TRAIN, caffe_pb2.TEST):
        for layer in _layers(param, phase):
            found = True
            yield _measure(layer, phase, batches, workers)
    if not found:
        raise Error(f"{origin}: has no VideoData layer whose speed could be measured")


def _layers(param: Any, phase: int) -> list[Any]:
    """The VideoData layers that a phase has; the rest of the net need not be right for it."""
    state = caffe_pb2.NetState(phase=phase)
    return [
        layer
        for layer in param.layer
        if (layer.type == "VideoData" or layer.python_param.module == "p3d.video_data")
        and is_included(layer, state, frozenset())
    ]


def _measure(layer: Any, phase: int, batches: int, workers: int | None) -> Report:
    text = layer.python_param.param_str or data_layers.video_text(layer)
    param = prototxt.parse_message(text, caffe_pb2.VideoDataParameter, f"layer '{layer.name}'")
    if workers is not None:
        param.workers = workers
    tops = [_core.Blob([1]) for _ in layer.top]
    data = VideoBatches(param, phase, tops)
    try:
        data.fill(tops)
        data.spent = Spent()
        began = time.perf_counter()
        for _ in range(batches):
            data.fill(tops)
        seconds = time.perf_counter() - began
    finally:
        data.close()
    name = caffe_pb2.Phase.Name(phase)
    shape = tuple(tops[0].shape)
    return Report(layer.name, name, data.videos, shape, data.workers, seconds, data.spent)
