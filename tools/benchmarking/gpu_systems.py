"""How the engine and torch run and train a net on a GPU, for benchmark.py --device.

What is timed is the net alone: clips are brought to the GPU when they are others than last time,
results are copied back. Each system's function says in `gpu_mib()` what it took of the GPU.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from functools import partial
from itertools import chain
from typing import Any

import numpy as np

from .files import Job
from .systems import OURS, System, channels_last, channels_last_weights
from .training_files import LABEL, LOSS, MOMENTUM, RATE, Training, torch_groups

#: What results may be off by, of the largest, where the engine is the measure.
TOLERANCES = {"float32": 1e-4, "tf32": 2e-2, "bf16": 0.15, "fp16": 3e-2}
PRECISIONS = tuple(TOLERANCES)

#: Dense TFLOP/s and GB/s that the makers state; (float32, tf32, 16 bits, memory).
PEAKS = {
    "A100": (19.5, 156, 312, 2039),
    "H100": (67, 494, 989, 3350),
    "H200": (67, 494, 989, 4800),
    "L4": (30.3, 60, 121, 300),
    "RTX 4090": (82.6, 82.6, 165, 1008),
    "RTX 5090": (104.8, 104.8, 209.5, 1792),
}


def peaks(name: str, precision: str) -> tuple[float, float] | None:
    """FLOP/s and bytes/s of the GPU of this name; None where nobody wrote them down."""
    found = [key for key in PEAKS if re.search(rf"\b{key}\b", name)]
    if not found or re.search(r"\b(PCIe|NVL|Laptop|D)\b", name):  # others of the same name
        return None
    f32, tf32, narrow, memory = PEAKS[found[0]]
    tera = {"float32": f32, "tf32": tf32}.get(precision, narrow)
    return tera * 1e12, memory * 1e9


class OnGpu:
    """A system's function, and what it takes of the GPU's memory."""

    def __init__(
        self, run: Callable[[np.ndarray, bool], Iterable[np.ndarray]], mib: Callable[[], float]
    ) -> None:
        self._run, self.gpu_mib = run, mib
        self._last: np.ndarray | None = None

    def __call__(self, clip: np.ndarray) -> Iterable[np.ndarray]:
        other = clip is not self._last
        self._last = clip
        return self._run(clip, other)


def _use(device: str, precision: str) -> tuple[Any, Callable[[], float]]:
    """p3d.caffe, set to compute there in that precision, and the memory that it reserved at most:
    what torch says of itself. What is free on the GPU would count the others' memory, too."""
    from p3d import _core, caffe, gpu

    gpu.use(gpu.parse(device) or 0)
    gpu.run(True)
    if hasattr(caffe, "set_precision"):
        caffe.set_precision(precision)
    elif precision != "float32":
        raise RuntimeError(f"this version of caffe-p3d has no precision {precision}")
    return caffe, lambda: _core.gpu_bytes_reserved() / (1 << 20)


def load_p3d(job: Job, device: str, precision: str) -> OnGpu:
    caffe, mib = _use(device, precision)
    net = caffe.Net(job.prototxt, job.weights, caffe.TEST)

    def run(clip: np.ndarray, other: bool) -> list[np.ndarray]:
        if other:
            net.blobs[job.input].data[...] = clip
        results = net.forward(blobs=job.blobs)
        return [results[name].copy() for name in job.blobs]

    return OnGpu(run, mib)


def train_p3d(job: Training, device: str, precision: str) -> OnGpu:
    caffe, mib = _use(device, precision)
    solver = caffe.get_solver(job.solver)
    solver.net.copy_from(job.weights)
    net = solver.net
    labels = np.load(job.labels)

    def run(clip: np.ndarray, other: bool) -> Iterable[np.ndarray]:
        if other:
            net.blobs[job.input].data[...] = clip
            net.blobs[LABEL].data[...] = labels
        solver.step(1)
        updates = (net.params[blob.layer][blob.index].diff for blob in job.learned)
        return chain([net.blobs[LOSS].data.copy()], updates)

    return OnGpu(run, mib)


