"""Batches that a GPU cannot do, by a net that is a function."""

from __future__ import annotations

import logging
from collections.abc import Callable

import pytest

from p3d import _core, gpu, gpu_batches
from p3d.error import Error, OutOfMemory


class Device:
    """A net on a GPU with room for some clips that fails in some forwards, counted from 1.

    `done` has the side and the size of every batch that was done.
    """

    def __init__(self, room: int, fails: tuple[int, ...] = (), refuses: bool = False) -> None:
        self.room, self.fails, self.refuses = room, fails, refuses
        self.on = True
        self.tries = 0
        self.done: list[tuple[str, int]] = []

    def start(self, clips: list[int]) -> Callable[[], list[int]]:
        self.tries += 1
        if self.refuses:
            raise Error("no such shape")
        if self.on and self.tries in self.fails:
            raise Error("an illegal address")
        if self.on and len(clips) > self.room:
            raise OutOfMemory(f"no room for {len(clips)}")
        self.done.append(("gpu" if self.on else "cpu", len(clips)))
        rows = [10 * clip for clip in clips]
        return lambda: rows


def batches(device: Device, monkeypatch: pytest.MonkeyPatch) -> gpu_batches.GpuBatches:
    monkeypatch.setattr(_core, "gpu_mode", lambda: device.on)
    monkeypatch.setattr(gpu, "run", lambda on: setattr(device, "on", on))
    return gpu_batches.GpuBatches(device.start)


@pytest.mark.parametrize(
    ("device", "sizes", "done", "warnings"),
    [
        (Device(99), [5, 3], [("gpu", 5), ("gpu", 3)], []),
        (Device(99), [0, 1], [("gpu", 1)], []),
        (
            Device(2),
            [7, 3],
            [("gpu", 2)] * 3 + [("gpu", 1)] + [("gpu", 2), ("gpu", 1)],
            ["no room for 4; batches of 2 fit and are taken from now on"],
        ),
        (
            Device(0),
            [3, 2],
            [("cpu", 1), ("cpu", 2), ("cpu", 2)],
            ["no room for 1; from now on the net runs on the CPU"],
        ),
        (
            Device(99, fails=(2,)),
            [4, 4, 4],
            [("gpu", 4), ("cpu", 4), ("cpu", 4)],
            ["an illegal address; from now on the net runs on the CPU"],
        ),
        (
            Device(2, fails=(4,)),
            [5, 5],
            [("gpu", 2), ("cpu", 2), ("cpu", 1), ("cpu", 5)],
            [
                "no room for 3; batches of 2 fit and are taken from now on",
                "an illegal address; from now on the net runs on the CPU",
            ],
        ),
    ],
)
def test_every_clip_is_done(device, sizes, done, warnings, monkeypatch, caplog) -> None:
    rows_of = batches(device, monkeypatch)
    with caplog.at_level(logging.WARNING, "p3d"):
        for size in sizes:
            assert rows_of(list(range(size))) == [10 * clip for clip in range(size)]
    assert device.done == done
    assert [record.getMessage() for record in caplog.records] == warnings


@pytest.mark.parametrize("on", [True, False])
def test_what_the_net_refuses_everywhere_is_no_matter_of_the_gpu(on, monkeypatch, caplog) -> None:
    device = Device(99, refuses=True)
    device.on = on
    rows_of = batches(device, monkeypatch)
    with pytest.raises(Error, match="no such shape"):
        rows_of([1, 2])
    assert device.on == on
    assert not caplog.records
    device.refuses = False
    assert rows_of([1, 2]) == [10, 20]
