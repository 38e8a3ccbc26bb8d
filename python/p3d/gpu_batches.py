"""Batches that are done whatever a GPU has against them: smaller, or on the processor."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

from p3d import _core, gpu
from p3d.error import OutOfMemory

Clip = TypeVar("Clip")
Row = TypeVar("Row")

_logger = logging.getLogger("p3d")


class GpuBatches(Generic[Clip, Row]):
    """Runs of a net that may be on a GPU, begun by `start`, whose result gives a row of every clip.

    A batch for which the GPU has no room is halved until it has, and so are all later ones. Where
    it has no room for one clip, or fails in another way, the processor does that batch and, since
    a GPU that failed is of no use to its process any more, all later ones. One warning each says
    so. What the net refuses on the processor too is raised, and no matter of the GPU.
    """

    def __init__(self, start: Callable[[Sequence[Clip]], Callable[[], list[Row]]]) -> None:
        self._start = start
        self._most: int | None = None  # clips in a batch; None: all there are

    def start(self, clips: Sequence[Clip]) -> Callable[[], list[Row]]:
        """Begins with the clips; what is returned waits for their rows. If they are more than one
        batch, or something is in the way, they are done by then."""
        if self._most is not None and len(clips) > self._most:
            return _given(self(clips))
        on_gpu = _core.gpu_mode()
        try:
            rows = self._start(clips)
        except RuntimeError as error:
            return _given(self._again(clips, error, on_gpu))

        def wait() -> list[Row]:
            try:
                return rows()
            except RuntimeError as error:
                return self._again(clips, error, on_gpu)

        return wait

    def _again(self, clips: Sequence[Clip], error: RuntimeError, on_gpu: bool) -> list[Row]:
        """The rows of clips that were begun and failed."""
        if not on_gpu:
            raise error
        full = isinstance(error, OutOfMemory) and len(clips) > 1
        if full or not _core.gpu_mode():  # since a batch before this one failed
            return self(clips)
        return self._on_processor(clips, error)

    def __call__(self, clips: Sequence[Clip]) -> list[Row]:
        """The rows of all clips, in one batch where nothing is in the way."""
        rows: list[Row] = []
        while len(rows) < len(clips):
            rows += self._first_rows(clips[len(rows) :][: self._most])
        return rows

    def _first_rows(self, clips: Sequence[Clip]) -> list[Row]:
        """The rows of the first clips, of as many as can be done at once."""
        full: OutOfMemory | None = None
        while True:
            try:
                rows = self._start(clips)()
                break
            except OutOfMemory as error:
                if len(clips) == 1:
                    return self._on_processor(clips, error)
                full = error
                clips = clips[: (len(clips) + 1) // 2]
            except RuntimeError as error:
                return self._on_processor(clips, error)
        if full is not None:
            self._most = len(clips)
            text = "%s; batches of %d fit and are taken from now on"
            _logger.warning(text, full, self._most)
        return rows

    def _on_processor(self, clips: Sequence[Clip], error: RuntimeError) -> list[Row]:
        if not _core.gpu_mode():
            raise error
        gpu.run(False)
        try:
            rows = self._start(clips)()
        except RuntimeError:
            gpu.run(True)
            raise
        self._most = None
        _logger.warning("%s; from now on the net runs on the CPU", error)
        return rows


def _given(rows: list[Row]) -> Callable[[], list[Row]]:
    return lambda: rows