def _torch(precision: str, device: str) -> tuple[Any, Any, Callable[[], float]]:
    """torch, how to compute in that precision, and the memory that it took at most."""
    import torch

    tf32 = precision == "tf32"
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = tf32
    torch.backends.cudnn.benchmark = True
    narrow = {"bf16": torch.bfloat16, "fp16": torch.float16}.get(precision)
    where = torch.device(device)
    cast = torch.autocast(where.type, dtype=narrow, enabled=narrow is not None)

    def mib() -> float:
        if where.type != "cuda":
            return 0.0
        return float(torch.cuda.max_memory_reserved(where)) / (1 << 20)

    return torch, cast, mib


def load_torch(job: Job, device: str, precision: str, compiled: bool) -> OnGpu:
    from .torch_net import read

    torch, _, mib = _torch(precision, device)
    kind = {"bf16": torch.bfloat16, "fp16": torch.float16}.get(precision, torch.float32)
    module = read(job.prototxt, job.weights, [job.input], job.blobs).to(device, kind)
    channels_last_weights(module)
    run_net = torch.compile(module, mode="max-autotune") if compiled else module
    clips: dict[str, Any] = {}

    def run(clip: np.ndarray, other: bool) -> list[np.ndarray]:
        if other:
            clips["now"] = channels_last(torch.from_numpy(clip).to(device, kind))
        with torch.no_grad():
            return [result.float().cpu().numpy() for result in run_net(clips["now"])]

    return OnGpu(run, mib)


def train_torch(job: Training, device: str, precision: str, compiled: bool) -> OnGpu:
    from .torch_net import read

    torch, cast, mib = _torch(precision, device)
    module = read(job.prototxt, job.weights, [job.input, LABEL], [LOSS], train=True).to(device)
    channels_last_weights(module)
    parameters = [module.blobs(blob.layer)[blob.index].requires_grad_() for blob in job.learned]
    groups = torch_groups(job.learned, parameters)
    optimizer = torch.optim.SGD(groups, momentum=MOMENTUM, fused=True)
    labels = torch.from_numpy(np.load(job.labels)).to(device)
    run_net = torch.compile(module, mode="max-autotune") if compiled else module
    clips: dict[str, Any] = {}

    def run(clip: np.ndarray, other: bool) -> Iterable[np.ndarray]:
        if other:
            clips["now"] = channels_last(torch.from_numpy(clip).to(device))
        optimizer.zero_grad()
        with cast:
            (loss,) = run_net(clips["now"], labels)
        loss.backward()
        optimizer.step()
        updates = (
            (optimizer.state[p]["momentum_buffer"] * (RATE * b.lr_mult))
            .cpu()
            .numpy()
            .reshape(b.shape)
            for b, p in zip(job.learned, parameters, strict=True)
        )
        return chain([loss.detach().float().cpu().numpy()], updates)

    return OnGpu(run, mib)


def systems(device: str, precision: str, training: bool) -> dict[str, System]:
    """The engine first; torch without and with its compiler, CUDA graphs and channels last."""
    tolerance = TOLERANCES[precision] * (10 if training else 1)

    def system(name: str, package: str, imports: str, load: Callable[..., OnGpu]) -> System:
        bound = partial(load, device=device, precision=precision)
        return System(name, package, bound, precision, imports=imports, tolerance=tolerance)

    torch: Callable[..., OnGpu] = train_torch if training else load_torch
    found = [
        system(OURS.name, OURS.package, OURS.imports, train_p3d if training else load_p3d),
        system("torch-last", "torch", "", partial(torch, compiled=False)),
        system("torch-compile-last", "torch", "", partial(torch, compiled=True)),
    ]
    return {system.name: system for system in found}
