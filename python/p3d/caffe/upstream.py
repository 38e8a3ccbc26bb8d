"""The backend "upstream" (see backend.py): a real Caffe that our layers were built into.

Everything but what stands here is the real pycaffe's. Where that would end the process, because
Caffe does so when a check of its own fails, a mistake that can be seen before is an Error instead:
files, fields, layer types, names, the shapes of weights, and shapes of blobs as far as the embedded
engine knows the net's layers. Others still end the process, with Caffe's message: shapes given to
`blob.reshape`, and what a layer that only this Caffe has may check.
"""

from __future__ import annotations

import contextlib
import logging
import os
import tempfile
import time
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np

from p3d.caffe import layer_types, net_file, prototxt, weights
from p3d.caffe.relax import relax_reshape as relax
from p3d.caffe.shape_check import ShapeCheck
from p3d.caffe.upstream_import import import_caffe
from p3d.error import Error
from p3d.input_check import log_odd_input
from p3d.wording import errors_of

caffe = import_caffe()
_CaffeNet: Any = caffe.Net
log = logging.getLogger("p3d")


def __getattr__(name: str) -> Any:
    return getattr(caffe, name)


def describe() -> str:
    """What runs the nets."""
    return f"Caffe {caffe.__version__} of {os.path.dirname(caffe.__file__)}"


class Net(_CaffeNet):
    """pycaffe's Net with what backend.py promises; arguments as those of p3d.caffe.pycaffe.Net."""

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
        message_class = caffe.proto.caffe_pb2.NetParameter
        # Not a name that a Caffe's own class may use.
        param, named = net_file.load(network_file, message_class, _check_type)
        self._net_file = origin or named
        if relax_reshape:
            relax(param)
        self.param = prototxt.prepare(param, phase, level, stages or ())
        with errors_of(self._net_file):
            for layer in self.param.layer:
                _check_type(layer)
        self._shapes = ShapeCheck(self.param, phase, self._net_file)
        with _file_of(param) as path:
            super().__init__(path, phase, level, list(stages or ()))
        self.name = self.param.name
        self._new_weights = False
        if weights is not None:
            self.copy_from(weights)

    # --- running

    def forward(
        self,
        blobs: Iterable[str] | None = None,
        start: str | None = None,
        end: str | None = None,
        **inputs: np.ndarray,
    ) -> dict[str, np.ndarray]:
        """pycaffe's; names that do not exist are Errors."""
        wanted = list(blobs or ())
        self._check_names(wanted, "blob", self.blobs)
        self._check_names([n for n in (start, end) if n is not None], "layer", self.layer_dict)
        arrays = {name: np.asarray(array) for name, array in inputs.items()}
        return super().forward(wanted, start, end, **arrays)

    def _forward(self, start: int, end: int) -> float:
        self._check_range(start, end)
        self._shapes.check(self)
        if self._new_weights:
            self._new_weights = False
            log_odd_input(self)
        return super()._forward(start, end)

    def _backward(self, start: int, end: int) -> None:
        self._check_range(end, start)
        super()._backward(start, end)

    def reshape(self) -> None:
        """pycaffe's, if the shapes of the inputs fit the net."""
        self._shapes.check(self)
        super().reshape()

    def _check_names(self, names: Iterable[str], kind: str, known: Iterable[str]) -> None:
        for name in names:
            if name not in known:
                raise Error(f"{self._net_file}: there is no {kind} '{name}'")

    def _check_range(self, first: int, last: int) -> None:
        count = len(self.layers)
        if not (0 <= first < count and 0 <= last < count):
            raise Error(f"layers {first} to {last} are not all in the net, which has {count}")

    # --- weights

    def copy_from(self, path: str | os.PathLike[str]) -> None:
        """Loads a .caffemodel or .caffemodel.h5 as the embedded engine does it."""
        weights.load(self.params, path, weights.shared_params(self.param))
        self._new_weights = True

    load_hdf5 = copy_from

    def save(self, path: str | os.PathLike[str]) -> None:
        """Writes a .caffemodel, whole or not at all."""
        weights.save(self.param, self.params, path)

    def save_hdf5(self, path: str | os.PathLike[str]) -> None:
        """Writes a .caffemodel.h5, whole or not at all."""
        weights.save_hdf5(self.param, self.params, path)

    def share_with(self, other: Any) -> None:
        """Uses the other net's parameters for layers of the same name."""
        for name in self.params.keys() & other.params.keys():
            own, theirs = ([tuple(b.shape) for b in net.params[name]] for net in (self, other))
            if own != theirs:
                raise Error(
                    f"{self._net_file}: layer '{name}' cannot share: its blobs are {own}, those "
                    f"{theirs}"
                )
        super().share_with(other)

    # --- measuring

    planned = False

    def run_by_layer(self) -> None:
        """It does so anyway."""

    def profile(self) -> list[dict[str, Any]]:
        """One forward; per layer its type, multiplications and milliseconds."""
        rows: list[dict[str, Any]] = []
        macs = self._shapes.macs()
        for index, (name, layer) in enumerate(self.layer_dict.items()):
            start = time.perf_counter()
            self._forward(index, index)
            ms = (time.perf_counter() - start) * 1e3
            row = {"layers": name, "type": layer.type, "kernel": "", "ms": ms}
            rows.append({**row, "macs": macs.get(name, 0)})
        return rows


def set_mode_gpu() -> None:
    """pycaffe's; a build without CUDA stays on the processor and says so."""
    if _has_gpu():
        caffe.set_mode_gpu()


def set_device(device: int) -> None:
    """pycaffe's; a build without CUDA stays on the processor and says so."""
    if _has_gpu():
        caffe.set_device(device)


def _has_gpu() -> bool:
    has = hasattr(caffe._caffe.Blob, "_gpu_data_ptr")
    if not has:
        log.warning("the Caffe at %s has no GPU support: nets run on the CPU", caffe.__file__)
    return has


def _check_type(layer: Any) -> None:
    fault = f"the Caffe at {caffe.__file__} has no layer type"
    layer_types.check_known(layer, caffe.layer_type_list(), fault)


@contextlib.contextmanager
def _file_of(param: Any) -> Iterator[str]:
    """A net comes from a file, and our text or changed message needs one."""
    with tempfile.NamedTemporaryFile("w", suffix=".prototxt") as file:
        file.write(str(param))
        file.flush()
        yield file.name
