"""train.jsonl: what a training displayed and tested, one JSON object a line.

    {"event": "train", "iter": 20, "loss": 0.69, "lr": 0.001, "iter_per_s": 5.1, "outputs": {...}}
    {"event": "test", "iter": 20, "net": 0, "outputs": {"accuracy": [0.5], "loss": [0.69]}}

"outputs" are the net's, by name. Lines are appended whole, so a training that is killed loses none;
one that goes on from a snapshot first drops the lines of the iterations that it does again.
"""

from __future__ import annotations

import importlib.util
import json
import os
from collections.abc import Callable, Iterator
from typing import Any

from p3d.atomic import append, make_folder, replacing
from p3d.error import Error


def path_of(snapshot_prefix: str) -> str:
    """Beside the snapshots."""
    return os.path.join(os.path.dirname(snapshot_prefix), "train.jsonl")


def read(path: str) -> Iterator[dict[str, Any]]:
    """The lines of a record; one that was cut off is left out. Raises Error for other files."""
    with open(path, "rb") as file:
        lines = file.read().splitlines()
    for number, line in enumerate(lines, 1):
        try:
            event = json.loads(line)
            if not {"event", "iter", "outputs"} <= event.keys():
                raise ValueError
        except (ValueError, AttributeError):
            if number < len(lines):
                raise Error(f"{path}, line {number}: is no line of a train.jsonl") from None
            return
        yield event


class Record:
    """Called with every event of a solver (see Solver.observers)."""

    def __init__(self, path: str, start: int) -> None:
        """`start` is the iteration that the training begins with."""
        self._path = path
        try:
            make_folder(os.path.dirname(path) or ".")
        except Error as error:
            raise type(error)(f"{path}: {error}; change snapshot_prefix") from error
        before = [event for event in _read_if_there(path) if event["iter"] < start]
        with replacing(path, "w") as file:
            file.writelines(json.dumps(event) + "\n" for event in before)

    def __call__(self, event: dict[str, Any]) -> None:
        append(self._path, json.dumps(event))


def _read_if_there(path: str) -> Iterator[dict[str, Any]]:
    if os.path.exists(path):
        yield from read(path)


def tensorboard(folder: str) -> Callable[[dict[str, Any]], None] | None:
    """What writes the same as TensorBoard's event files; None without tensorboardX or PyTorch's."""
    for needed, module in (("tensorboardX", "tensorboardX"), ("tensorboard", _OF_TORCH)):
        if importlib.util.find_spec(needed) is None:
            continue
        try:
            writer = importlib.import_module(module).SummaryWriter(folder)
        except ImportError:
            continue
        return lambda event: _scalars(writer, event)
    return None


_OF_TORCH = "torch.utils.tensorboard"


def _scalars(writer: Any, event: dict[str, Any]) -> None:
    kind, step = event["event"], event["iter"]
    place = f"{kind}{event['net']}" if event.get("net") else kind
    for name in ("loss", "lr"):
        if name in event:
            writer.add_scalar(f"{place}/{name}", event[name], step)
    for name, values in event["outputs"].items():
        for index, value in enumerate(values):
            part = f"[{index}]" if len(values) > 1 else ""
            writer.add_scalar(f"{place}/outputs/{name}{part}", value, step)
    writer.flush()
