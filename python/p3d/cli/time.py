"""`p3d time`: where the time of a net goes."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from typing import Any

RUNS_NETS = True
HELP = "measure a net: every step, its kernels, the whole; or its video data"
EXAMPLES = """\
examples:
  p3d time                                     P3D-199 with random weights, one clip
  p3d time p3d63-kinetics --batch 8 --threads 2
  p3d time deploy.prototxt --weights mine.caffemodel --isa avx2
  p3d time --data train_val.prototxt           how fast its VideoData layers read clips
  p3d time -model deploy.prototxt -iterations 50 -layers      as `caffe time` does it

A step is a convolution with the layers that run inside it, or a single layer. GMAC counts products
with padding too; "peak" is the share of what this machine's multiply-add units reach, a processor's
with float32: --precision bf16 can pass it. Steps are medians over the iterations; the whole net is
timed from filling its input to copying its output.
On a GPU what the copies of the inputs to it take is in no step and has a line of its own.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "net", nargs="?", metavar="NET|PROTOTXT", help="default: that of --weights, p3d199-kinetics"
    )
    parser.add_argument(
        "--model", "--net", metavar="PROTOTXT", help="the same, as `caffe time` calls it"
    )
    parser.add_argument("--weights", metavar="W", help=".caffemodel(.h5); default: random weights")
    parser.add_argument("--batch", type=_count, metavar="N", help="clips at once (the net's own)")
    parser.add_argument("--threads", type=_count, metavar="N", help="default: all cores")
    parser.add_argument(
        "--iterations", type=_count, default=20, metavar="N", help="measured forwards (20)"
    )
    parser.add_argument(
        "--gpu", dest="device", type="cuda:{}".format, metavar="N", help="as --device cuda:N"
    )
    parser.add_argument(
        "--isa", metavar="NAME", help="generic, avx2, avx512 or amx (default: the best)"
    )
    parser.add_argument(
        "--layers", action="store_true", help="each layer on its own, nothing fused"
    )
    parser.add_argument(
        "--data", metavar="PROTOTXT", help="measure the VideoData layers of this net instead"
    )
    parser.add_argument(
        "--workers",
        type=_none_or_more,
        metavar="N",
        help="with --data: processes that read (the layer's)",
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def run(args: argparse.Namespace) -> int:
    if args.data:
        return _run_data(args)
    from p3d import _core, timing
    from p3d.caffe import backend
    from p3d.error import Error
    from p3d.loading import find_net

    if args.isa and backend.current() != "embedded":
        raise Error(f"--isa {args.isa} is for the embedded engine: for upstream set P3D_ISA")
    if args.isa:
        _core.set_isa(args.isa)
    if args.threads:
        backend.set_num_threads(args.threads)
    wanted = args.net or args.model or (None if args.weights else "p3d199-kinetics")
    found = find_net(args.weights, wanted)
    net = timing.make(found.prototxt, args.weights, batch=args.batch, layer_by_layer=args.layers)
    report = timing.measure(net, args.iterations)
    data = _data(args, found.name, net, report, _peak())
    if args.json:
        import json

        print(json.dumps(data, indent=1))
    else:
        print("\n".join(_lines(data)))
    return 0


def _run_data(args: argparse.Namespace) -> int:
    from p3d.data import timing

    reports = list(timing.measure(args.data, args.iterations, args.workers))
    if args.json:
        import json

        print(json.dumps([_data_row(report) for report in reports], indent=1))
    else:
        print("\n\n".join("\n".join(_data_lines(report)) for report in reports))
    return 0


def _data_row(report: Any) -> dict[str, Any]:
    """One VideoData layer, ready for JSON; milliseconds are per clip."""
    spent = report.spent
    names = ("decode", "edit", "copy", "wait")
    return {
        **{name: getattr(report, name) for name in ("layer", "phase", "videos", "workers")},
        "shape": list(report.shape),
        "clips": spent.clips,
        "seconds": report.seconds,
        "clips_per_second": report.clips_per_second,
        "frames_per_second": report.frames_per_second,
        "ms": {name: getattr(spent, name) / spent.clips * 1e3 for name in names},
    }


def _data_lines(report: Any) -> Iterator[str]:
    row = _data_row(report)
    ms = row["ms"]
    work = ms["decode"] + ms["edit"] + ms["copy"]
    what = {
        "decode": "decode",
        "edit": "resize, crop, flip, colours",
        "copy": "mean, scale, copy into the net",
    }
    yield (
        f"{report.layer}, phase {report.phase}: {report.videos} videos, clips "
        f"{'x'.join(map(str, report.shape))}, {report.workers} "
        f"worker{'s' * (report.workers != 1)}"
    )
    yield f"{row['clips_per_second']:.1f} clips/s, {row['frames_per_second']:.0f} frames/s"
    yield f"processor time {work:9.2f} ms per clip"
    for name, text in what.items():
        yield f"  {text:32} {ms[name]:9.2f} ms {ms[name] / work:6.1%}"
    whole = report.seconds / row["clips"] * 1e3
    waited = "reading in the net's own process" if not report.workers else "the net waits for clips"
    yield f"  {waited:32} {ms['wait']:9.2f} ms {ms['wait'] / whole:6.1%} of {whole:.2f} ms per clip"


def _count(text: str) -> int:
    count = int(text)
    if count < 1:
        raise argparse.ArgumentTypeError(f"{text} is not a count")
    return count


def _none_or_more(text: str) -> int:
    return 0 if text == "0" else _count(text)


def _peak() -> float:
    """GFLOP/s of the multiply-add units that the net runs on."""
    from p3d import _core, gpu

    return gpu.current().gflops if _core.gpu_mode() else _core.fma_peak(0.5)


def _data(args: argparse.Namespace, name: str, net: Any, report: Any, peak: float) -> Any:
    """All that was measured, ready for JSON."""
    from statistics import median

    from p3d import _core
    from p3d.caffe import backend
    from p3d.timing import group, total

    def rows(steps: list[Any]) -> list[dict[str, Any]]:
        whole = sum(step.ms for step in report.steps) or 1.0
        return [
            {
                **step._asdict(),
                "share": step.ms / whole,
                "gflops": step.gflops,
                "peak": step.gflops / peak,
            }
            for step in steps
        ]

    clips = [ms / report.items for ms in report.ms]
    return {
        "net": name,
        "weights": args.weights or "random",
        "inputs": {blob: list(net.blobs[blob].shape) for blob in net.inputs},
        "backend": backend.current(),
        "runs_on": backend.interface().describe(),
        "planned": net.planned,
        "graph": bool(getattr(net, "graph", False)),
        "graphs": int(getattr(net, "graphs", 0)),
        "gpu": _core.gpu_mode(),
        "threads": _core.num_threads(),
        "isa": _core.isa(),
        "peak_gflops": peak,
        "iterations": args.iterations,
        "warm_up_ms": report.warm_up_ms,
        "input_copies_ms": report.copies_ms,
        "ms_per_item": {"median": median(clips), "min": min(clips), "max": max(clips)},
        "steps": rows(report.steps),
        "kernels": rows(group(report.steps, "kernel")),
        "types": rows(group(report.steps, "type")),
        "total": rows([total(report.steps)])[0],
    }


def _launches(data: Any) -> str:
    if data["graph"]:
        return "one CUDA graph"
    if data["graphs"]:
        return f"CUDA graphs ({data['graphs']}) and steps between them"
    return "a launch per step"


def _lines(data: Any) -> Iterator[str]:
    shapes = ", ".join(f"{n} {'x'.join(map(str, s))}" for n, s in data["inputs"].items())
    yield f"{data['net']}, {data['weights']} weights, {shapes}"
    yield (
        f"{data['runs_on']}, {data['peak_gflops']:.0f} GFLOP/s peak, "
        + ("inference plan" if data["planned"] else "layer by layer")
        + (f", {_launches(data)}" if data["gpu"] else "")
        + f", {data['iterations']} iterations"
    )
    yield from _table("step", data["steps"], "kernel")
    yield from _table("kernel", data["kernels"], "count")
    yield from _table("type of the first layer", [*data["types"], data["total"]], "count")
    ms, total = data["ms_per_item"], data["total"]
    item = "clip" if any(len(shape) == 5 for shape in data["inputs"].values()) else "item"
    yield f"\nwarm-up {data['warm_up_ms']:.1f} ms"
    if data["input_copies_ms"] is not None:
        yield f"input copies {data['input_copies_ms']:.3f} ms, in no step"
    yield (
        f"whole net {ms['median']:.2f} ms per {item} (min {ms['min']:.2f}, max {ms['max']:.2f}), "
        f"steps together {total['peak']:.1%} of the peak"
    )


def _table(title: str, rows: list[dict[str, Any]], last: str) -> Iterator[str]:
    width = max(len(title), *(len(row["name"]) for row in rows))
    yield ""
    yield f"{title:{width}} {'ms':>9} {'share':>6} {'GMAC':>8} {'GFLOP/s':>8} {'peak':>6}  {last}"
    for row in rows:
        work = f"{row['macs'] / 1e9:8.3f} {row['gflops']:8.1f} {row['peak']:6.1%}"
        end = row["layers"] if last == "count" else row["kernel"]
        yield (
            f"{row['name']:{width}} {row['ms']:9.3f} {row['share']:6.1%} "
            f"{work if row['macs'] else ' ' * 24}  {end}"
        ).rstrip()
