"""The log of a training, Caffe's or ours, as the events of a train.jsonl (see record)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any

_NUMBER = r"([-+\d.einfa]+)"
_PROGRESS = re.compile(rf"Iteration (\d+)(?: \(.*\))?, loss = {_NUMBER}")
_RATE = re.compile(rf"Iteration (\d+), lr = {_NUMBER}")
_TESTING = re.compile(r"Iteration (\d+), Testing net \(#(\d+)\)")
_OUTPUT = re.compile(rf"(Train|Test) net output #\d+: (\S+) = {_NUMBER}")


def events(lines: Iterable[str]) -> Iterator[dict[str, Any]]:
    """In the order of the log; lines of anything else are passed over."""
    event: dict[str, Any] | None = None
    for line in lines:
        if match := _OUTPUT.search(line):
            if event is not None and event["event"] == match[1].lower():
                event["outputs"].setdefault(match[2], []).append(float(match[3]))
        elif match := _RATE.search(line):
            if event is not None and (event["event"], event["iter"]) == ("train", int(match[1])):
                event["lr"] = float(match[2])
        elif begun := _begun(line):
            if event is not None:
                yield event
            event = begun
    if event is not None:
        yield event


def _begun(line: str) -> dict[str, Any] | None:
    if match := _TESTING.search(line):
        return {"event": "test", "iter": int(match[1]), "net": int(match[2]), "outputs": {}}
    if match := _PROGRESS.search(line):
        return {"event": "train", "iter": int(match[1]), "loss": float(match[2]), "outputs": {}}
    return None
