"""The preprocessing, proved on a real video against plain cv2 and numpy, and stored numbers."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import plain_clip
import pytest

from p3d.video import preprocess, sampling
from p3d.video.clips import ClipReader, open_video
from p3d.video.decode import VideoFile
from p3d.video.recipe import RECIPES

INDEX = 7
STORED = json.loads(Path(__file__).with_name("real_video.json").read_text())


def our_clip(path) -> np.ndarray:
    return dict(ClipReader(open_video(path), RECIPES["author20"]))[INDEX]


@pytest.fixture(scope="module")
def plain(real_video) -> np.ndarray:
    return plain_clip.plain_clip(str(real_video), INDEX)


def agrees_with_stored_numbers(clip) -> bool:
    """Within 2 of 255 grey levels: decoders on other processors convert colours a little else."""
    table = np.array(STORED["points"])
    t, y, x = table[:, :3].astype(int).T
    means = clip.mean(axis=(1, 2, 3))
    return bool(
        np.abs(clip[:, t, y, x].T - table[:, 3:]).max() <= 2
        and np.abs(means - STORED["channel_mean"]).max() <= 0.5
    )


def test_the_clip_is_the_plain_scripts_clip(real_video, plain):
    np.testing.assert_array_equal(our_clip(real_video), plain)


def test_the_clip_has_the_stored_numbers(real_video):
    assert agrees_with_stored_numbers(our_clip(real_video))


def swapped_channels(patch):
    real = VideoFile.frames
    patch.setattr(
        VideoFile,
        "frames",
        lambda self, wanted: (f if f is None else f[:, :, ::-1] for f in real(self, wanted)),
    )


def missing_mean(patch):
    patch.setitem(preprocess.MEAN, "frame", (0, 0, 0))


def swapped_mean(patch):
    patch.setitem(preprocess.MEAN, "frame", (123, 117, 104))


def shifted(dy, dx):
    def fault(patch):
        real = preprocess.crop_corner

        def corner(h, w, crop):
            moved = (dy, dx) if h > crop else (0, 0)  # a frame that is cropped already stays
            return tuple(np.add(real(h, w, crop), moved))

        patch.setattr(preprocess, "crop_corner", corner)

    return fault


def one_frame_late(patch):
    real = sampling.author20
    patch.setattr(sampling, "author20", lambda *given: [start + 1 for start in real(*given)])


FAULTS = {
    "swapped channels": swapped_channels,
    "missing mean": missing_mean,
    "mean in the order R, G, B": swapped_mean,
    "crop one pixel up": shifted(-1, 0),
    "crop one pixel to the right": shifted(0, 1),
    "one frame late": one_frame_late,
}


@pytest.mark.parametrize("fault", FAULTS)
def test_every_fault_is_noticed(real_video, plain, fault, monkeypatch):
    FAULTS[fault](monkeypatch)
    clip = our_clip(real_video)
    assert not np.array_equal(clip, plain)
    assert not agrees_with_stored_numbers(clip)
