"""The optical flow of videos as folders of images, as dense_flow writes them and nets read them.

    OUT/<name>/flow_x_00001.jpg, flow_y_00001.jpg    from the first frame to the second one
    OUT/<name>/flow.json                             of which video, made how

A folder gets its name when it is complete. Until then it is .<name>.partial, and whoever makes it
again goes on where it ended.
"""

from __future__ import annotations

import json
import os
import shutil
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from typing import Any, NamedTuple

import cv2
import numpy as np

from p3d.atomic import make_folder, replacing, sweep
from p3d.error import Error
from p3d.jobs.done import stamp
from p3d.video.decode import opencv_threads_off
from p3d.video.decoder import Decoder
from p3d.video.inputs import Item
from p3d.video.reading import Clip, End, FrameCount, GreyFrames
from p3d.video.tvl1 import Tvl1, to_images

_META = "flow.json"


class FlowOptions(NamedTuple):
    """How flow images are made; `size` is (w, h) of the frames, None: as they are."""

    bound: float = 20.0
    size: tuple[int, int] | None = None
    quality: int = 95
    method: Tvl1 = Tvl1()

    def record(self) -> dict[str, Any]:
        """All that the images depend on, but for the video."""
        return {
            "method": "tvl1",
            **self.method._asdict(),
            "bound": self.bound,
            "size": list(self.size) if self.size else None,
            "quality": self.quality,
        }


class FlowFolders:
    """Makes them below `out`, a video after the other, by so many threads."""

    def __init__(
        self, out: str, options: FlowOptions, threads: int, decoder: Decoder | None = None
    ) -> None:
        self._out, self._options, self._threads = out, options, threads
        self._decoder = decoder or Decoder()

    def is_done(self, item: Item) -> bool:
        """Whether the folder of a video is there; Error if it is another one's, or made otherwise.

        A video that is gone since leaves its flow valid.
        """
        folder = self._folder(item)
        if not os.path.lexists(folder):
            return False
        known, wanted = _read(folder), self._record(item)
        if wanted["stamp"] is None:
            wanted["stamp"] = known.get("stamp")
        if "pairs" in known and wanted.items() <= known.items():
            return True
        raise Error(
            f"{item.path}: {folder} is there and is not the flow of this video, made like this; "
            "remove it, or choose another --out"
        )

    def frames(self, item: Item) -> int | None:
        """How many frames a video seems to have; None where that cannot be told."""
        for event in self._decoder.read(FrameCount(item.path)):
            if isinstance(event, End) and isinstance(event.result, dict):
                return int(event.result["frames"])
        return None

    def make(self, item: Item, progress: Callable[[], object] = lambda: None) -> int:
        """Makes the folder of a video, which must not be there; returns the number of pairs.

        `progress` is called for each. Error says what is wrong with the video, or with the place.
        """
        partial = self._begin(item)
        pairs = _Pairs(partial, self._options, self._threads, progress)
        with opencv_threads_off(), pairs:
            for event in self._decoder.read(GreyFrames(item.path, self._options.size)):
                if isinstance(event, Clip):
                    pairs.add(event.values)
                elif isinstance(event.result, Exception):
                    raise event.result
            pairs.finish()
        if pairs.count == 0:
            raise Error(f"{item.path}: flow is between two frames, and it has one")
        _write(partial, {**self._record(item), "pairs": pairs.count})
        os.rename(partial, self._folder(item))
        return pairs.count

    def close(self) -> None:
        """Ends the process that decodes."""
        self._decoder.stop()

    def _begin(self, item: Item) -> str:
        """The folder in the making: empty, or what the same video and options left of it."""
        folder = self._folder(item)
        partial = os.path.join(os.path.dirname(folder), f".{os.path.basename(folder)}.partial")
        record = self._record(item)
        if _read(partial) != record:
            with suppress(FileNotFoundError):
                shutil.rmtree(partial)
            make_folder(partial)
            _write(partial, record)
        sweep(partial)
        return partial

    def _folder(self, item: Item) -> str:
        return os.path.join(self._out, item.name)

    def _record(self, item: Item) -> dict[str, Any]:
        video = {"video": os.path.abspath(item.path), "stamp": stamp(item.path)}
        return {**video, **self._options.record()}


class _Pairs:
    """Flow between neighbouring frames, by several threads, each for a pair of its own."""

    def __init__(
        self, folder: str, options: FlowOptions, threads: int, progress: Callable[[], object]
    ) -> None:
        self._folder, self._options, self._progress = folder, options, progress
        self._pool = ThreadPoolExecutor(threads, "p3d-flow")
        self._most = 2 * threads
        self._pending: deque[Future[None]] = deque()
        self._before: np.ndarray | None = None
        self.count = 0

    def __enter__(self) -> None:
        pass

    def __exit__(self, *error: object) -> None:
        self._pool.shutdown(cancel_futures=True)

    def add(self, frame: np.ndarray) -> None:
        """The next frame; waits while there is enough to do."""
        before, self._before = self._before, frame
        if before is None:
            return
        self.count += 1
        self._pending.append(self._pool.submit(self._make, self.count, before, frame))
        if len(self._pending) > self._most:
            self._take()

    def finish(self) -> None:
        """Waits for all."""
        while self._pending:
            self._take()

    def _take(self) -> None:
        self._pending.popleft().result()
        self._progress()

    def _make(self, number: int, before: np.ndarray, after: np.ndarray) -> None:
        paths = [os.path.join(self._folder, f"flow_{c}_{number:05d}.jpg") for c in "xy"]
        if all(map(os.path.exists, paths)):
            return
        try:
            flow = self._options.method(before, after)
        except cv2.error as error:
            raise Error(f"no flow between frames of {before.shape}: {error.err}") from error
        images = to_images(flow, self._options.bound)
        for path, image in zip(paths, np.moveaxis(images, 2, 0), strict=True):
            _write_image(path, image, self._options.quality)


def _write_image(path: str, image: np.ndarray, quality: int) -> None:
    parameters = [cv2.IMWRITE_JPEG_QUALITY, quality]
    _, encoded = cv2.imencode(".jpg", np.ascontiguousarray(image), parameters)
    with replacing(path) as file:
        file.write(encoded.tobytes())


def _read(folder: str) -> dict[str, Any]:
    try:
        with open(os.path.join(folder, _META), encoding="utf-8") as file:
            found = json.load(file)
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _write(folder: str, record: dict[str, Any]) -> None:
    with replacing(os.path.join(folder, _META), "w") as file:
        json.dump(record, file, indent=1)
        file.write("\n")
