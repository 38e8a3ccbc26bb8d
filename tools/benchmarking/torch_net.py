"""A net of Caffe as a torch module, written from the meaning of its layers alone.

It shares no code with the engine or the ONNX export, so that all three check one another.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from .geometry import conv_axes, pool_windows

Message = dict[str, Any]
Blobs = Sequence[np.ndarray]

_TRAIN = 0  # the phase

#: Layers whose top is new memory that nobody else reads yet.
_OWN_MEMORY = {"BN", "BatchNorm", "Convolution", "Eltwise", "InnerProduct", "Scale"}


def read(
    prototxt: str,
    weights: str,
    sources: Sequence[str],
    outputs: Sequence[str],
    *,
    train: bool = False,
) -> CaffeNet:
    """The net of a prototxt and a .caffemodel file, in phase TRAIN or TEST."""
    from p3d.caffe.proto.caffe_pb2 import TEST, TRAIN
    from p3d.caffe.prototxt import describe, prepare, read_net
    from p3d.export.sources import read_weights

    layers, defaults = describe(prepare(read_net(prototxt), TRAIN if train else TEST))
    return CaffeNet(layers, defaults, read_weights(weights), sources, outputs)


class CaffeNet(nn.Module):
    """Layers as `describe` gives them. Nothing is dropped in phase TRAIN either.

    net = CaffeNet(layers, defaults, weights, ["data"], ["pool5", "prob"])
    pool5, prob = net(clip)
    """

    def __init__(
        self,
        layers: Sequence[Message],
        defaults: dict[str, Message],
        weights: dict[str, Blobs],
        sources: Sequence[str],
        outputs: Sequence[str],
    ) -> None:
        super().__init__()
        self.eval()
        self.sources, self.outputs = tuple(sources), tuple(outputs)
        self.names: list[str] = []
        self.operations = nn.ModuleList()
        self.wiring: list[tuple[list[str], list[str]]] = []
        makers: dict[str, str] = {}
        for layer in layers:
            if layer["type"] == "Input":
                continue
            field, make = _TABLE.get(layer["type"], (None, None))
            if make is None:
                raise NotImplementedError(f"layer type {layer['type']} ({layer['name']})")
            param = layer["fields"].get(field) or defaults.get(field, {})
            module = make(param, weights.get(layer["name"], ()))
            module.train(layer["phase"] == _TRAIN and not _keeps_statistics(param))
            if isinstance(module, nn.ReLU):
                module.inplace = makers.get(layer["bottom"][0]) in _OWN_MEMORY
            makers.update(dict.fromkeys(layer["top"], layer["type"]))
            self.names.append(layer["name"])
            self.operations.append(module)
            self.wiring.append((layer["bottom"], layer["top"]))
        self.dead = _last_readers(self.wiring, self.outputs)

    def forward(self, *inputs: torch.Tensor) -> tuple[torch.Tensor, ...]:
        values = dict(zip(self.sources, inputs, strict=True))
        for operation, (bottoms, tops), dead in zip(
            self.operations, self.wiring, self.dead, strict=True
        ):
            result = operation(*[values[name] for name in bottoms])
            values.update(dict.fromkeys(tops, result))
            for name in dead:
                del values[name]
        return tuple(values[name] for name in self.outputs)

    def blobs(self, layer: str) -> list[nn.Parameter]:
        """What a layer learns, in Caffe's order; none of it requires a gradient yet."""
        return list(self.operations[self.names.index(layer)].parameters())


def _keeps_statistics(param: Message) -> bool:
    """Of a normalization. Where it does not, its running ones move as torch has it, and nothing
    here reads them."""
    return bool(param.get("frozen") or param.get("use_global_stats"))


def _last_readers(wiring: Any, outputs: Sequence[str]) -> list[list[str]]:
    """Per layer, the blobs that nobody reads after it."""
    dead: list[list[str]] = []
    needed = set(outputs)
    for bottoms, tops in reversed(wiring):
        touched = set(bottoms) | set(tops)
        dead.append(sorted(touched - needed))
        needed = (needed - set(tops)) | set(bottoms)
    return dead[::-1]


