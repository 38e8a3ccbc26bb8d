"""One net with one set of weights, written so that every system can read it."""

from __future__ import annotations

import os
from typing import Any, NamedTuple

import numpy as np

from .geometry import conv_products


class Job(NamedTuple):
    """What a system gets. All of it is data: it travels to another process."""

    prototxt: str
    weights: str  # .caffemodel
    onnx: str
    clip: str  # .npy, the input
    input: str  # the input's name
    blobs: tuple[str, ...]  # the results
    threads: int


class Work(NamedTuple):
    """Products of one clip."""

    macs: int
    macs_without_padding: int


def prepare(
    net: str, weights: str | None, *, batch: int, threads: int, folder: str, onnx: bool = True
) -> tuple[Job, Work]:
    """Writes the files to `folder`. Without weights they are random ones.

    net   a prototxt file or a name of `p3d models`
    onnx  whether a system reads that file, for which the package onnx has to be there
    """
    param = read_net(net, weights, batch)
    engine, weights = make_net(param, weights, folder)
    path = write_text(str(param), folder, "net.prototxt")
    name = engine.inputs[0]
    job = Job(
        prototxt=path,
        weights=weights,
        onnx=os.path.join(folder, "net.onnx"),
        clip=os.path.join(folder, "clip.npy"),
        input=name,
        blobs=tuple(dict.fromkeys(["pool5"] * ("pool5" in engine.blobs) + engine.outputs)),
        threads=threads,
    )
    if onnx:
        _export(param, job)
    np.save(job.clip, clips(tuple(engine.blobs[name].shape)))
    return job, work_of(engine, batch)


def _export(param: Any, job: Job) -> None:
    from p3d.export.onnx import export
    from p3d.export.sources import read_weights

    export(param, read_weights(job.weights), job.onnx, blobs=job.blobs, dynamic=False)


def read_net(net: str, weights: str | None, batch: int) -> Any:
    """The deploy net, as a message, for so many clips."""
    from p3d.caffe import prototxt
    from p3d.export.sources import net_text

    param = prototxt.parse_net(net_text(weights, net)[1])
    for layer in param.layer:
        for shape in layer.input_param.shape:
            shape.dim[0] = batch
    return param


def make_net(param: Any, weights: str | None, folder: str) -> tuple[Any, str]:
    """The net of this engine, and the file of its weights: the given one, or random ones."""
    from p3d import caffe
    from p3d.random_weights import write

    engine = caffe.Net(str(param), caffe.TEST)
    if len(engine.inputs) != 1:
        raise RuntimeError(
            f"{param.name or 'the net'} has {len(engine.inputs)} inputs; one is all this tool can "
            "feed"
        )
    if weights is None:
        weights = os.path.join(folder, "net.caffemodel")
        write(engine, weights)
    return engine, weights


def write_text(text: str, folder: str, name: str) -> str:
    """The path of the file that now holds the text."""
    path = os.path.join(folder, name)
    with open(path, "w") as file:
        file.write(text)
    return path


def clips(shape: tuple[int, ...]) -> np.ndarray:
    """Smooth moving pictures, each other than the last, and some noise: about -128..128."""
    rng = np.random.default_rng(1701)
    phase = rng.uniform(0, 6.28, (*shape[:2], *[1] * (len(shape) - 2)))
    for axis, size in enumerate(shape[2:], start=2):
        speed = rng.uniform(0.5, 6, phase.shape[:2] + (1,) * (len(shape) - 2))
        steps = np.arange(size).reshape(-1, *[1] * (len(shape) - 1 - axis))
        phase = phase + speed * steps * (6.28 / size)
    return (90 * np.sin(phase) + rng.normal(0, 10, shape)).astype(np.float32)


def work_of(net: Any, batch: int) -> Work:
    """The products of a net that takes so many clips at once."""
    from p3d.caffe.prototxt import describe

    macs = sum(layer.macs for layer in net.layers)
    padding = 0
    layers, defaults = describe(net.param)
    for layer in layers:
        if layer["type"] == "Convolution":
            param = layer["fields"].get("convolution_param", defaults["convolution_param"])
            every, real = conv_products(param, net.blobs[layer["bottom"][0]].shape)
            padding += every - real
    return Work(macs // batch, (macs - padding) // batch)
