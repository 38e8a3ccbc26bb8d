"""Where the first number of a net that is no longer finite came from."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np


def first_in_forward(net: Any) -> str:
    """Which layer made it, after a forward with a loss that is not finite.

    Layers with bottoms run once more, one by one: what they made may be overwritten.
    """
    for index, (name, layer) in enumerate(net.layer_dict.items()):
        if (where := _in_weights(name, layer)) is not None:
            return where
        if net.bottom_names[name]:
            net._forward(index, index)
        for top in net.top_names[name]:
            if not _finite(net.blobs[top].data):
                return f"in layer '{name}' ({layer.type}), top '{top}'"
    return "in the loss"


def first_in_backward(net: Any, params: Sequence[Any], squares: Sequence[float]) -> str:
    """Which parameter's gradient it was first, from the sums of their squares."""
    broken = [p for p, square in zip(params, squares, strict=True) if not np.isfinite(square)]
    layer, blob = max((p[0], p[1]) for p in broken)
    return f"in the gradient of layer '{net._layer_names[layer]}', blob {blob}"


def first_in_training(net: Any, history: Sequence[Any]) -> str | None:
    """Where among the weights of a net and the moments of its solver; None if all are finite."""
    for name, layer in net.layer_dict.items():
        if (where := _in_weights(name, layer)) is not None:
            return where
    broken = (i for i, blob in enumerate(history) if not _finite(blob.data))
    return next((f"in history blob {i}" for i in broken), None)


def _in_weights(name: str, layer: Any) -> str | None:
    broken = (i for i, blob in enumerate(layer.blobs) if not _finite(blob.data))
    return next((f"in the weights of layer '{name}', blob {i}" for i in broken), None)


def _finite(array: np.ndarray) -> bool:
    return bool(np.isfinite(array).all())
