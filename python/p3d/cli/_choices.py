"""What runs nets, and how: --backend, --device and --precision of the verbs that run them."""

from __future__ import annotations

import argparse
import os
import re
import warnings


def options_last(arguments: list[str]) -> list[str]:
    """``p3d --backend B verb ...`` is ``p3d verb --backend B ...``, and so on."""
    leading: list[str] = []
    every = r"--?(backend|device|precision)(=.*)?"
    while arguments and (match := re.fullmatch(every, arguments[0])):
        count = 1 if match[2] else 2
        leading += arguments[:count]
        arguments = arguments[count:]
    return [*arguments[:1], *leading, *arguments[1:]]


def add_choices(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--backend", choices=("embedded", "upstream"), help="what runs nets (default: embedded)"
    )
    parser.add_argument(
        "--device", metavar="D", help="where nets run: cpu (default), cuda or cuda:N, the N-th GPU"
    )
    parser.add_argument(
        "--precision",
        choices=("float32", "tf32", "bf16", "fp16"),
        help="how nets compute (default: float32; the processor has bf16 too)",
    )


def choose(args: argparse.Namespace, several_gpus: bool) -> None:
    """What runs nets, and how, as the options say."""
    if args.backend is not None:
        from p3d.caffe import backend

        backend.choose(args.backend)
    if args.device is not None:
        _use(args.device, several_gpus)
    if (args.device or os.environ.get("P3D_DEVICE") or "cpu") == "cpu":
        _check_on_processor(args)
    if args.precision is not None:
        from p3d.caffe import backend

        backend.set_precision(args.precision)
        os.environ["P3D_PRECISION"] = args.precision  # for processes that this one starts


def _use(device: str, may_be_several: bool) -> None:
    from p3d import gpu
    from p3d.caffe import backend

    if may_be_several:
        found = gpu.several(device)
        if len(found) > 1:
            return
        device = f"cuda:{found[0]}" if found else device
    backend.set_device(device)
    os.environ["P3D_DEVICE"] = device  # for processes that this one starts


def _check_on_processor(args: argparse.Namespace) -> None:
    """The precision that is asked for, where nets run on the processor."""
    if not (said := args.precision or os.environ.get("P3D_PRECISION")):
        return
    from p3d import _core, gpu
    from p3d.error import Error

    if args.precision in ("tf32", "fp16"):
        raise Error(
            f"--precision {args.precision} is for a GPU, the processor computes in float32 or "
            "bf16: name the GPU with --device cuda"
        )
    if said in ("tf32", "fp16"):
        warnings.warn(
            f"P3D_PRECISION={said} is for a GPU, the processor computes in float32", stacklevel=1
        )
    isa = getattr(args, "isa", None) or _core.isa()
    if said == "bf16" and not gpu.processor_has_bf16(isa):
        warnings.warn(
            f"{isa} has no products of bfloat16 here, they are computed of floats: that takes "
            "longer than float32",
            stacklevel=1,
        )
