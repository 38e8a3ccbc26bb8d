"""Where a training is, besides weights and moments: all that the next iteration depends on.

Random numbers, the places of layers in their data, what recurrent layers hand on, and the blobs
that layers themselves change (the running statistics of BN and BatchNorm).
"""

from __future__ import annotations

import itertools
import logging
from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np

from p3d import _core
from p3d.caffe import mode
from p3d.caffe.proto import caffe_pb2
from p3d.error import Error

log = logging.getLogger("p3d")

States = Mapping[tuple[int, str], bytes]
_Found = Iterator[tuple[int, str, Any]]  # (number of the net, name, what has its state)


class Place(NamedTuple):
    """One moment of a training.

    states: by (number of the net, layer).
    others: what recurrent layers of the other ranks' training nets hand on, by (rank, layer).
    statistics: (blob of the training net, values).
    """

    random_state: int
    states: States
    others: States
    statistics: list[tuple[Any, np.ndarray]]


def save(nets: Sequence[Any], others: States = MappingProxyType({})) -> Place:
    """The place where these nets, the training net first, are now."""
    found = itertools.chain(_in_python(nets), _recurrent(nets))
    states = {(number, name): layer.save_state() for number, name, layer in found}
    statistics = [(blob, blob.data.copy()) for blob in _statistics(nets[0])]
    return Place(_core.random_state(), states, others, statistics)


def go_back(place: Place, nets: Sequence[Any]) -> None:
    """Everything is again as it was at that place."""
    _core.set_random_seed(place.random_state)
    _load_states(place.states, itertools.chain(_in_python(nets), _recurrent(nets)))
    for blob, values in place.statistics:
        blob.assign(values)


def to_message(place: Place) -> Any:
    """A SolverPlace, without the statistics: they are among the weights."""
    message = caffe_pb2.SolverPlace(random_state=place.random_state)
    for (net, layer), state in place.states.items():
        message.layer.add(net=net, layer=layer, state=state)
    for (rank, layer), state in place.others.items():
        message.layer.add(net=0, layer=layer, state=state, rank=rank)
    return message


def restore(message: Any, nets: Sequence[Any]) -> None:
    """Goes to the place of a SolverPlace. Layers that it does not know stay where they are.

    What recurrent layers hand on is each rank's own: of the streams that it takes of the data. So
    they begin with 0, and the log says so, where there were other ranks.
    """
    follow(message, nets)
    for number, name, layer in _recurrent(nets):
        known = {e.rank: e.state for e in message.layer if (e.net, e.layer) == (number, name)}
        ranks = 1 if number else mode.solver_count()  # tests are rank 0's
        if known.keys() == set(range(ranks)):
            _load(name, layer, known[mode.solver_rank()])
        elif known:
            layer.begin()
            if mode.solver_rank() == 0:
                log.warning(
                    "layer '%s' begins with 0: the snapshot has what it handed on in %d processes, "
                    "there are %d now; with as many GPUs as then it goes on where it was",
                    *(name, len(known), ranks),
                )


def follow(message: Any, nets: Sequence[Any]) -> None:
    """Goes to the place of a SolverPlace but for what recurrent layers hand on.

    It is rank 0's place; another's random numbers are those of its rank, as at the start.
    """
    if message.HasField("random_state"):
        _core.set_random_seed((message.random_state + mode.solver_rank()) % (1 << 64))
    states = {(e.net, e.layer): e.state for e in message.layer if not e.rank}
    _load_states(states, _in_python(nets))


def handed_on(net: Any) -> dict[str, bytes]:
    """By layer: what the recurrent layers of a net hand to their next forward."""
    return {name: layer.save_state() for _, name, layer in _recurrent([net])}


def _load_states(states: States, found: _Found) -> None:
    for number, name, layer in found:
        if (number, name) in states:
            _load(name, layer, states[number, name])


def _load(name: str, layer: Any, state: bytes) -> None:
    try:
        layer.load_state(state)
    except Error as error:
        raise Error(f"layer '{name}' cannot go on where it was: {error}") from None


def _in_python(nets: Sequence[Any]) -> _Found:
    """The layers in Python that have save_state and load_state."""
    for number, net in enumerate(nets):
        for name, layer in net.layer_dict.items():
            found = layer.python_object
            if hasattr(found, "save_state") and hasattr(found, "load_state"):
                yield number, name, found


def _recurrent(nets: Sequence[Any]) -> _Found:
    """The layers that hand values to their next forward."""
    for number, net in enumerate(nets):
        for name, layer in net.layer_dict.items():
            if blobs := layer._carried:
                yield number, name, _Carried(blobs)


class _Carried:
    """These values, as float32 one behind the other."""

    def __init__(self, blobs: Sequence[Any]) -> None:
        self._blobs = blobs

    def begin(self) -> None:
        """They are 0, as at the start."""
        for blob in self._blobs:
            blob.assign(np.zeros(blob.count, np.float32))

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
