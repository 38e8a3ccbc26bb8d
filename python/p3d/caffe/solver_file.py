"""What a solver is made from: its prototxt, and the nets that this names."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from typing import Any, NamedTuple

from p3d.caffe import prototxt
from p3d.caffe.description import finite
from p3d.caffe.proto import caffe_pb2
from p3d.error import Error
from p3d.wording import did_you_mean


def load(solver: Any) -> tuple[Any, str]:
    """(SolverParameter, what to call it in errors) from a path, a prototxt's text or a message."""
    if hasattr(solver, "DESCRIPTOR"):
        param, origin = prototxt.parse_message(str(solver), caffe_pb2.SolverParameter), "solver"
    elif isinstance(solver, str) and _is_text(solver):
        param, origin = prototxt.parse_message(solver, caffe_pb2.SolverParameter), "solver"
    else:
        origin = os.fspath(solver)
        param = prototxt.read_message(origin, caffe_pb2.SolverParameter)
        _set_prefix(param, origin)
    _upgrade(param, origin)
    _check(param, origin)
    return param, origin


def _is_text(solver: str) -> bool:
    """Whether it is a prototxt itself; a path may have a colon too."""
    if "{" in solver or "\n" in solver:
        return True
    return _FIELD.match(solver) is not None and not os.path.exists(solver)


_FIELD = re.compile(r"\s*\w+\s*:")


def _upgrade(param: Any, origin: str) -> None:
    """Old files say `solver_type: ADAM`."""
    if param.HasField("solver_type"):
        if param.HasField("type"):
            raise Error(f"{origin}: has both type and solver_type; keep type")
        old = caffe_pb2.SolverParameter.SolverType.Name(param.solver_type)
        param.type = {kind.upper(): kind for kind in _OLD_TYPES}[old]
        param.ClearField("solver_type")


_OLD_TYPES = ("SGD", "Nesterov", "AdaGrad", "RMSProp", "AdaDelta", "Adam")


def _set_prefix(param: Any, path: str) -> None:
    """Without snapshot_prefix snapshots are called like the solver; a folder gets such files."""
    name = os.path.splitext(path)[0]
    try:
        if not param.snapshot_prefix:
            param.snapshot_prefix = name
        elif os.path.isdir(param.snapshot_prefix):
            param.snapshot_prefix = os.path.join(param.snapshot_prefix, os.path.basename(name))
    except UnicodeEncodeError:
        raise Error(
            f"{path}: snapshots are called like it, and it is no UTF-8; give a snapshot_prefix"
        ) from None


def _check(param: Any, origin: str) -> None:
    try:
        for field, value in param.ListFields():
            finite(field.name, value)
    except Error as error:
        raise Error(f"{origin}: {error}") from None
    for name, least in (
        ("iter_size", 1),
        ("average_loss", 1),
        ("max_iter", 0),
        ("test_interval", 0),
        ("snapshot", 0),
        ("display", 0),
        ("warmup_iter", 0),
    ):
        if getattr(param, name) < least:
            value = getattr(param, name)
            raise Error(f"{origin}: {name} is {value}; it has to be {least} or more")
    for count in param.test_iter:
        if count < 0:
            raise Error(f"{origin}: test_iter is {count}; it has to be 0 or more")


class SolverNet(NamedTuple):
    """A net of a solver, before it is made; `net` is a path or a NetParameter."""

    net: Any
    state: Any  # NetState
    origin: str


def train_net(param: Any, origin: str) -> SolverNet:
    """The net to train."""
    names = ("net", "net_param", "train_net", "train_net_param")
    given = [name for name in names if param.HasField(name)]
    if len(given) != 1:
        found = " and ".join(given) or "none"
        raise Error(f"{origin}: the net to train is one of {', '.join(names)}; it has {found}")
    return _net(getattr(param, given[0]), caffe_pb2.TRAIN, [param.train_state], origin)


def test_nets(param: Any, origin: str) -> Iterator[SolverNet]:
    """The nets to test with, in Caffe's order: test_net_param, test_net, net_param or net."""
    own: list[Any] = [*param.test_net_param, *param.test_net]
    general = [getattr(param, name) for name in ("net_param", "net") if param.HasField(name)]
    count = len(param.test_iter)
    if count < len(own) or (count > len(own) and not general):
        raise Error(
            f"{origin}: test_iter is given {count} times for {len(own)} test nets; give it once "
            "for each"
        )
    sources = own + general[:1] * (count - len(own))
    if param.test_state and len(param.test_state) != len(sources):
        raise Error(
            f"{origin}: test_state is given {len(param.test_state)} times for {len(sources)} test "
            "nets; give it once for each or not at all"
        )
    if sources and not param.test_interval:
        raise Error(f"{origin}: there are test nets but no test_interval")
    for index, source in enumerate(sources):
        states = [param.test_state[index]] if param.test_state else []
        yield _net(source, caffe_pb2.TEST, states, origin)


def _net(source: Any, phase: int, states: list[Any], origin: str) -> SolverNet:
    state = caffe_pb2.NetState(phase=phase)
    if isinstance(source, str):
        source = path_of(source, origin)
        net = prototxt.read_net(source)
        name = source
    else:
        net, name = source, f"{origin}, net_param"
    for more in (net.state, *states):
        state.MergeFrom(more)
    bare = caffe_pb2.NetParameter()
    bare.CopyFrom(net)
    bare.ClearField("state")
    return SolverNet(bare, state, name)


def path_of(path: str, origin: str) -> str:
    """A file that a solver names: relative to the working directory, as in Caffe, or else to the
    solver's folder."""
    beside = os.path.join(os.path.dirname(origin), path)
    for candidate in (path, beside):
        if os.path.exists(candidate):
            return candidate
    folder = os.path.dirname(beside) or "."
    names = os.listdir(folder) if os.path.isdir(folder) else []
    hint = did_you_mean(os.path.basename(path), names)
    raise Error(f"{origin}: there is no file {path}{hint}")
