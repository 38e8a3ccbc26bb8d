"""Start weights for a P3D net, made from a 2-D Caffe ResNet with the names of He's release, or from
a P3D net whose clips have other channels.

    of the net                   comes from
    conv1, res*_branch*          the layer of that name; its kernels get a length axis of 1
    bn_conv1, bn*_branch*        BatchNorm bn*, Scale scale* and the convolution's bias, if any
    res*_branch2b_t, bn*_t       nothing: "identity" makes T the identity where S and T follow each
                                 other (kinds A, C) and zero where they lie side by side (B);
                                 "gaussian" leaves both to the fillers of the net
    the last layer               nothing: its fillers

As long as its BN are frozen, a net that starts from "identity" gives a clip of equal frames the
features that the 2-D net gives the frame: `difference` measures it.

A P3D net of frames starts one of flow (cross-modality of Wang et al., TSN), or the other way round:
conv1 gets the mean of its kernels for each channel, the last layer, where it is another, its
fillers. All else is taken, so that a clip whose channels are equal keeps its features.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from types import SimpleNamespace
from typing import Any, NamedTuple

import numpy as np

from p3d import models
from p3d.caffe import net_file, weight_writer
from p3d.caffe.weight_file import WeightFile, open_weights
from p3d.error import Error
from p3d.loading import find_net
from p3d.models import resnet

TEMPORAL = ("identity", "gaussian")

Path = str | os.PathLike[str]

_EPS = 1e-5  # of BN; a running variance of 1 - eps makes it the identity


class Start(NamedTuple):
    """What was made: the net, and names of its layers by where their values come from."""

    net: str
    prototxt: str
    taken: list[str]
    temporal: list[str]
    filled: list[str]  # by the net's own fillers
    left: list[str]  # layers of the source that have no place in the net
    channels: tuple[int, int]  # that conv1 reads in the source and in the net
    from_p3d: bool


def write(source: Path, out: Path, net: str | None = None, temporal: str = "identity") -> Start:
    """Writes `out`, a .caffemodel of start weights for `net`, from those in `source`.

    net: a name of `p3d.models` or a deploy prototxt; None for the frame net as deep as `source`.
    """
    if os.path.exists(out) and os.path.samefile(source, out):
        raise Error(f"{out} is what the start weights are made from: write them to another file")
    with open_weights(source) as file:
        found = _Source(file)
        name, prototxt, _ = find_net(None, net or _as_deep_as(found))
        param, _ = net_file.load(prototxt)
        _check_input(name, param)
        shapes = _shapes(prototxt)
        if found.is_p3d:
            _check_other_channels(found, name, shapes, temporal)
            params: _Params = _ParamsOfP3D(found, param, shapes, temporal)
        else:
            params = _Params(found, param, shapes, temporal)
        filled = [layer for layer in params.shapes if layer not in params]
        for index in reversed(range(len(param.layer))):
            if param.layer[index].name in filled:
                del param.layer[index]
        weight_writer.save(param, params, out)
    times = [layer for layer in params if layer.endswith("_t") and not found.is_p3d]
    taken = [layer for layer in params if layer not in times]
    left = params.left()
    return Start(name, prototxt, taken, times, filled, left, params.channels(), found.is_p3d)


def difference(source: Path, start: Path, prototxt: str) -> float:
    """How far pool5 of a clip is from that of the net of `source`, relative to its largest value.

    The clip is noise, in all frames the same if the source is a 2-D net, and in all channels if it
    has others than the net; then it is so scaled that their sum is the source's.
    """
    from p3d import caffe

    clips = caffe.Net(prototxt, caffe.TEST, weights=os.fspath(start))
    if "pool5" not in clips.blobs:
        raise Error(f"{prototxt} has no blob 'pool5' to compare with the source's")
    data = clips.blobs[clips.inputs[0]]
    _, channels, length, *size = (int(axis) for axis in data.shape)
    with open_weights(source) as file:
        found = _Source(file)
        from_p3d, expected_channels = found.is_p3d, found.channels()
        text = _with_channels(prototxt, expected_channels) if from_p3d else _flat_net(found, size)
    shape = (expected_channels, length if from_p3d else 1, *size)
    seen = np.random.default_rng(0).uniform(-100, 100, shape).astype(np.float32)
    if channels != expected_channels:
        seen[...] = seen[:1]
    origin = caffe.Net(text, caffe.TEST, weights=os.fspath(source))
    origin.blobs[origin.inputs[0]].data[...] = seen if from_p3d else seen[:, 0]
    if channels != expected_channels:
        seen = np.repeat(seen[:1] * (expected_channels / channels), channels, axis=0)
    data.data[...] = seen
    origin.forward()
    clips.forward()
    expected = origin.blobs["pool5"].data.reshape(-1)
    found_values = clips.blobs["pool5"].data.reshape(-1, expected.size)
    return float(np.abs(found_values - expected).max() / (np.abs(expected).max() or 1))


class _Source:
    """The layers of a file that have blobs."""

    def __init__(self, file: WeightFile) -> None:
        self.file = file
        self.index = {name: i for i, (name, _, shapes) in enumerate(file.layers) if shapes}
        self.is_p3d = len(self.shapes("bn_conv1")) == 4
        self.expected = _EXPECTED_P3D if self.is_p3d else _EXPECTED

    def __contains__(self, name: object) -> bool:
        return name in self.index

    def shapes(self, name: str) -> list[tuple[int, ...] | None]:
        return list(self.file.layers[self.index[name]][2]) if name in self.index else []

    def channels(self) -> int:
        """That conv1 reads."""
        return int(self.read("conv1", 1, 2)[0].shape[1])

    def read(self, name: str, *counts: int) -> list[np.ndarray]:
        """The blobs of a layer, of which there must be one of `counts`."""
        if name not in self.index:
            raise Error(f"{self.file.path} has no layer '{name}'; {self.expected}")
        layer = self.index[name]
        found = len(self.file.layers[layer][2])
        if found not in counts:
            wanted = " or ".join(map(str, counts))
            raise Error(
                f"{self.file.path}, layer '{name}' has {found} blobs instead of {wanted}; "
                f"{self.expected}"
            )
        return [self.file.read(layer, blob) for blob in range(found)]


_EXPECTED = (
    "expected is a 2-D ResNet of Caffe with the layers conv1, bn_conv1, scale_conv1, "
    "res2a_branch1, bn2a_branch1, scale2a_branch1... and as many units as the net has: ResNet-50 "
    "for P3D-63, 101 for 131, 152 for 199"
)
_EXPECTED_P3D = "a P3D net starts one with the same units, whose clips have other channels"


class _Params(Mapping[str, list[Any]]):
    """Layer of the net -> its blobs, made when they are asked for: one layer is in memory."""

    def __init__(
        self,
        source: _Source,
        param: Any,
        shapes: dict[str, list[tuple[int, ...]]],
        temporal: str,
    ) -> None:
        self.shapes = shapes
        self._source = source
        self._layers = {layer.name: layer for layer in param.layer if layer.name in shapes}
        self._convolutions = {layer.top[0]: layer.name for layer in param.layer if layer.top}
        self._names = [name for name in shapes if self._has(name, temporal)]
        foreign = [name for name in self.left() if "_branch" in name]
        if foreign:
            raise Error(
                f"{source.file.path} has the layer '{foreign[0]}', which the net lacks; "
                f"{source.expected}"
            )

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)

    def __getitem__(self, name: str) -> list[Any]:
        if name not in self._names:
            raise KeyError(name)
        kind = self._layers[name].type
        values = self._bn(name) if kind == "BN" else [self._kernel(name)]
        pairs = zip(values, self.shapes[name], strict=True)
        return [self._blob(name, value, shape) for value, shape in pairs]

    def left(self) -> list[str]:
        """Layers of the file without a place in the net."""
        used = {*self._names, *(_scale(name) for name in self._names)}
        return [name for name in self._source.index if name not in used]

    def channels(self) -> tuple[int, int]:
        """Of the frames, in the file and in the net."""
        return self._source.channels(), self.shapes["conv1"][0][1]

    def _has(self, name: str, temporal: str) -> bool:
        if self._layers[name].type not in ("BN", "Convolution"):
            return False
        return temporal == "identity" or not name.endswith("_t")

    def _kernel(self, name: str) -> np.ndarray:
        shape = self.shapes[name][0]
        if name.endswith("_t"):
            return self._temporal_kernel(name, shape)
        kernel = self._source.read(name, 1, 2)[0]
        return _for_channels(kernel, shape[1]) if name == "conv1" else kernel

    def _temporal_kernel(self, name: str, shape: tuple[int, ...]) -> np.ndarray:
        kernel = np.zeros(shape, np.float32)
        beside = self._layers[name].bottom[0].endswith("_branch2a")
        if not beside:
            kernel[:, :, shape[2] // 2, 0, 0] = np.eye(shape[0], shape[1])
        return kernel

    def _bn(self, name: str) -> list[np.ndarray]:
        channels = self.shapes[name][0][-1:]
        if name.endswith("_t"):
            return [np.full(channels, value, np.float32) for value in (1, 0, 0, 1 - _EPS)]
        mean, variance, weight = self._source.read(name, 3)
        slope, shift = self._source.read(_scale(name), 2)
        factor = 0 if weight.sum() == 0 else 1 / weight.sum()
        before = self._source.read(self._convolutions[self._layers[name].bottom[0]], 1, 2)
        bias = before[1].reshape(mean.shape) if len(before) == 2 else 0
        return [slope, shift, mean * factor - bias, variance * factor]

    def _blob(self, name: str, values: np.ndarray, shape: tuple[int, ...]) -> Any:
        flat = shape[:2] + shape[3:] if len(shape) == 5 else shape
        if values.shape not in (shape, flat) and (len(shape) > 2 or values.size != shape[-1]):
            raise Error(
                f"{self._source.file.path}, layer '{name}' has a blob of shape {values.shape}, "
                f"which does not make {shape}; {self._source.expected}"
            )
        return SimpleNamespace(shape=shape, data=values.astype(np.float32).reshape(shape))


class _ParamsOfP3D(_Params):
    """The same from a P3D net."""

    def __getitem__(self, name: str) -> list[Any]:
        if name not in self._names:
            raise KeyError(name)
        shapes = self.shapes[name]
        values = self._source.read(name, len(shapes))
        if name == "conv1":
            values[0] = _for_channels(values[0], shapes[0][1])
        return [self._blob(name, *pair) for pair in zip(values, shapes, strict=True)]

    def _has(self, name: str, temporal: str) -> bool:
        if self._layers[name].type in ("BN", "Convolution"):
            return True
        return self._source.shapes(name) == self.shapes[name]


def _for_channels(kernel: np.ndarray, channels: int) -> np.ndarray:
    """conv1's, of which each channel gets the mean if there are others."""
    if kernel.ndim < 4 or kernel.shape[1] == channels:
        return kernel
    return np.repeat(kernel.mean(axis=1, keepdims=True), channels, axis=1)


