"""Where a training is, besides weights and moments: all that the next iteration depends on.

Random numbers, the places of layers in their data, what recurrent layers hand on, and the blobs
that layers themselves change (the running statistics of BN and BatchNorm).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from p3d import _core
from p3d.caffe import mode
from p3d.caffe.proto import caffe_pb2
from p3d.error import Error


class Place(NamedTuple):
    """One moment of a training.

    states: by (number of the net, layer).
    statistics: (blob of the training net, values).
    """

    random_state: int
    states: dict[tuple[int, str], bytes]
    statistics: list[tuple[Any, np.ndarray]]


def save(nets: Sequence[Any]) -> Place:
    """The place where these nets, the training net first, are now."""
    states = {(number, name): found.save_state() for number, name, found in _with_state(nets)}
    statistics = [(blob, blob.data.copy()) for blob in _statistics(nets[0])]
    return Place(_core.random_state(), states, statistics)


def go_back(place: Place, nets: Sequence[Any]) -> None:
    """Everything is again as it was at that place."""
    _core.set_random_seed(place.random_state)
    _load_states(place.states, nets)
    for blob, values in place.statistics:
        blob.assign(values)


def to_message(place: Place) -> Any:
    """A SolverPlace, without the statistics: they are among the weights."""
    message = caffe_pb2.SolverPlace(random_state=place.random_state)
    for (net, layer), state in place.states.items():
        message.layer.add(net=net, layer=layer, state=state)
    return message


def restore(message: Any, nets: Sequence[Any]) -> None:
    """Goes to the place of a SolverPlace. Layers that it does not know stay where they are.

    It is rank 0's place; another's random numbers are those of its rank, as at the start.
    """
    if message.HasField("random_state"):
        _core.set_random_seed((message.random_state + mode.solver_rank()) % (1 << 64))
    _load_states({(entry.net, entry.layer): entry.state for entry in message.layer}, nets)


def _load_states(states: dict[tuple[int, str], bytes], nets: Sequence[Any]) -> None:
    for number, name, found in _with_state(nets):
        if (number, name) in states:
            try:
                found.load_state(states[number, name])
            except Error as error:
                raise Error(f"layer '{name}' cannot go on where it was: {error}") from None


def _with_state(nets: Sequence[Any]) -> Iterator[tuple[int, str, Any]]:
    """(number of the net, name, object) of the layers in Python that have save_state and
    load_state, and of those that hand values to their next forward."""
    for number, net in enumerate(nets):
        for name, layer in net.layer_dict.items():
            found = layer.python_object
            if hasattr(found, "save_state") and hasattr(found, "load_state"):
                yield number, name, found
            elif layer._carried:
                yield number, name, _Carried(layer._carried)


class _Carried:
    """These values, as float32 one behind the other."""

    def __init__(self, blobs: Sequence[Any]) -> None:
        self._blobs = blobs

    def save_state(self) -> bytes:
        return b"".join(np.asarray(blob.data, "<f4").tobytes() for blob in self._blobs)

    def load_state(self, state: bytes) -> None:
        counts = [blob.count for blob in self._blobs]
        if len(state) != 4 * sum(counts):
            raise Error(
                f"it hands on {sum(counts)} values, {len(state) / 4:g} in the snapshot; take the "
                "snapshot's weights with --weights to start anew"
            )
        values = np.split(np.frombuffer(state, "<f4"), np.cumsum(counts)[:-1])
        for blob, part in zip(self._blobs, values, strict=True):
            blob.assign(part)


def _statistics(net: Any) -> Iterator[Any]:
    """The parameter blobs that a forward changes."""
    for layer, description in zip(net.layers, net.param.layer, strict=True):
        if description.type == "BN" and not description.bn_param.frozen:
            yield from layer.blobs[2:]
        elif description.type in ("BatchNorm", "Python"):
            yield from layer.blobs
