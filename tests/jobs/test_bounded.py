"""Memory does not grow with the length of a video, nor with the number of videos.

P3D_LONG=1 takes a video of two hours and a list of a million names.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
from jobs.tiny_job import extract
from video.drawn import write_video

LONG = os.environ.get("P3D_LONG", "0") not in ("", "0")

# Peak memory of the process and of its decoders, as the last two lines.
_PEAK = """
import atexit, resource
def tell():
    for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN):
        print(resource.getrusage(who).ru_maxrss / 1024)
atexit.register(tell)
"""


def peaks(done) -> np.ndarray:
    """MiB of the process and of the largest child."""
    return np.array(done.stdout.splitlines()[-2:], float)


def test_a_long_video_needs_no_more_than_a_short_one(tmp_path):
    lengths = {"short": 1500, "long": 180_000 if LONG else 15_000}
    found = {}
    for name, frames in lengths.items():
        write_video(tmp_path / f"{name}.mp4", frames, 32, 32)
        more = ["--stride", "8", "--blobs", "pool5,prob", "--json"]
        done = extract(tmp_path / f"{name}.mp4", tmp_path / "out", *more, before=_PEAK)
        found[name] = peaks(done)
        meta = json.loads((tmp_path / "out" / f"{name}.json").read_text())
        assert meta["frames"] == frames
        assert meta["blobs"]["pool5"] == [(frames - 8) // 8 + 1, 32]
    growth = found["long"] - found["short"]
    assert growth.max() < 24, f"MiB: {found}"


def test_a_long_list_needs_no_more_than_a_short_one(tmp_path):
    write_video(tmp_path / "real.mp4", 20)
    counts = {"short": 200, "long": 1_000_000 if LONG else 5_000}
    found = {}
    for name, count in counts.items():
        with open(tmp_path / f"{name}.txt", "w") as file:
            file.writelines(f"folder {i % 100}/v{i}.mp4\n" for i in range(count))
            file.write("real.mp4\n")
        out = tmp_path / name
        done = extract(tmp_path / f"{name}.txt", out, "--json", before=_PEAK, code=1)
        found[name] = peaks(done)
        assert (out / "real.npy").exists()
        with open(out / "failed.jsonl") as file:
            assert sum(1 for _ in file) == count
    per_name = (found["long"] - found["short"]) * 2**20 / counts["long"]
    assert per_name[0] < (64 if LONG else 2000), f"MiB: {found}"
    assert Path(out / "real.json").exists()
