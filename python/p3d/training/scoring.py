"""A net's outputs on its test data, batch by batch and on average."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from p3d import caffe
from p3d.caffe import solver_file, solver_log
from p3d.error import Error

BATCHES = 50
"""As many as `caffe test` takes."""


def test_net(model: str | None, solver: str | None) -> tuple[Any, int]:
    """What p3d.caffe.Net takes for the net of a prototxt or for a solver's first test net, and how
    many batches to score."""
    if model is not None:
        return model, BATCHES
    assert solver is not None
    param, origin = solver_file.load(solver)
    for net, count in zip(solver_file.test_nets(param, origin), param.test_iter, strict=False):
        whole = net.net
        whole.state.CopyFrom(net.state)
        return whole, count or BATCHES
    raise Error(f"{origin}: has no test net: it takes test_iter and test_interval, or use --model")


test_net.__test__ = False  # type: ignore[attr-defined]  # its name looks like a test's


def score(net: Any, weights: str, batches: int, say: Callable[[str], object]) -> dict[str, Any]:
    """Means over the batches: "loss", the weighted sum, and "outputs", the net's by name."""
    made = caffe.Net(net, caffe.TEST, weights=weights)
    if inputs := list(made.inputs):
        raise Error(
            f"the net waits for {', '.join(inputs)}: to be scored it takes a layer that reads the "
            "data and one that knows the labels, as in train_val.prototxt"
        )
    sums: dict[str, np.ndarray] = {}
    for batch in range(batches):
        made.forward()
        for name, _, values in solver_log.outputs(made):
            for value in values.tolist():
                say(f"Batch {batch}, {name} = {value:g}")
            sums[name] = sums.get(name, 0) + values.astype(np.float64)
    means = {name: total / batches for name, total in sums.items()}
    losses = made.blob_loss_weights
    loss = float(sum(losses[name] * values.sum() for name, values in means.items()))
    say(f"Loss: {loss:g}")
    for name, values in means.items():
        for value in values.tolist():
            weighted = f" (* {losses[name]:g} = {losses[name] * value:g} loss)"
            say(f"{name} = {value:g}{weighted if losses[name] else ''}")
    return {"loss": loss, "outputs": {name: values.tolist() for name, values in means.items()}}
