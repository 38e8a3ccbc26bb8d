"""`p3d info`: what is in a weight file or a prototxt."""

from __future__ import annotations

import argparse
import json
import os
import re
from collections.abc import Iterable, Sequence
from typing import Any

HELP = "show what a caffemodel, caffemodel.h5 or prototxt holds, and which known net it is"
EXAMPLES = """\
examples:
  p3d info p3d_resnet_kinetics_iter_190000.caffemodel
  p3d info deploy.prototxt
  p3d info p3d199-kinetics                                the net, as `p3d models` prints it
  p3d info p3d.caffemodel --json | jq .fits
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "file",
        metavar="FILE|NET",
        help=".caffemodel, .caffemodel.h5 or .prototxt, or a net of `p3d models`",
    )
    parser.add_argument("--json", action="store_true", help="print everything as JSON")


def run(args: argparse.Namespace) -> int:
    from p3d import models
    from p3d.error import Error

    known = args.file in models.names() and not os.path.exists(args.file)
    if not known and not os.path.exists(args.file):
        hint = models.hint(args.file)
        raise Error(f"{args.file}: there is no such file, and no net of that name{hint}")
    if known or _is_prototxt(args.file):
        from p3d.caffe.net_summary import summarize_net

        net = models.prototxt(args.file) if known else args.file
        summary, lines = summarize_net(net), _net_lines
    else:
        from p3d.caffe.weight_summary import summarize_weights

        summary, lines = summarize_weights(args.file), _weight_lines
    if args.json:
        print(json.dumps(summary, indent=2, allow_nan=False))
    else:
        for line in lines(summary):
            print(_printable(line))
    return 0


def _is_prototxt(path: str) -> bool:
    """Whether the file is text that could be a net; what it is else, the reader of weights says."""
    try:
        with open(path, "rb") as file:
            head = file.read(1 << 16)
    except OSError:
        return path.endswith(".prototxt")
    if re.search(rb"[\x00-\x08\x0e-\x1f]", head):
        return False
    return path.endswith(".prototxt") or bool(re.search(rb"\b(layers?|input)\b\s*[:{]", head))


def _weight_lines(summary: dict[str, Any]) -> Iterable[str]:
    named = f", net '{summary['name']}'" if summary["name"] else ""
    yield f"{summary['file']}: {summary['format']}, {summary['bytes']:,} bytes{named}"
    yield f"md5     {summary['md5']}"
    yield f"sha256  {summary['sha256']}"
    if summary["published"]:
        yield f"        {summary['published']}"
    yield from _fit_lines(summary)
    if summary["trained_on"]:
        yield "clips   crop {crop}, length {length} in training".format(**summary["trained_on"])
    with_blobs = [layer for layer in summary["layers"] if layer["blobs"]]
    yield (
        f"values  {summary['values']:,} in {len(with_blobs)} of {len(summary['layers'])} layers"
        + ("" if summary["problems"] else ", all finite")
    )
    yield from (f"problem: {problem}" for problem in summary["problems"])
    yield ""
    header = ("layer", "type", "blob", "shape", "values", "sum", "min", "max")
    rows = [
        (layer["name"], layer["type"], *_blob_row(blob))
        for layer in with_blobs
        for blob in layer["blobs"]
    ]
    yield from _table([header, *rows], right=(2, 4, 5, 6, 7))


def _fit_lines(summary: dict[str, Any]) -> Iterable[str]:
    if summary["fits"]:
        from p3d import models

        yield f"fits    {summary['fits']['net']}: {models.describe(summary['fits']['model'])}"
        return
    differences = summary["differences"]
    some = "; ".join(differences[:3])
    more = f"; and {len(differences) - 3} more differences" if len(differences) > 3 else ""
    yield f"fits    no known net; the nearest is {summary['nearest']}, but {some}{more}"


def _blob_row(blob: dict[str, Any]) -> tuple[str, ...]:
    numbers = [_number(blob.get(key)) for key in ("sum", "min", "max")]
    return (str(blob["index"]), _shape(blob["shape"]), f"{blob['count']:,}", *numbers)


def _net_lines(summary: dict[str, Any]) -> Iterable[str]:
    yield f"{summary['file']}: prototxt, net '{summary['name']}', {len(summary['layers'])} layers"
    for what in ("inputs", "outputs"):
        for name, shape in summary[what].items():
            yield f"{what[:-1]:7} {name} {_shape(shape)}"
    if summary["problem"]:
        yield f"shapes unknown: {summary['problem']}"
    else:
        yield f"values  {summary['params']:,} in the parameters"
        yield f"work    {summary['macs'] / 1e9:,.3f} GMAC per forward"
    yield ""
    header = ("layer", "type", "tops", "shape", "params", "MMAC")
    rows = [
        (
            layer["name"],
            layer["type"],
            " ".join(layer["tops"]),
            " ".join(map(_shape, layer["shapes"])),
            f"{layer['params']:,}" if layer["params"] else "",
            f"{layer['macs'] / 1e6:,.1f}" if layer["macs"] else "",
        )
        for layer in summary["layers"]
    ]
    yield from _table([header, *rows], right=(4, 5))


def _table(rows: Sequence[Sequence[str]], right: Sequence[int]) -> Iterable[str]:
    rows = [[_shorten(cell) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = [
            cell.rjust(width) if i in right else cell.ljust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        yield "  ".join(cells).rstrip()


def _shorten(text: str) -> str:
    return text if len(text) <= 60 else text[:57] + "..."


def _printable(text: str) -> str:
    """Names come from files: nothing that steers a terminal."""
    return "".join(c if c.isprintable() else "?" for c in text)


def _shape(shape: Sequence[int]) -> str:
    return "x".join(map(str, shape)) or "scalar"


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.6g}"
