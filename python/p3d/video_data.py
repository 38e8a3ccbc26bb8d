"""VideoData as a pycaffe layer: batches of clips of videos, for training and testing.

Here a prototxt says ``type: "VideoData"`` with ``video_data_param``. A real Caffe that was built
with Python layers takes the same as

    layer { name: "data" type: "Python" top: "data" top: "label"
      python_param { module: "p3d.video_data" layer: "VideoData"
        param_str: "source: 'train.txt' batch_size: 8 crop_size: 160 mirror: true shuffle: true" } }

where param_str is the text of a VideoDataParameter (see caffe.proto).
"""

from __future__ import annotations

import contextlib
import importlib
from collections.abc import Sequence
from typing import Any

from p3d.caffe import backend
from p3d.caffe.proto import caffe_pb2
from p3d.caffe.prototxt import parse_message
from p3d.data.video_batches import VideoBatches


def _base() -> Any:
    """pycaffe's Layer of the Caffe that asks: a real one that runs by itself, such as `caffe
    train`, has not been chosen as a backend."""
    if not backend.is_settled():
        with contextlib.suppress(ImportError):
            return importlib.import_module("caffe").Layer
    return backend.interface().Layer


class VideoData(_base()):  # type: ignore[misc]
    """See VideoBatches; `save_state` and `load_state` are for solvers, which thereby restore it."""

    def setup(self, bottom: Sequence[Any], top: Sequence[Any]) -> None:
        param = parse_message(self.param_str, caffe_pb2.VideoDataParameter, "param_str")
        self._batches = VideoBatches(param, self.phase, top)

    def reshape(self, bottom: Sequence[Any], top: Sequence[Any]) -> None:
        self._batches.reshape(top)

    def forward(self, bottom: Sequence[Any], top: Sequence[Any]) -> None:
        self._batches.fill(top)

    def backward(
        self, top: Sequence[Any], propagate_down: Sequence[bool], bottom: Sequence[Any]
    ) -> None:
        """There is nothing below."""

    def save_state(self) -> bytes:
        return self._batches.save_state()

    def load_state(self, state: bytes) -> None:
        self._batches.load_state(state)

    def close(self) -> None:
        self._batches.close()
