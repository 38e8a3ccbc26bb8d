"""tools/benchmark_extraction.py: both systems see the same clips and are compared before timing."""

from __future__ import annotations

import os

import benchmark_extraction
import numpy as np
import pytest
from benchmarking import extraction
from video.drawn import write_video

import p3d


@pytest.mark.parametrize(("frames", "h", "w"), [(40, 48, 64), (9, 170, 182), (182, 64, 48)])
def test_the_same_clips(tmp_path, frames, h, w):
    path = write_video(tmp_path / "a.mp4", frames, h, w)
    clips = extraction.author20(str(path))
    for clip in p3d.clips(path):
        np.testing.assert_array_equal(clip.values, clips[clip.number])


class Pipe:
    """A system that writes what it is made with."""

    def __init__(self, features):
        self.features = features

    def send(self, question):
        self.out = question[1]

    def recv(self):
        os.makedirs(self.out)
        np.save(f"{self.out}/a.npy", self.features)
        return 1.0


@pytest.mark.parametrize(
    ("other", "fault"),
    [
        (np.ones((20, 4)), ""),
        (np.ones((20, 4, 1, 1)), ""),
        (np.ones((20, 4)) * 1.001, "features differ by 1.0e-03"),
        (np.ones((19, 4)), "features (1, 19, 4), ours (1, 20, 4)"),
    ],
)
def test_features_that_differ_are_not_timed(tmp_path, other, fault):
    systems = {extraction.OURS: Pipe(np.ones((20, 4))), "other": Pipe(other)}
    found = benchmark_extraction._compare(systems, "", str(tmp_path))
    assert (fault in found) if fault else (found == "")
