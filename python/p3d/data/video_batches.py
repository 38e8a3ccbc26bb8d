"""What a VideoData layer does, for whatever class a Caffe calls."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from p3d import _core
from p3d.caffe.proto import caffe_pb2
from p3d.data.data_layer import check_tops, pack_state, unpack_state
from p3d.data.finish import Finish
from p3d.data.listed_clips import Clip, ListedClips
from p3d.data.loader import Loader
from p3d.data.order import skipped
from p3d.data.seeds import new_seed
from p3d.data.share import of_this_process
from p3d.data.workers import reading
from p3d.gpu_pixels import GpuPixels
from p3d.pixel_values import PixelValues

Put = Callable[[int, np.ndarray, PixelValues], None]


@dataclass
class Spent:
    """Seconds of all clips so far: decode, edit and copy of the processor, wait of the clock.

    Where this process reads the clips itself, waiting is reading.
    """

    clips: int = 0
    decode: float = 0.0
    edit: float = 0.0
    copy: float = 0.0
    wait: float = 0.0


class VideoBatches:
    """Tops data (batch_size, 3 or 2, new_length, h, w), and with use_label label (batch_size).

    Channels are B, G, R of frames, or x, y of flow. Phase TRAIN gives a clip per video and epoch,
    TEST num_clips evenly spaced ones. Each rank takes its own clips (see share.py).
    """

    def __init__(self, param: Any, phase: int, top: Sequence[Any]) -> None:
        """`param` is a VideoDataParameter; everything that can be checked without opening a video
        is checked now."""
        count = 2 if param.use_label else 1
        check_tops(top, count, count)
        train = phase == caffe_pb2.TRAIN
        seed = param.seed if param.HasField("seed") else new_seed()
        self._batch, self._seed = param.batch_size, seed
        self._clips = ListedClips(param, train, seed)
        self._finish = Finish(param, train)
        self._gpu_pixels: GpuPixels | None = None
        workers = param.workers if param.HasField("workers") else None
        own = of_this_process(train)
        who = reading(self._clips, workers, param.prefetch * param.batch_size, own.ranks)
        self.loader = Loader(self._clips, who, param.max_bad_share, param.source, own)
        self.loader.position = skipped(param.rand_skip, seed, self._clips.order.count)
        self.spent = Spent()
        self.videos, self.workers = len(self._clips.videos), who.workers
        self.reshape(top)

    def reshape(self, top: Sequence[Any]) -> None:
        """Gives the tops their shapes. Real pycaffe's lists of blobs know len and [index] only."""
        top[0].reshape(self._batch, *self._clips.shape)
        if len(top) > 1:
            top[1].reshape(self._batch)

    def fill(self, top: Sequence[Any]) -> None:
        """The next batch."""
        put, send = self._way_to(top[0])
        views = [top[index].data for index in range(1, len(top))]
        for place in range(self._batch):
            began = time.perf_counter()
            clip, pixels = self.loader.next()
            read = time.perf_counter()
            put(place, pixels, self._finish.values(clip))
            for labels in views:
                labels[place] = clip.label
            self._count(clip, read - began, time.perf_counter() - read)
        send()

    def _way_to(self, data: Any) -> tuple[Put, Callable[[], None]]:
        """What takes a clip to its place in the blob, and what ends a batch. To a GPU they go as
        bytes."""
        if not (_core.gpu_mode() and isinstance(data, _core.Blob)):
            if self._gpu_pixels is not None:
                self._gpu_pixels = None
                # Nothing shall be read from a GPU that may have failed.
                data.assign(np.zeros(data.shape, np.float32))
            view = data.data
            return lambda place, pixels, values: values.write(pixels, view[place]), lambda: None
        if self._gpu_pixels is None:
            self._gpu_pixels = GpuPixels(data, self._finish.means)
        gpu_pixels = self._gpu_pixels
        gpu_pixels.begin()
        return gpu_pixels.put, lambda: gpu_pixels.send(data)

    def _count(self, clip: Clip, wait: float, copy: float) -> None:
        self.spent.clips += 1
        self.spent.decode += clip.decode
        self.spent.edit += clip.edit
        self.spent.copy += copy
        self.spent.wait += wait

    def save_state(self) -> bytes:
        """Where the data goes on."""
        return pack_state(
            list=self._clips.fingerprint, seed=self._seed, position=self.loader.position
        )

    def load_state(self, state: bytes) -> None:
        """Go on from there: the next batch is the one that followed `save_state`."""
        seed, position = unpack_state(state, "seed", "position", list=self._clips.fingerprint)
        self._seed = seed
        self.loader.go(seed, position)

    def close(self) -> None:
        """Ends the processes that read ahead; they are started again when they are needed."""
        self.loader.close()
