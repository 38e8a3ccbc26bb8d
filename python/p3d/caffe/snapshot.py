"""Snapshots of a solver: .solverstate files beside the weights, in Caffe's two formats.

A file of ours holds besides what Caffe needs a SolverPlace, which Caffe skips: in the field `place`
of SolverState, or as the data set `place` of the HDF5 file.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import IO, Any, NamedTuple

import numpy as np

from p3d._core import Blob
from p3d.atomic import NewFile, make_folder, replacing, sweep
from p3d.caffe.proto import caffe_pb2
from p3d.caffe.weight_file import HDF5_MAGIC
from p3d.caffe.wire import tag, varint
from p3d.error import Error
from p3d.hdf5 import import_h5py


class State(NamedTuple):
    """What a .solverstate holds; `place` is a SolverPlace, empty in files of another Caffe."""

    iter: int
    learned_net: str
    current_step: int
    history: Sequence[np.ndarray]
    place: Any


def make_place(prefix: str) -> None:
    """Makes the folder for snapshots; raises Error where no file of this prefix can be written.

    What a killed process had begun to write there goes.
    """
    folder = os.path.dirname(prefix) or "."
    try:
        make_folder(folder)
        sweep(folder)
        NewFile(f"{prefix}_iter_0.solverstate").abandon()
    except Error as error:
        raise type(error)(f"no snapshots: {error}; change snapshot_prefix") from error


# Field numbers of caffe.proto.
_HISTORY, _BLOB_DATA = 3, 5


def write(state: State, path: str) -> None:
    """Writes a binary .solverstate, whole or not at all. Values are streamed."""
    message = caffe_pb2.SolverState(
        iter=state.iter, learned_net=state.learned_net, current_step=state.current_step
    )
    message.place.CopyFrom(state.place)
    with replacing(path) as file:
        file.write(message.SerializeToString())
        for values in state.history:
            _write_blob(file, np.asarray(values, "<f4", order="C"))


def _write_blob(file: IO[bytes], values: np.ndarray) -> None:
    blob = caffe_pb2.BlobProto()
    blob.shape.dim.extend(values.shape)
    head = blob.SerializeToString() + tag(_BLOB_DATA) + varint(values.nbytes)
    file.write(tag(_HISTORY) + varint(len(head) + values.nbytes) + head)
    file.write(values.reshape(-1).view(np.uint8).data)


def write_hdf5(state: State, path: str) -> None:
    """Writes a .solverstate.h5, whole or not at all."""
    h5py = import_h5py(f"writing {path}")
    with replacing(path, "w+b") as file, h5py.File(file, "w") as hdf5:
        hdf5.create_dataset("iter", data=np.array([state.iter], np.int32))
        # Of a fixed length, as Caffe's reader wants it, with the 0 at its end.
        kind = h5py.h5t.C_S1.copy()
        text = os.fsencode(state.learned_net)
        kind.set_size(len(text) + 1)
        space = h5py.h5s.create(h5py.h5s.SCALAR)
        learned = h5py.h5d.create(hdf5.id, b"learned_net", kind, space)
        learned.write(space, space, np.array(text, f"S{len(text) + 1}"), mtype=kind)
        hdf5.create_dataset("current_step", data=np.array([state.current_step], np.int32))
        history = hdf5.create_group("history")
        for index, values in enumerate(state.history):
            history.create_dataset(str(index), data=values)
        place = np.frombuffer(state.place.SerializeToString(), np.uint8)
        hdf5.create_dataset("place", data=place)


def read(path: str) -> State:
    """The content of a .solverstate or .solverstate.h5; the content decides which it is."""
    try:
        with open(path, "rb") as file:
            data = file.read()
    except OSError as error:
        raise Error(f"cannot read {path}: {error.strerror}") from None
    state = _read_hdf5(path) if data.startswith(HDF5_MAGIC) else _parse(data, path)
    if state.iter < 0 or not state.learned_net:
        raise Error(f"{path} is damaged, or no .solverstate: it names no weights")
    return state


def _parse(data: bytes, path: str) -> State:
    try:
        message = caffe_pb2.SolverState.FromString(data)
        history = [_values(blob) for blob in message.history]
    except Exception as error:  # protobuf's own DecodeError, or a count that fits no shape
        raise Error(f"{path} is damaged, or no .solverstate: {error}") from None
    learned = os.fsdecode(message.learned_net)  # of bytes, where it is no UTF-8
    return State(message.iter, learned, message.current_step, history, message.place)


def _values(blob: Any) -> np.ndarray:
    shape = blob.shape.dim if blob.HasField("shape") else _legacy_shape(blob)
    return np.asarray(blob.data, np.float32).reshape(tuple(shape))


def _legacy_shape(blob: Any) -> tuple[int, ...]:
    return blob.num, blob.channels, blob.height, blob.width


def _read_hdf5(path: str) -> State:
    h5py = import_h5py(f"reading {path}")
    try:
        with h5py.File(path, "r") as hdf5:
            learned = hdf5["learned_net"][()]
            history = hdf5["history"]
            place = bytes(hdf5["place"][()]) if "place" in hdf5 else b""
            return State(
                int(hdf5["iter"][0]),
                os.fsdecode(learned).rstrip("\0"),
                int(hdf5["current_step"][0]),
                [np.asarray(history[str(i)], np.float32) for i in range(len(history))],
                caffe_pb2.SolverPlace.FromString(place),
            )
    except Exception as error:  # whatever h5py raises for a damaged file
        raise Error(f"{path} is damaged, or no .solverstate.h5: {error}") from None


def learned_net_path(learned_net: str, state_path: str) -> str:
    """The weights that a state names: beside it, where both were written, or where it says.

    In this order, for where it says another training may have written since a folder was copied.
    """
    beside = os.path.join(os.path.dirname(state_path), os.path.basename(learned_net))
    for candidate in (beside, learned_net):
        if os.path.exists(candidate):
            return candidate
    raise Error(f"{state_path}: its weights {learned_net} are neither there nor beside it")


def check_history(history: Sequence[np.ndarray], wanted: Sequence[Blob], path: str) -> None:
    """Raises Error unless a state's moments are those of this solver and net."""
    if len(history) != len(wanted):
        raise Error(
            f"{path} holds {len(history)} history blobs, this solver has {len(wanted)}; it is "
            "the state of another net or of another type of solver"
        )
    for index, (values, blob) in enumerate(zip(history, wanted, strict=True)):
        if values.size != blob.count:
            raise Error(
                f"{path}: history blob {index} has the shape {values.shape}, this net's "
                f"parameter {blob.shape}; it is the state of another net"
            )
