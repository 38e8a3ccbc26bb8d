"""Parts of a job: together everything, no video twice, each part about as large."""

from __future__ import annotations

import pytest

from p3d import Error
from p3d.jobs import shard
from p3d.video.inputs import Item


@pytest.mark.parametrize("parts", [1, 2, 7])
def test_every_video_is_in_one_part(parts):
    items = [Item(f"v/{i}.mp4", f"ü {i}") for i in range(700)]
    found = [list(shard.part(items, shard.parse(f"{i}/{parts}"))) for i in range(1, parts + 1)]
    assert sorted(item for part in found for item in part) == sorted(items)
    assert all(0.5 < len(part) * parts / 700 < 1.5 for part in found)


def test_a_video_stays_in_its_part_whatever_comes_along():
    items = [Item(f"{i}", f"{i}") for i in range(100)]
    before = list(shard.part(items, (2, 3)))
    more = [Item(f"new{i}", f"new{i}") for i in range(50)]
    assert [item for item in shard.part(more + items, (2, 3)) if item in items] == before


@pytest.mark.parametrize("text", ["0/3", "4/3", "1", "a/b", "1/0", "-1/3"])
def test_parts_that_are_none(text):
    with pytest.raises(Error, match="write 1/10 to 10/10"):
        shard.parse(text)
