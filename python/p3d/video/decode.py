"""Video files, decoded from the first frame to the last by OpenCV.

Nothing is sought and no header is believed: seeking and CAP_PROP_FRAME_COUNT are wrong for too
many files. The number of compressed packets is the estimate (2 to 5 microseconds a packet,
nothing is decoded); decoding tells the truth.
"""

from __future__ import annotations

import os
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import cv2
import numpy as np

from p3d.error import Error
from p3d.video.file_check import check_file
from p3d.video.opencv_name import opencv_name
from p3d.video.source import Alive, Position

# By which a folder's files are taken for videos; a file that a person names may be called anything.
EXTENSIONS = (
    *(".3gp", ".asf", ".avi", ".flv", ".m2ts", ".m4v", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg"),
    *(".mts", ".ogv", ".ts", ".webm", ".wmv"),
)

_CURE = "see what is inside with `ffprobe`, or convert it: `ffmpeg -i FILE -c:v libx264 new.mp4`"


class VideoFile:
    """One video file. Metadata about rotation are applied, as players do."""

    modality = "frame"

    def __init__(self, path: str) -> None:
        self.path = path
        check_file(path)
        self.position = Position(0, 0.0)
        self._record: dict[str, Any] = {}
        self._compared = False

    def estimate(self, alive: Alive = lambda: None) -> int:
        """The number of compressed packets; by decoding where this OpenCV cannot count them."""
        capture = _open(self.path, cv2.CAP_PROP_FORMAT, -1)
        if capture:
            self._record["fps"] = round(capture.get(cv2.CAP_PROP_FPS), 6)
        packets = _count(capture, alive) if capture else 0

        def unwanted(_: int) -> bool:
            alive()
            return False

        return packets or sum(1 for _ in self.frames(unwanted))

    def frames(self, wanted: Callable[[int], bool]) -> Iterator[np.ndarray | None]:
        """See Source. Only a wanted frame is converted to B, G, R."""
        threads = getattr(cv2, "CAP_PROP_N_THREADS", None)  # since OpenCV 4.6
        capture = _open(self.path, *(() if threads is None else (threads, _decoder_threads())))
        if capture is None:
            raise Error(
                f"{self.path}: OpenCV finds no video in it that it can decode (damaged or cut off, "
                f"sound only, not a video, or a rare codec); {_CURE}"
            )
        with opencv_threads_off():
            try:
                yield from self._decode(capture, wanted)
            finally:
                capture.release()

    def record(self) -> dict[str, Any]:
        """Frame rate and rotation by the file's header; the size of the decoded frames."""
        return dict(self._record)

    def _decode(
        self, capture: cv2.VideoCapture, wanted: Callable[[int], bool]
    ) -> Iterator[np.ndarray | None]:
        capture.set(cv2.CAP_PROP_ORIENTATION_AUTO, 1)
        fps = capture.get(cv2.CAP_PROP_FPS)
        self._record["fps"] = round(fps, 6)
        self._record["rotation"] = int(capture.get(cv2.CAP_PROP_ORIENTATION_META))
        count, first, now = 0, 0.0, 0.0
        while capture.grab():
            frame, before, now = None, now, capture.get(cv2.CAP_PROP_POS_MSEC) / 1000
            if now == 0 < before:  # of the last frames, before OpenCV 4.7
                now = before + (1 / fps if fps > 0 else 0)
            first = now if count == 0 else first
            self.position = Position(count, round(now - first, 6))
            if wanted(count):
                ok, frame = capture.retrieve()
                if not ok or frame is None or frame.ndim != 3 or frame.dtype != np.uint8:
                    raise Error(f"{self.path}: frame {count} cannot be decoded; {_CURE}")
                self._record.setdefault("height", frame.shape[0])
                self._record.setdefault("width", frame.shape[1])
            yield frame
            count += 1
        if count == 0:
            raise Error(f"{self.path}: not one frame of it can be decoded; {_CURE}")
        self._compare(self.position.time or 0.0, capture)

    def _compare(self, last: float, capture: cv2.VideoCapture) -> None:
        """Whether the second of the last frame is near the end that the header states: packets are
        as few as frames where a file was cut off. Headers are not exact."""
        fps, frames = capture.get(cv2.CAP_PROP_FPS), capture.get(cv2.CAP_PROP_FRAME_COUNT)
        if self._compared or fps <= 0 or frames <= 0:
            return
        self._compared = True
        ends, stated = last + 1 / fps, frames / fps
        if ends < 0.9 * stated - 0.5:
            warnings.warn(
                f"{self.path}: ends after {ends:.1f} s, by its header it has {stated:.1f} s; it "
                "may be cut off",
                stacklevel=2,
            )


def _open(path: str, *parameters: int) -> cv2.VideoCapture | None:
    ffmpeg = cv2.CAP_FFMPEG in cv2.videoio_registry.getStreamBackends()
    with opencv_name(path) as name:
        capture = cv2.VideoCapture(name, cv2.CAP_FFMPEG if ffmpeg else cv2.CAP_ANY, parameters)
    return capture if capture.isOpened() else None


def _count(capture: cv2.VideoCapture, alive: Alive) -> int:
    count = 0
    while capture.grab():
        alive()
        count += 1
    capture.release()
    return count


def _decoder_threads() -> int:
    """FFmpeg keeps a few frames per thread: bounded, or many cores would cost much memory."""
    return min(4, cores())


def cores() -> int:
    """How many this process may use."""
    affinity = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity else os.cpu_count() or 1


_threads_lock = threading.Lock()
_threads_users = 0
_threads_before = 0


@contextmanager
def opencv_threads_off() -> Iterator[None]:
    """Keeps OpenCV from using its own threads, which would take cores away from the net.

    The setting is the process's: it is restored when the last block is left, in whatever order.
    """
    global _threads_users, _threads_before
    with _threads_lock:
        if _threads_users == 0:
            _threads_before = cv2.getNumThreads()
            cv2.setNumThreads(0)
        _threads_users += 1
    try:
        yield
    finally:
        with _threads_lock:
            _threads_users -= 1
            if _threads_users == 0:
                cv2.setNumThreads(_threads_before)
