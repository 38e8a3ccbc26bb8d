"""A dataflow graph in ONNX's terms, as plain Python: what converters write to."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

Array = np.ndarray[Any, np.dtype[Any]]
Shape = tuple[int, ...]


class Value(NamedTuple):
    """A tensor: its name and its shape at the batch size of the prototxt."""

    name: str
    shape: Shape


@dataclass
class Node:
    """An operation; `output` lists the names of its results."""

    op: str
    inputs: list[str]
    output: list[str]
    attributes: dict[str, Any]


@dataclass
class Graph:
    """Nodes in order, constants by name, and which value each blob of the net has by now.

    `dynamic` graphs take any batch: axis 0 of an input is not a number.
    """

    dynamic: bool = True
    nodes: list[Node] = field(default_factory=list)
    constants: dict[str, Array] = field(default_factory=dict)
    inputs: list[Value] = field(default_factory=list)
    blobs: dict[str, Value] = field(default_factory=dict)
    _names: set[str] = field(default_factory=set)

    def input(self, name: str, shape: Shape) -> Value:
        value = Value(self._unique(name), shape)
        self.inputs.append(value)
        return value

    def constant(self, name: str, array: Array) -> str:
        name = self._unique(name)
        self.constants[name] = array
        return name

    def node(
        self, op: str, name: str, inputs: Iterable[Value | str], shape: Shape, **attributes: Any
    ) -> Value:
        """Appends a node with one output; attributes that are None are left out."""
        return self.nodes_output(op, name, inputs, [shape], **attributes)[0]

    def nodes_output(
        self, op: str, name: str, inputs: Iterable[Value | str], shapes: list[Shape], **attrs: Any
    ) -> list[Value]:
        """Appends a node with an output for each shape."""
        sources = [i.name if isinstance(i, Value) else i for i in inputs]
        outputs = [Value(self._unique(name), shape) for shape in shapes]
        kept = {k: v for k, v in attrs.items() if v is not None}
        self.nodes.append(Node(op, sources, [o.name for o in outputs], kept))
        return outputs

    def reshape(self, name: str, value: Value, shape: Shape, keeps_batch: bool) -> Value:
        """The same numbers in another shape. `keeps_batch`: axis 0 is left alone, so that it can
        stay open; otherwise axis 0 takes whatever the other axes leave."""
        if shape == value.shape:
            return value
        target = list(shape)
        if target and self.dynamic:
            target[0] = 0 if keeps_batch else -1
        constant = self.constant(f"{name}/shape", np.array(target, np.int64))
        return self.node("Reshape", name, [value, constant], shape)

    def finish(self, outputs: list[str]) -> list[Value]:
        """Names every value after its blob and returns the outputs, blobs by name.

        A blob that layers changed in place names its last value.
        """
        self._rename(outputs)
        results: list[Value] = []
        for blob in outputs:
            value = self.blobs[blob]
            if value in self.inputs or value in results:
                value = self.node("Identity", blob, [value], value.shape)
            results.append(value)
        return results

    def _rename(self, first: list[str]) -> None:
        """Values take the names of blobs, those in `first` before others; inputs keep theirs."""
        inputs = {value.name for value in self.inputs}
        names = {name: name for name in inputs}
        taken = set(inputs)
        for blob in [*first, *self.blobs]:
            value = self.blobs[blob].name
            if value not in names and blob not in taken:
                names[value] = blob
                taken.add(blob)
        for value in sorted(self._names - set(names)):
            new = value
            while new in taken:
                new += "_"
            names[value] = new
            taken.add(new)
        for node in self.nodes:
            node.inputs = [names[i] for i in node.inputs]
            node.output = [names[o] for o in node.output]
        self.constants = {names[k]: v for k, v in self.constants.items()}
        self.blobs = {b: Value(names[v.name], v.shape) for b, v in self.blobs.items()}
        self._names = taken

    def _unique(self, name: str) -> str:
        count, unique = 1, name
        while unique in self._names:
            count += 1
            unique = f"{name}/{count}"
        self._names.add(unique)
        return unique
