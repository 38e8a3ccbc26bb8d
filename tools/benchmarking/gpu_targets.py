"""What is asked of the engine on a GPU, and rows of a table that say whether it was met.

All rows are made of results of benchmark.py and of `p3d time --json`, so that they can be made of
stored ones.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from .gpu_systems import peaks

MIB = 1 << 20


class Target(NamedTuple):
    """times_torch: torch's best time over ours, at least; floor: our share of it, at least."""

    batch: int
    precision: str
    train: bool = False
    times_torch: float = 0
    floor: float = 0


#: Of P3D-199, 3x16x160x160; what is asked for first. Our batch 1 in 0.7 of torch's time is 1 / 0.7
#: x.
TARGETS = (
    Target(64, "bf16", times_torch=1.5, floor=0.4),
    Target(1, "bf16", times_torch=1 / 0.7),
    Target(64, "tf32", times_torch=1.3),
    Target(8, "bf16", train=True, times_torch=1.3),
    Target(8, "float32", train=True, times_torch=1.3),
    Target(1, "float32", times_torch=1 / 0.7),
    Target(64, "float32"),
    Target(64, "fp16"),
)


class Outcome(NamedTuple):
    """verdict: "met", "missed", or "open" where nothing was missed, but not all was compared."""

    what: str
    verdict: str
    result: str


def name_of(target: Target) -> str:
    kind = "training" if target.train else "inference"
    return f"{kind} {target.precision}, batch {target.batch}"


def floor_ms(gpu: str, precision: str, macs: float, values: float, passes: int) -> float | None:
    """Milliseconds of a clip's products, or of its bytes if they take longer; None where the
    GPU's peaks are not known.

    values: those that steps have to read and write, see p3d.timing
    """
    known = peaks(gpu, precision)
    if known is None:
        return None
    size = 2 if precision in ("bf16", "fp16") else 4
    return passes * 1e3 * max(2 * macs / known[0], values * size / known[1])


def outcome(
    target: Target, run: dict[str, Any], floor: float | None, whole: bool = True
) -> Outcome:
    """A row of benchmark.py's result for the target; `floor` in milliseconds per clip.

    whole: torch's best is among the rows
    """
    rows = run["rows"]
    ours, others = rows[0], [row for row in rows[1:] if not row["fault"]]
    ms = ours["ms_per_clip"]
    text = f"{ms:.3f} ms per clip, {1e3 / ms:.0f} clips/s, {ours['peak_mib']:.0f} MiB"
    met = True
    known = whole
    if floor is None:
        known &= not target.floor
        text += "; floor unknown"
    else:
        text += f"; floor {floor:.3f} ms, {floor / ms:.0%} of it"
        if target.floor:
            met &= floor / ms >= target.floor
            text += f" (asked {target.floor:.0%})"
    if not others:
        faults = "; ".join(f"{row['system']}: {row['fault']}" for row in rows[1:])
        text += f"; no torch to compare with ({faults})"
        return Outcome(name_of(target), "open" if met else "missed", text)
    best = min(others, key=lambda row: row["ms_per_clip"])
    ratio = best["ms_per_clip"] / ms
    memory = min(row["peak_mib"] for row in others)
    text += f"; {best['system']} {best['version']} {best['ms_per_clip']:.3f} ms, {ratio:.2f} x ours"
    if target.times_torch:
        met &= ratio >= target.times_torch
        text += f" (asked {target.times_torch:.2f})"
    met &= ours["peak_mib"] < memory
    text += f", {memory:.0f} MiB (asked more than ours); differs by {best['difference']:.1e}"
    return Outcome(name_of(target), "missed" if not met else "met" if known else "open", text)


def profile(gpu: str, precision: str, data: dict[str, Any], most: int = 15) -> list[str]:
    """The steps of `p3d time --json` that are furthest above their own floors, one line each."""
    lost = []
    for step in data["steps"]:
        floor = floor_ms(gpu, precision, step["macs"], step["values"], 1)
        lost.append((step["ms"] - (floor or 0), floor, step))
    lost.sort(key=lambda row: -row[0])
    lines = [f"{'step':40} {'ms':>8} {'floor':>8} {'share':>6}  kernel"]
    for _, floor, step in lost[:most]:
        known = "unknown" if floor is None else f"{floor:8.4f}"
        lines.append(
            f"{step['name'][:40]:40} {step['ms']:8.4f} {known:>8} {step['share']:6.1%}  "
            f"{step['kernel']}"
        )
    return lines
