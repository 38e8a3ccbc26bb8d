"""A net with pycaffe's interface whose blobs can be worked out by hand."""

from __future__ import annotations

import numpy as np


class FakeBlob:
    def __init__(self, *shape: int) -> None:
        self.reshape(*shape)

    def reshape(self, *shape: int) -> None:
        self.data = np.zeros(shape, np.float32)

    @property
    def shape(self) -> tuple[int, ...]:
        return self.data.shape


class FakeNet:
    """data (n, c, l, h, w) -> pool5: mean and maximum per channel, (n, 2c, 1, 1); prob (n, 2c)."""

    name = "FAKE"
    inputs = ("data",)

    def __init__(self, channels: int = 3, length: int = 16, side: int = 32) -> None:
        self.blobs = {
            "data": FakeBlob(1, channels, length, side, side),
            "pool5": FakeBlob(1, 2 * channels, 1, 1),
            "prob": FakeBlob(1, 2 * channels),
            "all": FakeBlob(1),
        }
        self.batches: list[int] = []
        self.reshape()

    def reshape(self) -> None:
        n, c = self.blobs["data"].shape[:2]
        self.blobs["pool5"].reshape(n, 2 * c, 1, 1)
        self.blobs["prob"].reshape(n, 2 * c)

    def forward(self, blobs=()) -> dict[str, np.ndarray]:
        data = self.blobs["data"].data
        self.batches.append(len(data))
        self.blobs["pool5"].data[..., 0, 0] = self.pool5(data)
        power = np.exp(self.pool5(data) / 100)
        self.blobs["prob"].data[...] = power / power.sum(axis=1, keepdims=True)
        return {name: self.blobs[name].data for name in {*blobs, "prob"}}

    @staticmethod
    def pool5(data: np.ndarray) -> np.ndarray:
        return np.concatenate([data.mean(axis=(2, 3, 4)), data.max(axis=(2, 3, 4))], axis=1)
