"""`p3d device_query`: the processor and the GPUs that nets can run on."""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import asdict
from typing import Any

HELP = "list the processor and the GPUs that nets can run on"
EXAMPLES = """\
examples:
  p3d device_query
  p3d device_query --json
  p3d extract some.mp4 --weights W --device cuda:0     on the first GPU of the list

Kernels for GPUs are there if caffe-p3d was installed with them, from a checkout:

  pip install . -C cmake.define.P3D_CUDA=ON

Exit code 1 says that no GPU can be used, and the last line why.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="print everything as JSON")


def run(args: argparse.Namespace) -> int:
    answer = _answer()
    if args.json:
        print(json.dumps(answer, indent=2))
    else:
        for line in _lines(answer):
            print(line)
        if answer["error"]:
            print(f"no GPU: {answer['error']}", file=sys.stderr)
    return 1 if answer["error"] else 0


def _answer() -> dict[str, Any]:
    from p3d import _core, gpu
    from p3d.error import Error

    cpu = {
        "threads": _core.num_threads(),
        "isa": _core.isa(),
        "multiplies_bf16": _core.multiplies_bf16(),
    }
    answer: dict[str, Any] = {
        "cpu": cpu,
        "software": None,
        "libraries": None,
        "gpus": [],
        "error": None,
    }
    try:
        answer["gpus"] = [asdict(found) for found in gpu.gpus()]
        answer["software"] = gpu.software()
        answer["libraries"] = gpu.libraries()
    except Error as error:
        answer["error"] = str(error)
    if not answer["gpus"] and not answer["error"]:
        answer["error"] = "the NVIDIA driver finds none; CUDA_VISIBLE_DEVICES can hide them"
    return answer


def _lines(answer: dict[str, Any]) -> list[str]:
    cpu = answer["cpu"]
    bf16 = ", multiplies bfloat16 (--precision bf16)" if cpu["multiplies_bf16"] else ""
    lines = [f"cpu     {cpu['threads']} threads, {cpu['isa']}{bf16}"]
    for gpu in answer["gpus"]:
        major, minor = gpu["capability"]
        memory = f"{gpu['free'] / 2**30:.1f} of {gpu['memory'] / 2**30:.1f} GiB free"
        lines.append(f"cuda:{gpu['index']}  {gpu['name']}, compute {major}.{minor}, {memory}")
    if answer["software"]:
        lines.append(answer["software"])
    if answer["libraries"]:
        lines.append(answer["libraries"])
    return lines
