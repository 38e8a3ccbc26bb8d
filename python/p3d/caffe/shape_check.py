"""Whether blobs of these shapes fit a net, before a real Caffe finds that they do not."""

from __future__ import annotations

from typing import Any

from p3d import _core
from p3d.caffe import data_layers
from p3d.caffe.pycaffe import Net


class ShapeCheck:
    """The net in the embedded engine, of which only the shapes are used: it never runs.

    A net with layers that the engine does not know, or that are not of C++, is not checked.

    Raises Error as the engine does if the net's own shapes do not fit.
    """

    def __init__(self, param: Any, phase: int, origin: str) -> None:
        known = set(_core.layer_types()) - {"Python", *data_layers.MODULES}
        self._net: Net | None = None
        if all(layer.type in known for layer in param.layer):
            self._net = Net(str(_without_rules(param)), phase, origin=origin)
        self._fitting = self._shapes(self._net)

    def check(self, net: Any) -> None:
        """Raises Error if the shapes that the inputs of `net` have now do not fit."""
        shapes = self._shapes(net)
        if self._net is None or shapes == self._fitting:
            return
        for name, shape in shapes.items():
            self._net.blobs[name].reshape(*shape)
        self._fitting = {}
        self._net.reshape()
        self._fitting = shapes

    def macs(self) -> dict[str, int]:
        """Multiplications of one forward by layer, as far as they are known."""
        return {} if self._net is None else {layer.name: layer.macs for layer in self._net.layers}

    @staticmethod
    def _shapes(net: Any) -> dict[str, tuple[int, ...]]:
        return {name: tuple(net.blobs[name].shape) for name in net.inputs} if net else {}


def _without_rules(param: Any) -> Any:
    """The net without include and exclude, which have been applied."""
    bare = type(param)()
    bare.CopyFrom(param)
    for layer in bare.layer:
        layer.ClearField("include")
        layer.ClearField("exclude")
    return bare
