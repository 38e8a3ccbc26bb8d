"""What a person, or a program, is told while videos are worked on."""

from __future__ import annotations

import json
import sys
import threading
from typing import Any

from tqdm import tqdm

from p3d.video.inputs import Item


class Report:
    """For people: failures and classes as they come, a bar with the time left on a terminal.

    Where every video has the same number of clips the bar counts clips, else videos, and says how
    many clips that was so far: a video may take hours.
    """

    def __init__(self, verb: str, total: int | None, clips_of_each: int | None = None) -> None:
        self._verb, self._each, self._clips = verb, clips_of_each, 0
        self._lock = threading.Lock()
        unit = "video" if self._each is None else "clip"
        known = total if total is None else total * (self._each or 1)
        # smoothing=0: the time left by the mean of all so far; disable=None: on a terminal only
        self._bar = tqdm(total=known, unit=unit, disable=None, smoothing=0, dynamic_ncols=True)

    def clips(self, count: int) -> None:
        """So many more went through the net."""
        with self._lock:
            self._clips += count
            if self._each is None:
                self._bar.set_postfix_str(f"{self._clips} clips")
            else:
                self._bar.update(count)

    def done(self, item: Item, meta: dict[str, Any]) -> None:
        """A video is complete."""
        if "top" in meta:
            best = ", ".join(f"{name} {score:.3f}" for name, score in meta["top"])
            self._say(f"{item.path}: {best}", sys.stdout)
        if self._each is None:
            self._bar.update()

    def skipped(self, item: Item) -> None:
        """A video was complete before."""
        self._less()

    def failed(self, item: Item, error: str) -> None:
        """A video could not be read, or its features not be written."""
        self._say(f"p3d {self._verb}: {error}", sys.stderr)
        self._less()

    def close(self) -> None:
        """Ends the bar."""
        self._bar.close()

    def summary(self, text: str, numbers: dict[str, Any]) -> None:
        """The last line."""
        self.close()
        print(text)

    def _less(self) -> None:
        """A video less to do: it says nothing of how long the others take."""
        with self._lock:
            if self._bar.total is not None:
                self._bar.total -= self._each or 1
                self._bar.refresh()

    def _say(self, text: str, file: Any) -> None:
        with self._lock:
            tqdm.write(text, file=file)


class JsonReport(Report):
    """For programs: one JSON object a line on standard output, "event" tells which."""

    def __init__(self, verb: str, total: int | None, clips_of_each: int | None = None) -> None:
        self._lock = threading.Lock()
        self._print(event="start", verb=verb, videos=total)

    def clips(self, count: int) -> None:
        self._print(event="clips", clips=count)

    def done(self, item: Item, meta: dict[str, Any]) -> None:
        more = {"top": meta["top"]} if "top" in meta else {}
        shapes = meta.get("blobs", {})
        self._print(event="done", video=item.path, name=item.name, blobs=shapes, **more)

    def skipped(self, item: Item) -> None:
        self._print(event="skipped", video=item.path, name=item.name)

    def failed(self, item: Item, error: str) -> None:
        self._print(event="failed", video=item.path, name=item.name, error=error)

    def close(self) -> None:
        """Nothing to end."""

    def summary(self, text: str, numbers: dict[str, Any]) -> None:
        self._print(event="summary", **numbers)

    def _print(self, **event: Any) -> None:
        with self._lock:
            print(json.dumps(event), flush=True)