def _check_input(name: str, param: Any) -> None:
    if not any(layer.type == "Input" for layer in param.layer):
        raise Error(
            f"{name} has no input, since it reads data by itself: name its deploy prototxt, or a "
            "net of `p3d models`"
        )


def _check_other_channels(
    source: _Source, net: str, shapes: Mapping[str, list[tuple[int, ...]]], temporal: str
) -> None:
    path, channels = source.file.path, source.channels()
    if temporal != "identity":
        raise Error(f"{path} is a P3D net's, whose temporal convolutions are taken as they are")
    if "conv1" in shapes and shapes["conv1"][0][1] == channels:
        raise Error(
            f"{path} is a P3D net's for clips of {channels} channels, as {net} takes: give it to "
            f"`p3d train --weights` as it is. A net of {'flow' if channels == 3 else 'frames'} is "
            "made from it with --net"
        )


def _with_channels(prototxt: str, channels: int) -> Any:
    """The net of a deploy prototxt for clips of so many channels, up to its features."""
    param, _ = net_file.load(prototxt)
    last = max(i for i, layer in enumerate(param.layer) if "pool5" in layer.top)
    del param.layer[last + 1 :]
    first = next(layer for layer in param.layer if layer.type == "Input")
    first.input_param.shape[0].dim[1] = channels
    return param


