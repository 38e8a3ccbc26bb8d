"""Hundreds of videos broken by cutting, zeroing and changing bytes: all are read or reported."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import drawn
import numpy as np

from p3d.video.decoding import Decoders
from p3d.video.reading import Clip, Reading
from p3d.video.recipe import Recipe

COUNT = int(os.environ.get("P3D_BROKEN", 300))
RECIPE = Recipe("small", size=40, crop=32, length=8, clips=4, sampling="even")


def cut(data: bytearray, rng: np.random.Generator) -> bytearray:
    return data[: rng.integers(1, len(data))]


def cut_out(data: bytearray, rng: np.random.Generator) -> bytearray:
    first, last = sorted(rng.integers(0, len(data), 2))
    return data[:first] + data[last:]


def zero(data: bytearray, rng: np.random.Generator) -> bytearray:
    first = int(rng.integers(0, len(data)))
    last = min(len(data), first + int(rng.integers(1, 3000)))
    data[first:last] = bytes(last - first)
    return data


def flip(data: bytearray, rng: np.random.Generator) -> bytearray:
    for place in rng.integers(0, len(data), int(rng.integers(1, 60))):
        data[place] ^= 1 << rng.integers(8)
    return data


def flip_header(data: bytearray, rng: np.random.Generator) -> bytearray:
    """The index of an mp4 is at its end, that of an avi, its sizes, at its beginning."""
    near = min(1500, len(data))
    start = rng.choice([0, len(data) - near])
    for place in rng.integers(start, start + near, int(rng.integers(1, 12))):
        data[place] = rng.integers(256)
    return data


BREAKS = (cut, cut_out, zero, flip, flip_header)


def broken(folder: Path, sources: list[Path]) -> Iterator[Path]:
    for case in range(COUNT):
        rng = np.random.default_rng([1701, case])
        source = sources[case % len(sources)]
        data = BREAKS[case // len(sources) % len(BREAKS)](bytearray(source.read_bytes()), rng)
        path = folder / f"{case}{source.suffix}"
        path.write_bytes(data)
        yield path


def test_every_broken_video_is_read_or_reported(tmp_path, real_video, recwarn):
    sources = [
        drawn.write_video(tmp_path / "a.mp4", 40),
        drawn.write_video(tmp_path / "b.avi", 40, codec="MJPG"),
        drawn.write_video(tmp_path / "c.mkv", 40),
        real_video,
    ]
    videos = list(broken(tmp_path, sources))
    decoders = Decoders(2, timeout=60)
    readings = (Reading(str(v), "frame", RECIPE, (3, 8, 32, 32)) for v in videos)
    clips: Counter[int] = Counter()
    ends: dict[int, str] = {}
    for event in decoders.events(readings, 8):
        if event is None:
            continue
        number, what = event
        if isinstance(what, Clip):
            clips[number] = what.number + 1
        else:
            ends[number] = str(what.result) if isinstance(what.result, Exception) else "read"
    decoders.stop()
    assert sorted(ends) == list(range(COUNT))
    for number, end in ends.items():
        assert end == "read" or str(videos[number]) in end, f"{videos[number]}: {end}"
        assert end != "read" or clips[number] == 4, f"{videos[number]}: {clips[number]} clips"
        assert "hangs" not in end, end
    assert {end == "read" for end in ends.values()} == {True, False}
