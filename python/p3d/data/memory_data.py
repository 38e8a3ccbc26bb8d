"""``type: "MemoryData"``: batches of arrays that Net.set_input_arrays hands over."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from p3d.data.data_layer import DataLayer, check_batch, check_tops
from p3d.error import Error


class MemoryData(DataLayer):
    """Tops data (batch_size, channels, height, width) and label (batch_size), (batch_size, 1, 1, 1)
    from the first forward on; row after row of the arrays, and again from the start at their end.
    Each of several processes that train one net hands over its own."""

    def setup(self, bottom: Sequence[Any], top: Sequence[Any]) -> None:
        check_tops(top, 2, 2)
        param = self.param.memory_data_param
        self._batch = check_batch(param)
        self._shape = (param.channels, param.height, param.width)
        if 0 in self._shape:
            raise Error("memory_data_param needs batch_size, channels, height and width")
        top[0].reshape(self._batch, *self._shape)
        top[1].reshape(self._batch)
        self._arrays: tuple[np.ndarray, np.ndarray] | None = None

    def reset(self, data: np.ndarray, labels: np.ndarray) -> None:
        """Start anew with these: float32 in C order, data (n, channels, height, width) and labels
        (n) or (n, 1, 1, 1), where n is a multiple of batch_size. They are not copied, and no
        transform_param applies to them."""
        data, labels = np.asarray(data), np.asarray(labels)
        labels = labels[:, None, None, None] if labels.ndim == 1 else labels
        self._check("data", data, self._shape)
        self._check("labels", labels, (1, 1, 1))
        if len(data) != len(labels):
            raise Error("data and labels must have the same first dimension")
        if len(data) == 0 or len(data) % self._batch:
            raise Error(
                f"first dimensions of input arrays must be a multiple of batch size "
                f"({self._batch}), not {len(data)}"
            )
        self._arrays, self._row = (data, labels), 0

    def forward(self, bottom: Sequence[Any], top: Sequence[Any]) -> None:
        if self._arrays is None:
            raise Error("has no data: call net.set_input_arrays(data, labels) before the forward")
        top[1].reshape(self._batch, 1, 1, 1)  # as Caffe does from the first forward on
        for blob, array in zip(top, self._arrays, strict=True):
            blob.data[...] = array[self._row : self._row + self._batch]
        self._row = (self._row + self._batch) % len(self._arrays[0])

    @staticmethod
    def _check(name: str, array: np.ndarray, shape: tuple[int, int, int]) -> None:
        if array.ndim != 4 or array.shape[1:] != shape:
            raise Error(
                f"{name} array must be (n, {', '.join(map(str, shape))}), not {array.shape}"
            )
        if array.dtype != np.float32:
            raise Error(f"{name} array must be float32, not {array.dtype}")
        if not array.flags.c_contiguous:
            raise Error(f"{name} array must be C contiguous: use numpy.ascontiguousarray")
