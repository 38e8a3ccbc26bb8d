"""A net of the pycaffe interface that takes clips, and the rows of its blobs, one per clip."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from p3d.error import Error
from p3d.gpu_runs import GpuRuns
from p3d.input_check import input_told
from p3d.pixel_values import PixelValues, fill
from p3d.video.preprocess import pixel_values

Row = dict[str, np.ndarray]


class ClipNet:
    """What an extractor needs of a net.

    modality  "frame" or "flow", by the channels of the input
    length, side  frames of a clip and pixels (of the shorter side) that it was written for
    blobs     those that a run gives
    """

    def __init__(self, net: Any, blobs: Sequence[str]) -> None:
        self.blobs = known_blobs(blobs, list(net.blobs))
        self._net = net
        self._input, self.channels, self.length, self.side = clip_input(net)
        self.modality = {2: "flow", 3: "frame"}[self.channels]
        self._runs = GpuRuns(net, self._input, self.blobs)
        self._ran: tuple[int, ...] = ()  # the shape of the input in the last run that went well

    @input_told()
    def start(self, clips: Sequence[np.ndarray]) -> Callable[[], list[Row]]:
        """Runs the net once; what is returned gives, per clip, blob name -> a copy of its row. On a
        GPU it waits for them, and further runs may be started before it is called.

        Clips (c, l, h, w) are all of one shape: uint8, from which the mean is subtracted, or
        float32, which are taken as they are (those of .npy files, and arrays). Decoded and resized
        frames are uint8.
        """
        values = pixel_values(self.modality)
        if self._runs.possible():
            return self._start_on_gpu(clips, values)
        self._reshape((len(clips), *clips[0].shape))
        fill(self._net.blobs[self._input].data, clips, values)
        count = len(clips)
        rows = self._rows(self._net.forward(blobs=list(self.blobs)), count, count)
        return lambda: rows

    def _start_on_gpu(
        self, clips: Sequence[np.ndarray], values: PixelValues
    ) -> Callable[[], list[Row]]:
        shape = (len(clips), *clips[0].shape)
        # Another shape would be planned, captured and have its convolutions chosen anew, which
        # takes many times as long as clips that nobody asked for.
        if self._ran == tuple(self._net.blobs[self._input].shape) and _fits(shape, self._ran):
            shape = self._ran
        self._reshape(shape)
        self._ran = ()
        values_of = self._runs.start([*clips, *[clips[-1]] * (shape[0] - len(clips))], values)
        self._ran = shape

        def wait() -> list[Row]:
            try:
                return self._rows(values_of(), shape[0], len(clips))
            except RuntimeError:
                self._ran = ()
                raise

        return wait

    def gpu_batch(self, shape: tuple[int, ...]) -> int | None:
        """How many clips of this shape a GPU has room for, about; None where the net does not run
        on one."""
        if not self._runs.possible():
            return None
        if tuple(self._net.blobs[self._input].shape)[1:] != shape:  # or its plan would be lost
            self._reshape((1, *shape))
        return self._runs.batch()

    def _reshape(self, shape: tuple[int, ...]) -> None:
        data = self._net.blobs[self._input]
        if tuple(data.shape) != shape:
            data.reshape(*shape)
            self._net.reshape()

    def _rows(self, tops: Mapping[str, np.ndarray], size: int, count: int) -> list[Row]:
        """The first `count` rows of a batch of that size."""
        for name in self.blobs:
            if tops[name].shape[:1] != (size,):
                raise Error(f"blob '{name}' is {tops[name].shape}: its first axis is not the clips")
        return [
            {name: without_trailing_ones(tops[name][i].copy()) for name in self.blobs}
            for i in range(count)
        ]

    def classes(self) -> int | None:
        """How many values blob "prob" has per clip, if there is one."""
        if "prob" not in self._net.blobs:
            return None
        return int(np.prod(tuple(self._net.blobs["prob"].shape)[1:]))


def _fits(shape: tuple[int, ...], into: tuple[int, ...]) -> bool:
    """Whether clips of the one shape are some of those of the other."""
    return shape[0] <= into[0] and shape[1:] == into[1:]


def without_trailing_ones(row: np.ndarray) -> np.ndarray:
    """A row of pool5, (2048, 1, 1), as (2048,); at least one axis stays."""
    shape = list(row.shape)
    while len(shape) > 1 and shape[-1] == 1:
        shape.pop()
    return row.reshape(shape)


def clip_input(net: Any) -> tuple[str, int, int, int]:
    """Name, channels, length and (shorter) side of the net's input for clips."""
    shapes = {name: tuple(net.blobs[name].shape) for name in net.inputs}
    for name, shape in shapes.items():
        if len(shape) == 5 and shape[1] in (2, 3):
            return name, shape[1], shape[2], min(shape[3:])
    raise Error(
        f"the net has no input for clips: (n, c, l, h, w) with c = 3 for frames or 2 for flow; "
        f"its inputs are {shapes}"
    )


def known_blobs(wanted: Sequence[str], known: list[str]) -> tuple[str, ...]:
    wanted = (wanted,) if isinstance(wanted, str) else tuple(dict.fromkeys(wanted))
    for name in wanted:
        if name not in known:
            close = difflib.get_close_matches(name, known, n=3) or known[-3:]
            raise Error(f"the net has no blob '{name}'; it has {', '.join(close)}, ...")
    if not wanted:
        raise Error("no blob was asked for: name one or more, such as pool5")
    return wanted
