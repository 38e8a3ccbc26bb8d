"""The vocabulary of the generators: a net that is written layer by layer.

Every verb appends one layer, named as asked, whose top has the layer's own name unless the layer
works in place, and returns the name of its top. Along the way the net keeps count of channels, so
it knows the shape of every weight without an engine: `blobs`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from p3d.error import Error
from p3d.models.text import Message, Word, text

Shape = tuple[int, ...]

#: Caffe chooses cuDNN by itself where it can, and cuDNN's layers refuse blobs with five axes.
CAFFE = Word("CAFFE")

_BN_PARAM_COUNT = 4


class Net:
    """A net under construction.

    `filler` fills convolution weights; `frozen` is what BN are where nothing else is said. `blobs`
    maps each layer with parameters to their shapes in Caffe's order: convolution (O, I, kernel...),
    BN four times (1, C), inner product (O, I), (O,).
    """

    def __init__(self, name: str, filler: Message, frozen: bool = True) -> None:
        self.name = name
        self.filler = filler
        self.frozen = frozen
        self.blobs: dict[str, list[Shape]] = {}
        self._channels: dict[str, int] = {}
        self._names: set[str] = set()  # of layers and their tops
        self._parts: list[Message | str] = []

    def text(self) -> str:
        """The prototxt."""
        lines = [f'name: "{self.name}"']
        lines += [p if isinstance(p, str) else text("layer", p) for p in self._parts]
        return "\n".join(lines) + "\n"

    def comment(self, line: str) -> None:
        self._parts.append(f"# {line}")

    def input(self, name: str, shape: Shape) -> str:
        self._channels[name] = shape[1]
        return self._layer(name, "Input", (), input_param={"shape": {"dim": list(shape)}})

    def video_data(self, phase: str, channels: int, **fields: Any) -> None:
        """The tops "data" and "label" of one phase, TRAIN or TEST, from a list of videos."""
        self._channels["data"] = channels
        self._names.update(("data", "label"))
        head = {"name": "data", "type": "VideoData", "top": ["data", "label"]}
        self._parts.append({**head, "include": _only(phase), "video_data_param": fields})

    def conv(
        self,
        name: str,
        bottom: str,
        outputs: int,
        kernel: int | Shape,
        stride: int | Shape,
        pad: int | Shape,
        lr: int = 1,
        bias: bool = False,
    ) -> str:
        """A single number stands for both axes of a 4-D blob."""
        axes = (kernel, kernel) if isinstance(kernel, int) else kernel
        self.blobs[name] = [(outputs, self._channels[bottom], *axes), *[(outputs,)] * bias]
        self._channels[name] = outputs
        return self._layer(
            name,
            "Convolution",
            (bottom,),
            param={"lr_mult": lr, "decay_mult": 1},
            convolution_param={
                "engine": CAFFE,
                "num_output": outputs,
                "bias_term": bias,
                "kernel_size": kernel,
                "stride": stride,
                "pad": pad,
                "weight_filler": self.filler,
            },
        )

    def bn(self, name: str, bottom: str, frozen: bool | None = None, lr: int = 1) -> str:
        """Batch normalisation with blobs slope, bias, running mean, running variance."""
        self._channels[name] = self._channels[bottom]
        self.blobs[name] = [(1, self._channels[bottom])] * _BN_PARAM_COUNT
        frozen = self.frozen if frozen is None else frozen
        learned, counted = {"lr_mult": lr, "decay_mult": 0}, {"lr_mult": 0}
        return self._layer(
            name,
            "BN",
            (bottom,),
            param=[learned, learned, counted, counted],
            bn_param={"slope_filler": _constant(1), "bias_filler": _constant(0), "frozen": frozen},
        )

    def batch_norm_scale(self, tag: str, blob: str) -> str:
        """In place: BatchNorm "bn" + tag (mean, variance, their weight), Scale "scale" + tag."""
        channels = (self._channels[blob],)
        self.blobs[f"bn{tag}"] = [channels, channels, (1,)]
        self.blobs[f"scale{tag}"] = [channels, channels]
        self._layer(f"bn{tag}", "BatchNorm", (blob,), blob)
        return self._layer(f"scale{tag}", "Scale", (blob,), blob, scale_param={"bias_term": True})

    def relu(self, name: str, blob: str) -> str:
        """In place."""
        return self._layer(name, "ReLU", (blob,), blob, relu_param={"engine": CAFFE})

    def add(self, name: str, bottoms: tuple[str, str], coeff: float | None = None) -> str:
        """The sum of two blobs; `coeff` weighs both, None writes no weights at all."""
        self._channels[name] = self._channels[bottoms[0]]
        weights = {} if coeff is None else {"coeff": [coeff, coeff]}
        return self._layer(
            name, "Eltwise", bottoms, eltwise_param={"operation": Word("SUM"), **weights}
        )

    def max_pool3d(self, name: str, bottom: str, length: int, size: int) -> str:
        """Windows of `length` x `size` x `size`, stride 2 along each axis longer than 1."""
        return self._same_channels(
            name,
            "Pooling3D",
            bottom,
            pooling3d_param={
                "pool": Word("MAX"),
                "pad": 0,
                "kernel_size": size,
                "stride": min(size, 2),
                "pad_l": 0,
                "kernel_l": length,
                "stride_l": min(length, 2),
            },
        )

    def max_pool(self, name: str, bottom: str, size: int) -> str:
        """Windows of `size` x `size`, stride 2, of a 4-D blob."""
        window = {"pool": Word("MAX"), "kernel_size": size, "stride": 2}
        return self._same_channels(name, "Pooling", bottom, pooling_param=window)

    def global_average(self, name: str, bottom: str, axes: int) -> str:
        """The mean over h, w (`axes` 4) or l, h, w (`axes` 5); the axes stay, with extent 1."""
        kind, field = {4: ("Pooling", "pooling_param"), 5: ("Pooling3D", "pooling3d_param")}[axes]
        average = {"pool": Word("AVE"), "global_pooling": True}
        return self._same_channels(name, kind, bottom, **{field: average})

    def fold_length(self, name: str, bottom: str) -> str:
        """(N, C, 1, H, W) -> (N, C, H, W), whatever H and W are."""
        shape = {"shape": {"dim": -1}, "axis": 1, "num_axes": 2}
        return self._same_channels(name, "Reshape", bottom, reshape_param=shape)

    def dropout(self, name: str, blob: str, ratio: float) -> str:
        """In place."""
        return self._layer(name, "Dropout", (blob,), blob, dropout_param={"dropout_ratio": ratio})

    def classifier(self, name: str, bottom: str, classes: int, lr: int) -> str:
        """Inner product whose biases learn twice as fast as its weights."""
        self.blobs[name] = [(classes, self._channels[bottom]), (classes,)]
        self._channels[name] = classes
        return self._layer(
            name,
            "InnerProduct",
            (bottom,),
            param=[{"lr_mult": lr, "decay_mult": 1}, {"lr_mult": 2 * lr, "decay_mult": 0}],
            inner_product_param={
                "num_output": classes,
                "weight_filler": gaussian(0.001),
                "bias_filler": _constant(0),
            },
        )

    def softmax(self, name: str, bottom: str) -> str:
        return self._same_channels(name, "Softmax", bottom)

    def softmax_loss(self, name: str, scores: str, labels: str) -> str:
        return self._layer(name, "SoftmaxWithLoss", (scores, labels))

    def accuracy(self, name: str, scores: str, labels: str, best: int) -> str:
        """In tests only: how often the label is among the `best` highest scores."""
        return self._layer(
            name,
            "Accuracy",
            (scores, labels),
            include=_only("TEST"),
            accuracy_param={"top_k": best},
        )

    def _same_channels(self, name: str, kind: str, bottom: str, **specific: Any) -> str:
        self._channels[name] = self._channels[bottom]
        return self._layer(name, kind, (bottom,), **specific)

    def _layer(
        self, name: str, kind: str, bottoms: Sequence[str], top: str | None = None, **fields: Any
    ) -> str:
        top = name if top is None else top
        if name in self._names or not name:
            raise Error(f"head is '{name}', which is no name, or another layer's: take a new one")
        self._names.add(name)
        head = {"name": name, "type": kind, "bottom": list(bottoms), "top": top}
        self._parts.append({k: v for k, v in (head | fields).items() if v != []})
        return top


def gaussian(std: float) -> Message:
    return {"type": "gaussian", "std": std}


def xavier() -> Message:
    return {"type": "xavier"}


def msra() -> Message:
    return {"type": "msra"}


def _only(phase: str) -> Message:
    return {"phase": Word(phase)}


def _constant(value: int) -> Message:
    return {"type": "constant", "value": value}
