"""What a net is made of: its layers, blobs and parameters, by name and in order."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import Any

from p3d import _core
from p3d.caffe.python_layer import BlobVec
from p3d.error import Error


class NetStructure:
    """pycaffe's names for the parts of an engine's net, which never change."""

    _net: _core.Net
    _origin: str  # what to call the net in errors

    @property
    def phase(self) -> int:
        return self._net.phase

    @property
    def _layer_names(self) -> list[str]:
        return self._cached("layer_names", lambda: list(self._net.layer_names))

    @property
    def _blob_names(self) -> list[str]:
        return self._cached("blob_names", lambda: list(self._net.blob_names))

    @property
    def _blobs(self) -> list[_core.Blob]:
        return self._cached("blob_list", lambda: list(self._net.blobs))

    @property
    def _blob_loss_weights(self) -> list[float]:
        return list(self._net.loss_weights)

    @property
    def _inputs(self) -> list[int]:
        return list(self._net.inputs)

    @property
    def _outputs(self) -> list[int]:
        return list(self._net.outputs)

    def _bottom_ids(self, layer: int) -> list[int]:
        return list(self._net.bottom_ids(layer))

    def _top_ids(self, layer: int) -> list[int]:
        return list(self._net.top_ids(layer))

    @property
    def layers(self) -> list[_core.Layer]:
        """The layers in the order of the prototxt, with the splits that Caffe inserts."""
        return self._cached("layer_list", lambda: list(self._net.layers))

    @property
    def layer_dict(self) -> OrderedDict[str, _core.Layer]:
        """The layers by name."""
        return self._cached(
            "layer_dict", lambda: OrderedDict(zip(self._layer_names, self.layers, strict=True))
        )

    @property
    def blobs(self) -> OrderedDict[str, _core.Blob]:
        """The blobs by name, in the order in which layers make them."""
        return self._cached(
            "blob_dict", lambda: OrderedDict(zip(self._blob_names, self._blobs, strict=True))
        )

    @property
    def params(self) -> OrderedDict[str, BlobVec]:
        """The parameter blobs of each layer that has any, by its name."""
        return self._cached(
            "param_dict",
            lambda: OrderedDict(
                (name, BlobVec(layer.blobs))
                for name, layer in zip(self._layer_names, self.layers, strict=True)
                if layer.blobs
            ),
        )

    @property
    def blob_loss_weights(self) -> OrderedDict[str, float]:
        """The loss weight of each blob, 0 for most."""
        return OrderedDict(zip(self._blob_names, self._blob_loss_weights, strict=True))

    @property
    def inputs(self) -> list[str]:
        """Names of the tops of Input layers."""
        return [self._blob_names[i] for i in self._inputs]

    @property
    def outputs(self) -> list[str]:
        """Names of the blobs that no layer reads, in alphabetical order."""
        return [self._blob_names[i] for i in self._outputs]

    @property
    def bottom_names(self) -> OrderedDict[str, list[str]]:
        """Names of each layer's bottoms, by the layer's name."""
        return self._names_by_layer("bottom_names", self._bottom_ids)

    @property
    def top_names(self) -> OrderedDict[str, list[str]]:
        """Names of each layer's tops, by the layer's name."""
        return self._names_by_layer("top_names", self._top_ids)

    def _names_by_layer(
        self, key: str, ids: Callable[[int], list[int]]
    ) -> OrderedDict[str, list[str]]:
        return self._cached(
            key,
            lambda: OrderedDict(
                (name, [self._blob_names[b] for b in ids(i)])
                for i, name in enumerate(self._layer_names)
            ),
        )

    def _cached(self, key: str, make: Callable[[], Any]) -> Any:
        cache: dict[str, Any] = self.__dict__.setdefault("_cache", {})
        if key not in cache:
            cache[key] = make()
        return cache[key]

    def _layer_index(self, name: str) -> int:
        if name not in self._layer_names:
            raise Error(f"{self._origin}: there is no layer '{name}'")
        return self._layer_names.index(name)

    def _blob_index(self, name: str) -> int:
        if name not in self.blobs:
            raise Error(f"{self._origin}: there is no blob '{name}'")
        return self._blob_names.index(name)
