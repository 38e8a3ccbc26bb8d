"""How each system loads a net and runs it.

A system is an entry of SYSTEMS. Its `load(job)` returns a function that takes a clip, as a person
has it (a float32 array in Caffe's order), and returns copies of the results, in the order of
job.blobs. To add one, write such a function and an entry.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from .files import Job

Forward = Callable[[np.ndarray], Iterable[np.ndarray]]

F32 = "float32"
BF16 = "bfloat16"


class System(NamedTuple):
    """`clips` batches run at once; results may be off by `tolerance` of the largest value."""

    name: str
    package: str  # that has to be installed
    load: Callable[[Any], Forward]  # gets a Job, or a Training
    precision: str = F32
    clips: int = 1
    usual: bool = True  # part of a run where no systems are named
    imports: str = ""  # where the module is not called like the package
    python: str = ""  # the interpreter, if it is not this one
    tolerance: float = 1e-4

    @property
    def module(self) -> str:
        return self.imports or self.package


def load_p3d(job: Job, precision: str = F32) -> Forward:
    from p3d import _core, caffe

    _core.set_num_threads(job.threads)
    caffe.set_precision({F32: "float32", BF16: "bf16"}[precision])
    net = caffe.Net(job.prototxt, job.weights, caffe.TEST)

    def forward(clip: np.ndarray) -> list[np.ndarray]:
        net.blobs[job.input].data[...] = clip
        results = net.forward(blobs=job.blobs)
        return [results[name].copy() for name in job.blobs]

    return forward


def load_openvino(job: Job, precision: str, streams: int) -> Forward:
    import openvino

    wanted = {F32: "f32", BF16: "bf16"}[precision]
    compiled = openvino.Core().compile_model(
        job.onnx,
        "CPU",
        {
            "INFERENCE_PRECISION_HINT": wanted,
            "INFERENCE_NUM_THREADS": job.threads,
            "NUM_STREAMS": streams,
        },
    )
    effective = compiled.get_property("INFERENCE_PRECISION_HINT").get_type_name()
    if effective != wanted:
        raise RuntimeError(f"this processor runs it in {effective}")
    requests = [compiled.create_infer_request() for _ in range(streams)]

    def forward(clip: np.ndarray) -> list[np.ndarray]:
        for request in requests:
            request.start_async({0: clip}, share_inputs=True)
        for request in requests:
            request.wait()
        return [requests[-1].get_tensor(name).data.copy() for name in job.blobs]

    return forward


def load_onnxruntime(job: Job) -> Forward:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = job.threads
    session = onnxruntime.InferenceSession(job.onnx, options, providers=["CPUExecutionProvider"])
    return lambda clip: session.run(list(job.blobs), {job.input: clip})


def load_torch(job: Job, last: bool, optimise: str, precision: str = F32) -> Forward:
    """`last`: the channels, in memory.
    `optimise`: "" runs eagerly, "jit" traces and freezes, "compile" is torch.compile."""
    import torch

    from .torch_net import read

    torch.set_num_threads(job.threads)
    kind = {F32: torch.float32, BF16: torch.bfloat16}[precision]
    module = read(job.prototxt, job.weights, [job.input], job.blobs).to(kind)
    if last:
        channels_last_weights(module)

    def tensor(array: np.ndarray) -> Any:
        clip = torch.from_numpy(array).to(kind)
        return channels_last(clip) if last else clip

    clip = tensor(np.load(job.clip))
    run: Any = module
    with torch.inference_mode(optimise == ""), torch.no_grad():
        if optimise == "jit":
            run = torch.jit.trace(module, clip, check_trace=False)
            run = torch.jit.optimize_for_inference(run)
        elif optimise == "compile":
            torch._inductor.config.freezing = True
            run = torch.compile(module)

    def forward(array: np.ndarray) -> list[np.ndarray]:
        with torch.inference_mode(optimise == ""), torch.no_grad():
            return [result.float().numpy().copy() for result in run(tensor(array))]

    return forward


def channels_last_weights(module: Any) -> None:
    """Of a torch module, in place."""
    for parameter in module.parameters():
        if parameter.dim() > 3:
            parameter.data = channels_last(parameter.data)


def channels_last(tensor: Any) -> Any:
    import torch

    order = torch.channels_last_3d if tensor.dim() == 5 else torch.channels_last
    return tensor.contiguous(memory_format=order)


OURS = System("caffe-p3d", "caffe-p3d", load_p3d, imports="p3d.caffe")

SYSTEMS = {
    system.name: system
    for system in [
        OURS,
        System(
            "caffe-p3d-bf16",
            "caffe-p3d",
            partial(load_p3d, precision=BF16),
            BF16,
            imports="p3d.caffe",
            tolerance=0.1,
        ),
        System("openvino", "openvino", partial(load_openvino, precision=F32, streams=1)),
        System(
            "openvino-2streams",
            "openvino",
            partial(load_openvino, precision=F32, streams=2),
            clips=2,
        ),
        System(
            "openvino-bf16",
            "openvino",
            partial(load_openvino, precision=BF16, streams=1),
            BF16,
            tolerance=0.1,
        ),
        System("onnxruntime", "onnxruntime", load_onnxruntime),
        System("torch", "torch", partial(load_torch, last=False, optimise="")),
        System(
            "torch-last",
            "torch",
            partial(load_torch, last=True, optimise=""),
            usual=False,
        ),
        System(
            "torch-jit",
            "torch",
            partial(load_torch, last=False, optimise="jit"),
            usual=False,
        ),
        System("torch-jit-last", "torch", partial(load_torch, last=True, optimise="jit")),
        System(
            "torch-compile",
            "torch",
            partial(load_torch, last=False, optimise="compile"),
            usual=False,
        ),
        System(
            "torch-compile-last",
            "torch",
            partial(load_torch, last=True, optimise="compile"),
        ),
        System(
            "torch-bf16",
            "torch",
            partial(load_torch, last=True, optimise="compile", precision=BF16),
            BF16,
            tolerance=0.1,
        ),
    ]
}
