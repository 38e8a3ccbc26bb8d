"""Writes the cases of this folder: outputs of a real upstream Caffe (1.0.0, CPU) for layers and
parameters that golden/layers does not show. Same keys as there (see golden/README.md).

usage: python make.py [NAME...], where `import caffe` finds pycaffe. Cases are the lines of
cases.txt. Each draws from a generator seeded with the crc32 of its name: parameters N(0, 0.5),
then bottoms.
"""

from __future__ import annotations

import os
import sys
import tempfile
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

os.environ.setdefault("GLOG_minloglevel", "2")

import caffe
import numpy as np

HERE = Path(__file__).parent
# Bottoms that Caffe refuses to give a diff, by type.
NO_DIFF = {"BatchReindex": [1], "Filter": [-1], "InfogainLoss": [1, 2], "Embed": [0]}


def draw(rng: np.random.Generator, kind: str, shape: tuple[int, ...]) -> np.ndarray:
    """One bottom: normal (the default), or as `kind` says."""
    name, *numbers = kind.split(":")
    if name == "":
        return rng.normal(0, 1, shape)
    if name == "positive":
        return rng.uniform(0.1, 3, shape)
    if name == "uniform":
        return rng.uniform(0, 1, shape)
    if name == "probability":
        value = rng.uniform(0.01, 1, shape)
        return value / value.sum(1, keepdims=True)
    if name == "cont":  # continuation indicators of a recurrent layer
        return (rng.uniform(0, 1, shape) > 0.3).astype(np.float32)
    if name == "integers":
        return rng.integers(int(numbers[0]), int(numbers[1]), shape)
    if name == "classes":  # with a second number: every third label is that
        value = rng.integers(0, int(numbers[0]), shape).astype(np.float32)
        if len(numbers) > 1:
            value.flat[::3] = int(numbers[1])
        return value
    return np.array(kind.split(), np.float32).reshape(shape)


@dataclass
class Case:
    name: str
    shapes: list[tuple[int, ...]]
    draws: list[str]
    options: dict[str, str]
    layer: str

    @property
    def kind(self) -> str:
        return self.layer.split('"')[1]

    @property
    def tops(self) -> list[str]:
        if "inplace" in self.options:
            return ["b0"]
        return [f"top{i}" for i in range(int(self.options.get("tops", 1)))]

    @property
    def phase(self) -> str:
        return "TRAIN" if "train" in self.options else "TEST"

    @property
    def repeat(self) -> int:
        return int(self.options.get("repeat", 1))

    @property
    def backward(self) -> bool:
        return "forward" not in self.options

    @property
    def without_diff(self) -> set[int]:
        return {i % len(self.shapes) for i in NO_DIFF.get(self.kind, [])}

    @property
    def prototxt(self) -> str:
        lines = [f'name: "{self.name}"']
        if not self.without_diff:
            lines.append("force_backward: true")
        for i, shape in enumerate(self.shapes):
            dims = " ".join(f"dim: {d}" for d in shape)
            lines.append(
                f'layer {{ name: "b{i}" type: "Input" top: "b{i}" '
                f"input_param {{ shape {{ {dims} }} }} }}"
            )
        ends = [f'bottom: "b{i}"' for i in range(len(self.shapes))]
        ends += [f'top: "{t}"' for t in self.tops]
        if self.without_diff:
            flags = [i not in self.without_diff for i in range(len(self.shapes))]
            ends += [f"propagate_down: {str(flag).lower()}" for flag in flags]
        lines += ["layer {", f'  name: "layer" {" ".join(ends)}', f"  {self.layer}", "}"]
        return "\n".join(lines) + "\n"


def read_cases() -> dict[str, Case]:
    cases = {}
    for line in (HERE / "cases.txt").read_text().splitlines():
        if line.startswith("#"):
            continue
        name, bottoms, options, layer = (part.strip() for part in line.split("|"))
        pairs = [b.strip().partition("=") for b in bottoms.split(",") if b.strip() != "-"]
        cases[name] = Case(
            name,
            [tuple(map(int, shape.split("x"))) for shape, _, _ in pairs],
            [kind for _, _, kind in pairs],
            {o.partition("=")[0]: o.partition("=")[2] for o in options.split() if o != "-"},
            layer,
        )
    return cases


def fill(rng: np.random.Generator, params: list[Any], kind: str) -> None:
    for i, blob in enumerate(params):
        value = rng.normal(0, 0.5, blob.data.shape)
        if kind == "BatchNorm":  # mean, variance, and what both are divided by
            value = [rng.normal(0, 1, value.shape), rng.uniform(0.5, 2, value.shape), 0.8][i]
        blob.data[...] = value


def forward(rng: np.random.Generator, net: Any, case: Case) -> dict[str, np.ndarray]:
    out = {}
    for i, shape in enumerate(case.shapes):
        net.blobs[f"b{i}"].data[...] = draw(rng, case.draws[i], shape)
        out[f"bottom{i}"] = net.blobs[f"b{i}"].data.copy()
    net.forward()
    for i, top in enumerate(case.tops):
        out[f"top{i}"] = net.blobs[top].data.copy()
    return out


def backward(rng: np.random.Generator, net: Any, case: Case, params: list[Any]) -> dict[str, Any]:
    top = net.blobs[case.tops[0]]
    if "Loss" not in case.kind:
        top.diff[...] = rng.normal(0, 1, top.diff.shape)
    out = {"top_diff0": top.diff.copy()}
    for blob in params:
        blob.diff[...] = 0
    net.backward()
    for i in set(range(len(case.shapes))) - case.without_diff:
        out[f"bottom_diff{i}"] = net.blobs[f"b{i}"].diff.copy()
    for i, blob in enumerate(params):
        out[f"param_diff{i}"] = blob.diff.copy()
    return out


def run(case: Case) -> None:
    rng = np.random.Generator(np.random.PCG64(zlib.crc32(case.name.encode())))
    with tempfile.NamedTemporaryFile("w", suffix=".prototxt") as file:
        file.write(case.prototxt)
        file.flush()
        net = caffe.Net(file.name, getattr(caffe, case.phase))
    params = list(net.params.get("layer", []))
    fill(rng, params, case.kind)
    before = [blob.data.copy() for blob in params]
    arrays = {
        "prototxt": case.prototxt,
        "phase": case.phase,
        "n_bottom": len(case.shapes),
        "n_param": len(params),
        "tops": np.array(case.tops, dtype="U8"),
        "inplace": "inplace" in case.options,
        "has_backward": case.backward,
        "repeat": case.repeat,
        "diffs_cleared": True,
    }
    arrays.update({f"param{i}": value for i, value in enumerate(before)})
    for number in range(case.repeat):
        out = forward(rng, net, case)
        for i, blob in enumerate(params):
            if not np.array_equal(blob.data, before[i]):
                out[f"param_after{i}"] = blob.data.copy()
        if case.backward:
            out.update(backward(rng, net, case, params))
        prefix = f"pass{number}/" if case.repeat > 1 else ""
        arrays.update({prefix + key: value for key, value in out.items()})
    np.savez_compressed(HERE / f"{case.name}.npz", **arrays)


def main() -> None:
    cases = read_cases()
    for name in sys.argv[1:] or cases:
        # A failed check of Caffe ends the process, so each case gets one of its own.
        child = os.fork()
        if child == 0:
            try:
                run(cases[name])
            except BaseException as error:
                print(f"{name}: {error!r}")
                os._exit(1)
            os._exit(0)
        if os.waitpid(child, 0)[1] != 0:
            print(f"{name} failed")


if __name__ == "__main__":
    main()
