"""Videos through the extractor to files."""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import NamedTuple

from p3d.atomic import sweep
from p3d.clip_batches import Done, Row
from p3d.error import DiskFull, Error
from p3d.extractor import Extractor
from p3d.jobs import done
from p3d.jobs.failures import Failures
from p3d.jobs.output import Output
from p3d.jobs.report import Report
from p3d.jobs.result import Result
from p3d.jobs.summary import Summary
from p3d.jobs.writing import Writing
from p3d.video.inputs import Item

_REMEMBERED = 4096  # folders that were cleaned already


class _Job(NamedTuple):
    item: Item
    base: str
    stamp: list[int] | None
    result: Result


class Runner:
    """Extracts what is not complete yet, and reports what cannot be.

    `overwrite` lets features of other videos, or of unknown origin, be replaced.
    """

    def __init__(
        self,
        extractor: Extractor,
        output: Output,
        out: str,
        failures: Failures,
        report: Report,
        overwrite: bool = False,
    ) -> None:
        self._extractor, self._output, self._out = extractor, output, out
        self._failures, self._report, self._overwrite = failures, report, overwrite
        self._made = done.made_by(extractor, output)
        self._lock = threading.Lock()
        self._jobs: dict[int, _Job] = {}  # by their number in the stream
        self._begun: dict[str, str] = {}  # name -> path of those
        self._sweep = lru_cache(_REMEMBERED)(sweep)  # a folder once
        self._given = 0
        self.summary = Summary()

    def run(self, items: Iterable[Item], report: Report | None = None) -> Summary:
        """All of them, in the order in which they come through; Ctrl-C ends between two clips.

        A runner may run again, and tell another `report`. Raises DiskFull at the first file that
        the disk has no room for: what was written before is whole.
        """
        self._report = report or self._report
        self._given = 0
        self.summary = Summary()
        self.summary.start()
        writing = Writing(self._take)
        stream = self._extractor.stream(self._videos(items), self._count)
        try:
            with contextlib.closing(stream):
                for event in stream:
                    writing.put(event)
        finally:
            try:
                writing.close()
            finally:
                for job in self._jobs.values():  # the rest of an interrupted run
                    job.result.abandon()
                self._jobs.clear()
                self._begun.clear()
                stages = {**self._extractor.seconds, "waiting for the disk": writing.waited}
                self.summary.end(stages, self._extractor.decoding_seconds)
                self._failures.close()
        return self.summary

    def state(self, item: Item) -> str:
        """ "done", or "todo"; Error if its place is taken."""
        base = os.path.join(self._out, item.name)
        if done.is_done(base, item.path, self._made, self._output.kind):
            return "done"
        if not self._overwrite:
            done.check_free(base, item.path)
        return "todo"

    def _videos(self, items: Iterable[Item]) -> Iterator[str]:
        """The videos to read; those that are complete, or cannot be, are told and left out."""
        for item in items:
            self._sweep(os.path.dirname(os.path.join(self._out, item.name)))
            try:
                with self._lock:
                    owner = self._begun.get(item.name)
                if owner is not None and os.path.realpath(owner) != os.path.realpath(item.path):
                    raise Error(f"{item.path}: is to be written as '{item.name}', as is {owner}")
                if owner is not None or self.state(item) == "done":
                    self._skip(item)
                    continue
            except (Error, OSError) as error:
                self._fail(item, error)
                continue
            yield self._begin(item)

    def _begin(self, item: Item) -> str:
        base = os.path.join(self._out, item.name)
        extractor = self._extractor
        result = Result(base, self._output, extractor.recipe.views, extractor.labels)
        with self._lock:
            self._jobs[self._given] = _Job(item, base, done.stamp(item.path), result)
            self._begun[item.name] = item.path
            self._given += 1
        return item.path

    def _take(self, event: Row | Done) -> None:
        """In the thread that writes."""
        job = self._jobs.get(event.video)
        if job is None:
            return  # rows of a video whose file could not be written
        try:
            if isinstance(event, Row):
                job.result.add(event.number, event.values)
                return
            if isinstance(event.result, Exception):
                raise event.result
            meta = {**event.result, "stamp": job.stamp, "made_by": self._made}
            meta = job.result.finish(meta)
        except DiskFull as error:  # nor has it room for the others
            raise DiskFull(
                f"{error}; what is written is whole, and the same again does the rest"
            ) from error
        except Exception as error:  # whatever it is, it is this video's, and the others go on
            self._end(event.video)
            self._fail(job.item, error)
        else:
            self._end(event.video)
            self._failures.settle(job.item)
            self.summary.done += 1
            self._report.done(job.item, meta)

    def _end(self, video: int) -> None:
        with self._lock:
            job = self._jobs.pop(video)
            del self._begun[job.item.name]
        job.result.abandon()

    def _skip(self, item: Item) -> None:
        with self._lock:
            self.summary.skipped += 1
            self._failures.settle(item)
        self._report.skipped(item)

    def _fail(self, item: Item, error: BaseException) -> None:
        text = " ".join(str(error).split()) or type(error).__name__
        if not isinstance(error, Error | OSError | MemoryError):
            text = f"{type(error).__name__}: {text}"
        if item.path not in text:
            text = f"{item.path}: {text}"
        with self._lock:
            self.summary.failed += 1
            try:
                self._failures.add(item, text)
            except (Error, OSError) as reason:
                text += f" (and this could not be noted: {reason})"
        self._report.failed(item, text)

    def _count(self, clips: int) -> None:
        self.summary.clips += clips
        if clips:
            self._report.clips(clips)
