"""Clips per second from video files to features:
python -m benchmarking.end_to_end NET DEVICE VIDEOS BATCH

Prints JSON, with those of the net alone, on a batch that is on the GPU already. The net's weights
are random, the videos noise, made here; both are made before the time is taken, and a whole batch
is extracted before, so that all is loaded, and convolutions are chosen for this batch alone.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time

import numpy as np

from p3d import Extractor, _core, gpu
from p3d.clip_net import ClipNet
from p3d.random_weights import write
from p3d.timing import make

from .noise_video import write_video

FORWARDS = 10


def main() -> None:
    net, device, videos, batch = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
    with tempfile.TemporaryDirectory(prefix="p3d-benchmark-") as folder:
        weights = os.path.join(folder, "net.caffemodel")
        write(make(_text(net)), weights)
        path = os.path.join(folder, "noise.avi")
        write_video(path)
        index = gpu.parse(device)
        if index is not None:
            gpu.use(index)
            gpu.run(True)
        extractor = Extractor(weights, net, batch=batch, decoders=os.cpu_count() or 1)
        list(extractor.extract_many([path] * -(-batch // extractor.recipe.clips)))
        for name in extractor.seconds:
            extractor.seconds[name] = 0
        clips = 0
        start = time.perf_counter()
        for features in extractor.extract_many([path] * videos):
            if isinstance(features, Exception):
                raise features
            clips += len(features["pool5"])
        seconds = time.perf_counter() - start
        extractor.close()
        alone = _alone(extractor, batch)
    print(
        json.dumps(
            {
                "clips": clips,
                "clips_per_second": clips / seconds,
                "net_clips_per_second": alone,
                "batch": batch,
                "waiting": extractor.seconds["waiting for frames"] / seconds,
                "on_gpu": _core.gpu_mode(),
            }
        )
    )


def _alone(extractor: Extractor, batch: int) -> float:
    """Clips per second of forwards of whole batches, with nothing copied."""
    clip_net = ClipNet(extractor.net, extractor.blobs)
    length, side = extractor.recipe.length, extractor.recipe.crop
    clip = np.zeros((clip_net.channels, length, side, side), np.uint8)
    clip_net.start([clip] * batch)()
    for count in (3, FORWARDS):
        _core.finish()
        start = time.perf_counter()
        for _ in range(count):
            extractor.net.launch(extractor.blobs)
        _core.finish()
    return FORWARDS * batch / (time.perf_counter() - start)


def _text(net: str) -> str:
    from p3d.export.sources import net_text

    return net_text(None, net)[1]


if __name__ == "__main__":
    main()
