"""One net to train, with one set of weights, clips and labels, written so that every system can
read it."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from .files import Work, clips, make_net, read_net, work_of, write_text

#: Of SGD, for all systems. The rate is small, for tens of steps on the same clips should not end
#: in a loss of 0; yet P3D's loss falls by a hundredth in a step, which the comparison sees.
RATE, MOMENTUM, WEIGHT_DECAY = 2e-6, 0.9, 5e-4

LABEL, LOSS = "label", "loss"

#: Layers with weights that a solver changes, and how many of their blobs are such.
_LEARNING = {"Convolution": 2, "InnerProduct": 2, "Scale": 2, "BN": 2}


class Learned(NamedTuple):
    """A blob that the solver changes."""

    layer: str
    index: int
    shape: tuple[int, ...]
    lr_mult: float
    decay_mult: float

    @property
    def name(self) -> str:
        return f"{self.layer}/{self.index}"


class Training(NamedTuple):
    """What a system gets to train a net. All of it is data: it travels to another process."""

    prototxt: str  # the train net, with Input layers `input` and LABEL, and a blob LOSS
    solver: str  # its solver.prototxt
    weights: str  # .caffemodel, where training starts
    clip: str  # .npy, the input
    labels: str  # .npy, float32 as Caffe has them
    input: str  # the input's name
    learned: tuple[Learned, ...]
    threads: int

    @property
    def blobs(self) -> tuple[str, ...]:
        """The results: the loss before an update, and what the update takes from each blob."""
        return (LOSS, *(blob.name for blob in self.learned))


def torch_groups(learned: Sequence[Learned], parameters: Sequence[Any]) -> list[dict[str, Any]]:
    """What SGD of torch takes: one group for all of the same multipliers, for each is launches."""
    groups: dict[tuple[float, float], list[Any]] = {}
    for blob, parameter in zip(learned, parameters, strict=True):
        groups.setdefault((blob.lr_mult, blob.decay_mult), []).append(parameter)
    return [
        {"params": members, "lr": RATE * lr_mult, "weight_decay": WEIGHT_DECAY * decay_mult}
        for (lr_mult, decay_mult), members in groups.items()
    ]


def prepare(
    net: str, weights: str | None, *, batch: int, threads: int, folder: str, frozen: bool
) -> tuple[Training, Work]:
    """Writes the files to `folder`. Without weights they are random ones.

    net     a prototxt file or a name of `p3d models`: a deploy net that ends in a Softmax. It is
            trained with the SoftmaxWithLoss of its scores, with nothing dropped
    frozen  of all BN layers; else all of them train
    """
    param = read_net(net, weights, batch)
    engine, weights = make_net(param, weights, folder)
    name = engine.inputs[0]
    train = _train_net(param, batch, frozen)
    path = write_text(str(train), folder, "train.prototxt")
    solver = (
        f'net: "{path}" type: "SGD" base_lr: {RATE} lr_policy: "fixed" momentum: {MOMENTUM} '
        f"weight_decay: {WEIGHT_DECAY} max_iter: 1000000\n"
    )
    job = Training(
        prototxt=path,
        solver=write_text(solver, folder, "solver.prototxt"),
        weights=weights,
        clip=os.path.join(folder, "clip.npy"),
        labels=os.path.join(folder, "labels.npy"),
        input=name,
        learned=tuple(_learned(train, engine)),
        threads=threads,
    )
    np.save(job.clip, clips(tuple(engine.blobs[name].shape)))
    classes = engine.blobs[engine.outputs[0]].shape[1]
    labels = np.random.default_rng(1702).integers(0, classes, batch)
    np.save(job.labels, labels.astype(np.float32))
    return job, work_of(engine, batch)


def _train_net(deploy: Any, batch: int, frozen: bool) -> Any:
    from p3d.caffe.proto import caffe_pb2

    net = caffe_pb2.NetParameter(name=deploy.name)
    label = net.layer.add(name=LABEL, type="Input", top=[LABEL])
    label.input_param.shape.add(dim=[batch])
    net.layer.extend(deploy.layer)
    last = net.layer[-1]
    if last.type != "Softmax":
        raise RuntimeError(
            f"{deploy.name or 'the net'} ends in layer '{last.name}' of type {last.type}; to be "
            "trained here it has to end in a Softmax"
        )
    scores = last.bottom[0]
    last.Clear()
    last.MergeFrom(
        caffe_pb2.LayerParameter(
            name=LOSS, type="SoftmaxWithLoss", bottom=[scores, LABEL], top=[LOSS]
        )
    )
    for layer in net.layer:
        if layer.type == "BN":
            layer.bn_param.frozen = frozen
        elif layer.type == "Dropout":
            layer.dropout_param.dropout_ratio = 0
    return net


def _learned(train: Any, engine: Any) -> list[Learned]:
    """The blobs that the solver changes; `engine` is a net with blobs of the same shapes."""
    from p3d.caffe.proto import caffe_pb2

    found = []
    for layer in train.layer:
        if layer.type not in _LEARNING or (layer.type == "BN" and layer.bn_param.frozen):
            continue
        for index, blob in enumerate(engine.params[layer.name][: _LEARNING[layer.type]]):
            spec = layer.param[index] if index < len(layer.param) else caffe_pb2.ParamSpec()
            if spec.lr_mult:
                shape = tuple(blob.shape)
                found.append(Learned(layer.name, index, shape, spec.lr_mult, spec.decay_mult))
    return found
