"""How each system trains a net, one step at a time.

A system is an entry of TRAINING. Its `load(job)` gets a Training and returns a function that takes
clips, goes forward and backward, updates the weights, and returns the results in the order of
job.blobs; those of the weights are made when somebody reads them.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterable
from functools import partial
from itertools import chain
from typing import Any

import numpy as np

from .systems import BF16, F32, OURS, Forward, System, channels_last, channels_last_weights
from .training_files import LABEL, LOSS, MOMENTUM, RATE, Learned, Training, torch_groups

#: Of a blob's largest update, where rounding does not matter more (see NUDGED).
TOLERANCE = 3e-3
#: The same where what convolutions multiply is bfloat16, in a net of fifty units.
TOLERANCE_BF16 = 0.5


def load_caffe(job: Training, module: str, nudge: float = 0, precision: str = F32) -> Forward:
    """`module`: the one with pycaffe's interface. Threads are set by the process's environment.

    A solver's step leaves the update in the weights' diff. `nudge`: weights are off by about so
    much of themselves.
    """
    caffe = importlib.import_module(module)
    if precision != F32:
        caffe.set_precision("bf16")
    solver = caffe.get_solver(job.solver)
    solver.net.copy_from(job.weights)
    net = solver.net
    random = np.random.default_rng(1703)
    for blob in job.learned if nudge else ():
        values = net.params[blob.layer][blob.index].data
        values *= 1 + nudge * random.standard_normal(values.shape, np.float32)
    labels = np.load(job.labels)

    def step(clip: np.ndarray) -> Iterable[np.ndarray]:
        net.blobs[job.input].data[...] = clip
        net.blobs[LABEL].data[...] = labels
        solver.step(1)
        updates = (net.params[blob.layer][blob.index].diff for blob in job.learned)
        return chain([net.blobs[LOSS].data.copy()], updates)

    return step


def load_torch(job: Training, last: bool, compiled: bool, precision: str = F32) -> Forward:
    """`last`: the channels, in memory. The update is torch's fastest one, fused; bfloat16 is its
    autocast."""
    import torch

    from .torch_net import read

    torch.set_num_threads(job.threads)
    module = read(job.prototxt, job.weights, [job.input, LABEL], [LOSS], train=True)
    if last:
        channels_last_weights(module)
    parameters = [module.blobs(blob.layer)[blob.index].requires_grad_() for blob in job.learned]
    groups = torch_groups(job.learned, parameters)
    optimizer = torch.optim.SGD(groups, momentum=MOMENTUM, fused=True)
    labels = torch.from_numpy(np.load(job.labels))
    run: Any = torch.compile(module) if compiled else module
    cast = torch.autocast("cpu", dtype=torch.bfloat16, enabled=precision == BF16)

    def step(clip: np.ndarray) -> Iterable[np.ndarray]:
        optimizer.zero_grad()
        clips = torch.from_numpy(clip)
        with cast:
            (loss,) = run(channels_last(clips) if last else clips, labels)
        loss.backward()
        optimizer.step()
        return chain([loss.detach().float().numpy()], map(update, job.learned, parameters))

    def update(blob: Learned, parameter: Any) -> np.ndarray:
        momentum = optimizer.state[parameter]["momentum_buffer"]
        return (momentum * (RATE * blob.lr_mult)).numpy().reshape(blob.shape)

    return step


def upstream(python: str) -> System:
    """The `import caffe` of another Python."""
    return System(
        "upstream Caffe",
        "caffe",
        partial(load_caffe, module="caffe"),
        python=python,
        tolerance=TOLERANCE,
    )


def _torch(name: str, last: bool, compiled: bool, usual: bool = True) -> System:
    load = partial(load_torch, last=last, compiled=compiled)
    return System(name, "torch", load, usual=usual, tolerance=TOLERANCE)


def _bf16(system: System, name: str) -> System:
    """The same with products of bfloat16."""
    load = partial(system.load, precision=BF16)
    return system._replace(name=name, load=load, precision=BF16, tolerance=TOLERANCE_BF16)


#: The engine with weights that are off by a rounding error. What that changes, other orders of sums
#: may change as well: an activation beside 0 comes out on the other side of a ReLU, and BN layers
#: that train hand it on to all values.
NUDGED = OURS._replace(
    name="rounding errors", load=partial(load_caffe, module=OURS.module, nudge=6e-8)
)

_OURS = OURS._replace(load=partial(load_caffe, module=OURS.module), tolerance=TOLERANCE)

TRAINING = {
    system.name: system
    for system in [
        _OURS,
        _bf16(_OURS, "caffe-p3d-bf16"),
        _torch("torch", last=False, compiled=False),
        _torch("torch-last", last=True, compiled=False),
        _torch("torch-compile", last=False, compiled=True, usual=False),
        _torch("torch-compile-last", last=True, compiled=True, usual=False),
        _bf16(_torch("torch-last", last=True, compiled=False), "torch-bf16"),
    ]
}
