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
from collections.abc import Callable, Iterator
from contextlib import suppress
from itertools import pairwise
from typing import Any

import cv2
import numpy as np

from p3d.atomic import make_folder, replacing, sweep
from p3d.error import Error
from p3d.jobs.done import stamp
from p3d.video.ahead import in_order
from p3d.video.decode import opencv_threads_off
from p3d.video.decoder import Decoder
from p3d.video.flow import FlowOptions, no_flow_of_one
from p3d.video.inputs import Item
from p3d.video.reading import Clip, End, FrameCount, GreyFrames

_META = "flow.json"


class FlowFolders:
    """Makes them below `out`, a video after the other, by so many threads; `quality` is JPEG's."""

    def __init__(self, out: str, options: FlowOptions, threads: int, quality: int = 95) -> None:
        self._out, self._options, self._threads = out, options, threads
        self._quality = quality
        self._decoder = Decoder()

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
        other = [key for key in wanted if known.get(key) != wanted[key]] or ["pairs"]
        raise Error(
            f"{item.path}: {folder} is there and is not the flow of this video, made like this "
            f"({other[0]} is {known.get(other[0])}); remove it, or choose another --out"
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
        count = 0
        with opencv_threads_off():
            pairs = enumerate(pairwise(self._greys(item)), 1)
            for _ in in_order(lambda pair: self._make(item, partial, *pair), pairs, self._threads):
                count += 1
                progress()
        if count == 0:
            raise no_flow_of_one(item.path)
        _write(partial, {**self._record(item), "pairs": count})
        os.rename(partial, self._folder(item))
        return count

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

    def _greys(self, item: Item) -> Iterator[np.ndarray]:
        for event in self._decoder.read(GreyFrames(item.path, self._options.size)):
            if isinstance(event, Clip):
                yield event.values
            elif isinstance(event.result, Exception):
                raise event.result

    def _make(
        self, item: Item, folder: str, number: int, frames: tuple[np.ndarray, np.ndarray]
    ) -> None:
        paths = [os.path.join(folder, f"flow_{c}_{number:05d}.jpg") for c in "xy"]
        if all(map(os.path.exists, paths)):
            return
        images = self._options.between(item.path, number - 1, frames)
        for path, image in zip(paths, np.moveaxis(images, 2, 0), strict=True):
            _write_image(path, image, self._quality)

    def _folder(self, item: Item) -> str:
        return os.path.join(self._out, item.name)

    def _record(self, item: Item) -> dict[str, Any]:
        video = {"video": os.path.abspath(item.path), "stamp": stamp(item.path)}
        return {**video, **self._options.record(), "quality": self._quality}


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