class Function(nn.Module):
    """A function as a module, with the parameters that it has."""

    def __init__(
        self, function: Callable[..., torch.Tensor], parameters: Sequence[nn.Parameter] = ()
    ) -> None:
        super().__init__()
        self.function, self.factors = function, nn.ParameterList(parameters)

    def forward(self, *bottoms: torch.Tensor) -> torch.Tensor:
        return self.function(*bottoms)


def _parameter(array: np.ndarray, shape: Sequence[int]) -> nn.Parameter:
    return nn.Parameter(torch.from_numpy(array.copy()).reshape(shape), requires_grad=False)


def _convolution(param: Message, blobs: Blobs) -> nn.Module:
    axes = conv_axes(param, blobs[0].ndim - 2)
    if param["pad_mode"] != "ZERO" or param["axis"] != 1:
        raise NotImplementedError("convolution with this padding or axis")
    kind = {1: nn.Conv1d, 2: nn.Conv2d, 3: nn.Conv3d}[len(axes)]
    conv = kind(
        blobs[0].shape[1] * param["group"],
        param["num_output"],
        tuple(axis.kernel for axis in axes),
        stride=tuple(axis.stride for axis in axes),
        padding=tuple(axis.pad for axis in axes),
        dilation=tuple(axis.dilation for axis in axes),
        groups=param["group"],
        bias=param["bias_term"],
        device="meta",
    )
    conv.weight = _parameter(blobs[0], blobs[0].shape)
    if param["bias_term"]:
        conv.bias = _parameter(blobs[1], (-1,))
    return conv


class BatchNorm(nn.BatchNorm3d):
    """For any number of axes."""

    def __init__(self, mean: np.ndarray, variance: np.ndarray, eps: float) -> None:
        super().__init__(mean.size, eps=eps, device="meta")
        self.running_mean = torch.from_numpy(mean.ravel().copy())
        self.running_var = torch.from_numpy(variance.ravel().copy())
        self.num_batches_tracked = torch.tensor(0)
        self.weight = _parameter(np.ones_like(mean), (-1,))
        self.bias = _parameter(np.zeros_like(mean), (-1,))

    def _check_input_dim(self, input: torch.Tensor) -> None:
        pass


def _bn(param: Message, blobs: Blobs) -> nn.Module:
    slope, bias, mean, variance = blobs
    norm = BatchNorm(mean, variance, param["eps"])
    norm.weight, norm.bias = _parameter(slope, (-1,)), _parameter(bias, (-1,))
    return norm


def _batch_norm(param: Message, blobs: Blobs) -> nn.Module:
    mean, variance, count = blobs
    factor = np.float32(1 / count.item() if count.item() else 0)
    return BatchNorm(mean * factor, variance * factor, param["eps"])


def _relu(param: Message, blobs: Blobs) -> nn.Module:
    return nn.LeakyReLU(param["negative_slope"]) if param["negative_slope"] else nn.ReLU()


def _eltwise(param: Message, blobs: Blobs) -> nn.Module:
    def run(*bottoms: torch.Tensor) -> torch.Tensor:
        first, *rest = bottoms
        if param["operation"] == "SUM":
            coefficients = param["coeff"] or [1.0] * len(bottoms)
            result = first if coefficients[0] == 1 else first * coefficients[0]
            for other, coefficient in zip(rest, coefficients[1:], strict=True):
                result = result.add(other, alpha=coefficient)
            return result
        combine = {"PROD": torch.mul, "MAX": torch.maximum}[param["operation"]]
        for other in rest:
            first = combine(first, other)
        return first

    return Function(run)


