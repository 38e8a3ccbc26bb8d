"""A net with a Transformer in front of it: what Classifier and Detector share."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from p3d.caffe import TEST, Net  # the backend's, from here on

from .transformer import Transformer


class PreprocessedNet(Net):
    """A Net in phase TEST whose first input is prepared by `self.transformer`.

    mean, input_scale, raw_scale, channel_swap: the Transformer's settings.
    """

    def __init__(
        self,
        model_file: Any,
        pretrained_file: Any,
        mean: Any = None,
        input_scale: float | None = None,
        raw_scale: float | None = None,
        channel_swap: Sequence[int] | None = None,
    ) -> None:
        super().__init__(model_file, TEST, weights=pretrained_file)
        in_ = self.inputs[0]
        shape = self.input_shape
        self.transformer = Transformer({in_: shape})
        if len(shape) in (4, 5):
            self.transformer.set_transpose(in_, (2, 0, 1) if len(shape) == 4 else (3, 0, 1, 2))
        if mean is not None:
            self.transformer.set_mean(in_, mean)
        if input_scale is not None:
            self.transformer.set_input_scale(in_, input_scale)
        if raw_scale is not None:
            self.transformer.set_raw_scale(in_, raw_scale)
        if channel_swap is not None:
            self.transformer.set_channel_swap(in_, channel_swap)

    @property
    def input_shape(self) -> tuple[int, ...]:
        """The shape of the first input."""
        return tuple(self.blobs[self.inputs[0]].shape)

    def _predict(self, items: Sequence[np.ndarray] | np.ndarray) -> np.ndarray:
        """The first output for images or clips, each of which goes through the transformer."""
        in_ = self.inputs[0]
        prepared = np.stack([self.transformer.preprocess(in_, item) for item in items])
        return self.forward_all(**{in_: prepared})[self.outputs[0]]