def _scale(name: str) -> str:
    return "scale" + name.removeprefix("bn")


def _as_deep_as(source: _Source) -> str:
    """The deepest frame net for Kinetics whose convolutions are all in the file."""
    for name in models.names():
        convolutions = [k for k in models.blobs(name) if k.startswith("res") and k[-2:] != "_t"]
        if name.endswith("-kinetics") and all(layer in source for layer in convolutions):
            return name
    raise Error(f"{source.file.path} fits no net of `p3d models`; {_EXPECTED}")


def _shapes(prototxt: str) -> dict[str, list[tuple[int, ...]]]:
    from p3d import caffe

    net = caffe.Net(prototxt, caffe.TEST)
    return {k: [tuple(map(int, b.shape)) for b in blobs] for k, blobs in net.params.items()}


def _flat_net(source: _Source, size: list[int]) -> str:
    """The 2-D net of these weights, up to its features."""
    units = sum(name.endswith("_branch2a") and name.startswith("res") for name in source.index)
    depth = 3 * units + 2
    if depth not in resnet.UNITS:
        raise Error(f"{source.file.path} has {units} units, which is no ResNet-50, 101 or 152")
    bias = len(source.shapes("conv1")) == 2
    return resnet.features(depth, (size[0], size[1]), bias=bias)