def _pooling(param: Message, blobs: Blobs) -> nn.Module:
    letters = "lhw" if "kernel_l" in param else "hw"
    dims = tuple(range(-len(letters), 0))
    if param["global_pooling"]:
        if param["pool"] == "MAX":
            return Function(lambda x: x.amax(dims, keepdim=True))
        return Function(lambda x: x.mean(dims, keepdim=True))

    def each(plain: str, short: str) -> tuple[int, ...]:
        own = [f"{short}_{axis}" for axis in letters]
        return tuple(param[n if n in param["has"] or n.endswith("_l") else plain] for n in own)

    kernel, stride = each("kernel_size", "kernel"), each("stride", "stride")
    pad, ceil = each("pad", "pad"), param["round_mode"] == "CEIL"
    names = {"MAX": "max_pool", "AVE": "avg_pool"}
    pool = getattr(functional, f"{names[param['pool']]}{len(letters)}d")

    def run(x: torch.Tensor) -> torch.Tensor:
        result: torch.Tensor = pool(x, kernel, stride, pad, ceil_mode=ceil)
        if not torch.jit.is_tracing():
            expected = pool_windows(x.shape[2:], kernel, stride, pad, ceil)
            if list(result.shape[2:]) != expected:
                raise NotImplementedError(f"pooling {tuple(x.shape)} to {expected} as Caffe does")
        return result

    return Function(run)


def _reshape(param: Message, blobs: Blobs) -> nn.Module:
    def run(x: torch.Tensor) -> torch.Tensor:
        shape = list(x.shape)
        start = param["axis"] + (len(shape) + 1 if param["axis"] < 0 else 0)
        end = len(shape) if param["num_axes"] == -1 else start + param["num_axes"]
        middle = [shape[start + i] if d == 0 else d for i, d in enumerate(param["shape"]["dim"])]
        return x.reshape([*shape[:start], *middle, *shape[end:]])

    return Function(run)


def _inner_product(param: Message, blobs: Blobs) -> nn.Module:
    if param["transpose"]:
        raise NotImplementedError("transposed inner product")
    weight = _parameter(blobs[0], (param["num_output"], -1))
    linear = nn.Linear(weight.shape[1], weight.shape[0], bias=param["bias_term"], device="meta")
    linear.weight = weight
    if param["bias_term"]:
        linear.bias = _parameter(blobs[1], (-1,))
    return nn.Sequential(nn.Flatten(param["axis"]), linear)


def _scale(param: Message, blobs: Blobs) -> nn.Module:
    if param["axis"] != 1 or not blobs or blobs[0].ndim != 1:
        raise NotImplementedError("Scale of anything but channels")
    factors = [_parameter(blob, (-1, 1)) for blob in blobs]

    def run(x: torch.Tensor) -> torch.Tensor:
        flat = x.flatten(2) if x.dim() > 1 else x
        flat = flat * factors[0]
        return (flat + factors[1] if len(factors) > 1 else flat).reshape(x.shape)

    return Function(run, factors)


def _softmax_loss(param: Message, blobs: Blobs) -> nn.Module:
    return Function(lambda scores, labels: functional.cross_entropy(scores, labels.long()))


_TABLE: dict[str, tuple[str | None, Callable[[Message, Blobs], nn.Module]]] = {
    "Convolution": ("convolution_param", _convolution),
    "BN": ("bn_param", _bn),
    "BatchNorm": ("batch_norm_param", _batch_norm),
    "Scale": ("scale_param", _scale),
    "ReLU": ("relu_param", _relu),
    "Eltwise": ("eltwise_param", _eltwise),
    "Pooling3D": ("pooling3d_param", _pooling),
    "Pooling": ("pooling_param", _pooling),
    "Reshape": ("reshape_param", _reshape),
    "InnerProduct": ("inner_product_param", _inner_product),
    "Softmax": ("softmax_param", lambda param, blobs: nn.Softmax(param["axis"])),
    "SoftmaxWithLoss": (None, _softmax_loss),
    "Split": (None, lambda param, blobs: nn.Identity()),
    "Dropout": (None, lambda param, blobs: nn.Identity()),
}
