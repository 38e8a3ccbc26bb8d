"""Net with the interface of pycaffe's, on top of the embedded engine."""

from __future__ import annotations

import functools
import logging
import os
import weakref
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import zip_longest
from typing import Any

import numpy as np

from p3d import _core
from p3d.caffe import data_layers, infogain, layer_types, net_file, prototxt, weights
from p3d.caffe.batches import Rows, batches, items
from p3d.caffe.nccl import NCCL
from p3d.caffe.net_errors import net_errors
from p3d.caffe.net_structure import NetStructure
from p3d.caffe.relax import relax_reshape as relax
from p3d.error import Error
from p3d.input_check import log_odd_input

log = logging.getLogger("p3d")


class Net(NetStructure):
    """A net of layers, run by the embedded engine.

    ``Net(file, phase)``, ``Net(file, weights, phase)`` and
    ``Net(file, phase, level=0, stages=None, weights=None)`` are pycaffe's; ``file`` may also
    be the text of a prototxt or a NetParameter message.

    relax_reshape: Reshape layers that fix height and width (as in the released P3D files)
    take them from the input instead, so that other crops run.
    origin: what to call the net in errors; by default its file.

    Raises RuntimeError with the file, the layer, the value and the cure.
    """

    def __init__(
        self,
        network_file: Any,
        *args: Any,
        phase: int | None = None,
        level: int = 0,
        stages: Sequence[str] | None = None,
        weights: str | os.PathLike[str] | None = None,
        relax_reshape: bool = False,
        origin: str | None = None,
    ) -> None:
        weights, phase, level, stages = net_file.arguments(args, weights, phase, level, stages)
        param, named = net_file.load(network_file)
        self._origin = origin or named
        if relax_reshape:
            relax(param)
        with net_errors(self._origin):
            self.param = prototxt.prepare(param, phase, level, stages or ())
            for layer in self.param.layer:
                layer_types.check(layer)
            layers, defaults = prototxt.describe(self.param)
            infogain.add_matrices(layers)
            data_layers.add_classes(self.param, layers)
            self._net = _core.Net(
                self.param.name, layers, defaults, phase, self.param.force_backward
            )
        self._net.set_origin(self._origin.encode(errors="surrogateescape"))
        self.name = self._net.name  # scripts give it another: net.name = "zf_iter_70000"
        if self.param.debug_info:
            self._net.set_debug_log(log.info)
        self._hooks: dict[str, list[Callable[[int], object]]] = {}
        self._warned_held = self._warned_graph = self._new_weights = False
        _log_engine()
        if weights is not None:
            self.copy_from(weights)

    def __repr__(self) -> str:
        phase = ("TRAIN", "TEST")[self.phase]
        ends = (
            ", ".join(f"{name} {'x'.join(map(str, self.blobs[name].shape))}" for name in names)
            for names in (self.inputs, self.outputs)
        )
        return f"<Net {self.name}, {phase}: {' -> '.join(ends)}>"

    # --- forward

    def forward(
        self,
        blobs: Iterable[str] | None = None,
        start: str | None = None,
        end: str | None = None,
        **inputs: np.ndarray,
    ) -> dict[str, np.ndarray]:
        """Run the net, or the layers from ``start`` to ``end`` (names, both included).

        blobs: names of blobs to return besides the outputs.
        inputs: an array for every input of the net, copied in first.

        Returns views of the outputs (of the tops of ``end``, if given) by name; they show the
        next forward's values after the next forward.
        """
        wanted = list(blobs or [])
        first = self._layer_index(start) if start is not None else 0
        last = self._layer_index(end) if end is not None else len(self._layer_names) - 1
        names = set((self.top_names[end] if end is not None else self.outputs) + wanted)
        for name in wanted:
            self._net.keep(self._blob_index(name))
        if inputs:
            self._fill(inputs)
        self._forward(first, last)
        return {name: self.blobs[name].data for name in names}

    def launch(self, blobs: Iterable[str]) -> None:
        """Run the whole net for the values of these blobs, which nobody looks at yet: on a GPU it
        may still run when this returns."""
        for name in blobs:
            self._net.keep(self._blob_index(name))
        self._forward(0, len(self._layer_names) - 1)

    def _forward(self, start: int, end: int) -> float:
        """Run layers by index, both included; returns the weighted loss."""
        self._before_forward()
        with net_errors(self._origin):
            loss = self._net.forward(start, end)
        if not self._warned_graph and self._net.graph_refusal:
            self._warned_graph = True
            log.info(
                "%s: no CUDA graph, every step is a launch of its own: %s",
                self._origin,
                self._net.graph_refusal,
            )
        return loss

    def _forward_backward(self) -> float:
        """Run all layers forward and, where the loss is finite, backward; returns the loss.

        Gradients of parameters are added to. In phase TRAIN blobs in the middle and their diffs
        are not kept: one that is asked for is made again, with the weights of that moment, and
        kept from then on.
        """
        self._before_forward()
        with net_errors(self._origin):
            return self._net.forward_backward()

    def _before_forward(self) -> None:
        """Say once what is odd about the weights."""
        if not self._warned_held and self._net.held_params:
            self._warned_held = True
            log.info(
                "views of %d parameter blobs are held: their weights are packed again at every "
                "forward; drop the views to save that time",
                self._net.held_params,
            )
        if self._new_weights:
            self._new_weights = False
            log_odd_input(self)

    def _fill(self, inputs: dict[str, np.ndarray]) -> None:
        if set(inputs) != set(self.inputs):
            raise Exception("Input blob arguments do not match net inputs.")
        for name, array in inputs.items():
            if np.shape(array)[0] != self.blobs[name].shape[0]:
                raise Exception("Input is not batch sized")
            self.blobs[name].data[...] = array

    def forward_all(
        self, blobs: Iterable[str] | None = None, **inputs: np.ndarray
    ) -> dict[str, np.ndarray]:
        """Run any number of items in batches; the last batch is filled up with zeros.

        Returns copies of the outputs and of ``blobs``, one row per item.
        """
        rows = Rows()
        for batch in self._batch(inputs):
            rows.add(self.forward(blobs, **batch))  # type: ignore[arg-type]
        return rows.first(items(inputs))

    def _batch(self, arrays: dict[str, np.ndarray]) -> Iterator[dict[str, np.ndarray]]:
        yield from batches(arrays, self.blobs[next(iter(arrays))].shape[0])

    def reshape(self) -> None:
        """Give every blob the shape that follows from the inputs' shapes."""
        with net_errors(self._origin):
            self._net.reshape()

    def before_forward(self, hook: Callable[[int], object]) -> None:
        """Call hook(layer index) before each layer; the net then runs layer by layer."""
        self._add_hook("before_forward", hook)

    def after_forward(self, hook: Callable[[int], object]) -> None:
        """Call hook(layer index) after each layer; the net then runs layer by layer."""
        self._add_hook("after_forward", hook)

    def _add_hook(self, when: str, hook: Callable[[int], object]) -> None:
        """Hooks live here, the engine knows a weak way to them: one that uses this net would
        otherwise keep it for ever, for nobody sees the circle that goes through the engine."""
        if when not in self._hooks:
            call = weakref.WeakMethod(self._call_hooks)
            getattr(self._net, when)(lambda layer: (alive := call()) and alive(when, layer))
        self._hooks.setdefault(when, []).append(hook)

    def _call_hooks(self, when: str, layer: int) -> None:
        for hook in tuple(self._hooks[when]):  # what one adds counts from the next layer on
            hook(layer)

    @property
    def planned(self) -> bool:
        """Whether several layers run as one step, as the last forward did."""
        return self._net.planned

    @property
    def graph(self) -> bool:
        """Whether the whole net is one launch on the GPU, as from its second forward on."""
        return self._net.graph

    @property
    def graphs(self) -> int:
        """How many launches the whole net has in it that stand for many, see `graph`."""
        return self._net.graphs

    def gpu_batch(self, blobs: Iterable[str] = ()) -> int:
        """The largest batch, about, for which the GPU in use has room: of items of the inputs'
        present shapes, with these blobs kept. 0 where it has no room for one."""
        for name in blobs:
            self._net.keep(self._blob_index(name))
        with net_errors(self._origin):
            return self._net.gpu_batch()

    def run_by_layer(self) -> None:
        """From here on each layer runs on its own; nothing is fused."""
        self._net.set_planning(False)

    def profile(self) -> list[dict[str, Any]]:
        """One forward; per step its layers, type, kernel, multiplications and milliseconds. On a
        GPU "input copies", of no type, come first."""
        with net_errors(self._origin):
            return self._net.profile()

    def set_input_arrays(self, data: np.ndarray, labels: np.ndarray) -> None:
        """Feed these arrays to the net's first layer, a MemoryData, a batch per forward.

        data, labels: float32, (n, channels, height, width) and (n) or (n, 1, 1, 1); n is a
        multiple of the batch size.
        """
        first = self.layers[0]
        if first.type != "MemoryData":
            raise Error("set_input_arrays may only be called if the first layer is a MemoryData")
        with net_errors(f"{self._origin}: MemoryData '{first.name}'"):
            first.python_object.reset(data, labels)

    # --- backward

    def backward(
        self,
        diffs: Iterable[str] | None = None,
        start: str | None = None,
        end: str | None = None,
        **top_diffs: np.ndarray,
    ) -> dict[str, np.ndarray]:
        """Run the net backwards, or the layers from ``start`` down to ``end`` (names, both
        included). Diffs of parameters are added to; see `clear_param_diffs`.

        diffs: names of blobs whose diffs to return besides the inputs'.
        top_diffs: an array for every output of the net, copied into its diff first; without
        them losses start from their weights.

        Returns views of the diffs of the inputs (of the bottoms of ``end``, if given) by name.
        Blobs that need no gradient have none, unless the prototxt says force_backward.
        """
        wanted = list(diffs or [])
        first = self._layer_index(start) if start is not None else len(self._layer_names) - 1
        last = self._layer_index(end) if end is not None else 0
        names = set((self.bottom_names[end] if end is not None else self.inputs) + wanted)
        for name in wanted:
            self._blob_index(name)
        if top_diffs:
            self._fill_diffs(top_diffs)
        self._backward(first, last)
        return {name: self.blobs[name].diff for name in names}

    def _backward(self, start: int, end: int) -> None:
        """Run layers backwards by index, start >= end, both included."""
        with net_errors(self._origin):
            self._net.backward(start, end)

    def _fill_diffs(self, diffs: dict[str, np.ndarray]) -> None:
        if set(diffs) != set(self.outputs):
            raise Exception("Top diff arguments do not match net outputs.")
        for name, array in diffs.items():
            if np.shape(array)[:1] != self.blobs[name].shape[:1]:
                raise Exception("Diff is not batch sized")
            self.blobs[name].diff[...] = array

    def forward_backward_all(
        self,
        blobs: Iterable[str] | None = None,
        diffs: Iterable[str] | None = None,
        **arrays: np.ndarray,
    ) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
        """Forward and backward of any number of items in batches; the last batch is filled up
        with zeros.

        arrays: values of inputs and diffs of outputs, by name; those that are left out stay as
        they are.

        Returns copies of (outputs and ``blobs``, diffs of inputs and ``diffs``), one row per item.
        """
        if not set(arrays) <= set(self.inputs + self.outputs):
            raise Exception("Blob arguments do not match net inputs and outputs.")

        def part(names: list[str]) -> Iterator[dict[str, np.ndarray]]:
            given = {name: arrays[name] for name in names if name in arrays}
            return self._batch(given) if given else iter(())

        all_blobs, all_diffs = Rows(), Rows()
        nothing: dict[str, np.ndarray] = {}
        for batch, diff_batch in zip_longest(
            part(self.inputs), part(self.outputs), fillvalue=nothing
        ):
            found = self.forward(blobs, **batch)  # type: ignore[arg-type]
            all_diffs.add(self.backward(diffs, **diff_batch))  # type: ignore[arg-type]
            all_blobs.add(found)
        return all_blobs.first(items(arrays)), all_diffs.first(items(arrays))

    def before_backward(self, hook: Callable[[int], object]) -> None:
        """Call hook(layer index) before each layer of a backward."""
        self._add_hook("before_backward", hook)

    def after_backward(self, hook: Callable[[int], object] | NCCL) -> None:
        """Call hook(layer index) after each layer of a backward.

        With an NCCL, as for layer_wise_reduce, nothing changes: its gradients go all at once.
        """
        if not isinstance(hook, NCCL):
            self._add_hook("after_backward", hook)

    # --- weights

    def copy_from(self, path: str | os.PathLike[str]) -> None:
        """Load a .caffemodel or .caffemodel.h5, matched by layer name."""
        weights.load(self.params, path, weights.shared_params(self.param))
        self._new_weights = True

    load_hdf5 = copy_from

    def share_with(self, other: Net) -> None:
        """Use the other net's parameters for layers of the same name."""
        with net_errors(self._origin):
            self._net.share_with(other._net)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write a .caffemodel that Caffe loads, whole or not at all."""
        weights.save(self.param, self.params, path)

    def save_hdf5(self, path: str | os.PathLike[str]) -> None:
        """Write a .caffemodel.h5 that Caffe loads, whole or not at all."""
        weights.save_hdf5(self.param, self.params, path)

    def clear_param_diffs(self) -> None:
        """Set the gradients of all parameters to 0."""
        self._net.clear_param_diffs()


@functools.cache
def _log_engine() -> None:
    log.info(
        "engine: %s kernels, %d threads, %s", _core.isa(), _core.num_threads(), _core.precision()
    )
