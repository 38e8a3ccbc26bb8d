"""The drawn motions: twins differ in nothing but the direction of time."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
import pytest

from p3d import motions


def drawn(label, seed, split="train"):
    return np.stack(motions.draw(label, np.random.default_rng(seed), motions.LOOKS[split]))


def read(path):
    capture, frames = cv2.VideoCapture(str(path)), []
    while (read := capture.read())[0]:
        frames.append(read[1])
    return np.stack(frames).astype(int)


@pytest.mark.parametrize("split", ["train", "test"])
@pytest.mark.parametrize("pair", range(len(motions.CLASSES) // 2))
def test_a_twin_is_the_other_backwards(pair, split):
    for seed in range(5):
        one, other = drawn(2 * pair, seed, split), drawn(2 * pair + 1, seed, split)
        assert one.shape == (motions.FRAMES, motions.HEIGHT, motions.WIDTH, 3)
        np.testing.assert_array_equal(one, other[::-1])
        assert all((before != after).any() for before, after in pairwise(one))


def centre(frames):
    """Where the frames differ from the others, in the first and in the last frame: x, y, area."""
    still = np.median(frames, axis=0)
    found = []
    for frame in (frames[0], frames[-1]):
        y, x = np.nonzero(np.abs(frame - still).max(axis=2) > 60)
        found.append((x.mean(), y.mean(), len(x)))
    return found


@pytest.mark.parametrize(
    ("name", "axis", "sign"), [("right", 0, 1), ("left", 0, -1), ("down", 1, 1), ("up", 1, -1)]
)
def test_things_move_where_the_class_says(name, axis, sign):
    for seed in range(5):
        first, last = centre(drawn(motions.CLASSES.index(name), seed))
        assert sign * (last[axis] - first[axis]) > 30, seed


def test_train_and_test_have_no_shape_in_common():
    train, test = (
        {shape.round(6).tobytes() for shape in motions.LOOKS[split].shapes}
        for split in ("train", "test")
    )
    assert len(train) == len(test) == 4
    assert not train & test


def test_the_lists_and_their_files(tmp_path):
    for split in ("train", "test"):
        path = motions.write(str(tmp_path), split, 2)
        lines = [line.split() for line in Path(path).read_text().splitlines()]
        assert [int(label) for _, label in lines] == sorted([*range(8)] * 2)
        assert [name.split("/")[1][:-6] for name, _ in lines] == sorted(
            [*motions.CLASSES] * 2, key=motions.CLASSES.index
        )
        assert all(len(read(tmp_path / name)) == motions.FRAMES for name, _ in lines)


def test_twins_show_the_same_scenes_in_the_test_only(tmp_path):
    for split, alike in (("train", False), ("test", True)):
        motions.write(str(tmp_path), split, 1)
        one, other = (read(tmp_path / split / f"{name}-0.mp4") for name in ("grow", "shrink"))
        assert (np.abs(one - other[::-1]).mean() < 5) == alike, split


def test_the_same_call_gives_the_same_videos(tmp_path):
    for folder in ("a", "b"):
        motions.write(str(tmp_path / folder), "train", 1)
    for path in (tmp_path / "a" / "train").iterdir():
        np.testing.assert_array_equal(read(path), read(tmp_path / "b" / "train" / path.name))
