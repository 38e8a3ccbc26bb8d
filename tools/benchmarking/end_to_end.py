"""Clips per second from video files to features: python end_to_end.py NET DEVICE VIDEOS

Prints JSON. The net's weights are random, the videos noise of 320x240 and 200 frames, made here;
both are made before the time is taken, and one video is extracted before, so that all is loaded.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time

import cv2
import numpy as np

from p3d import Extractor, _core, gpu
from p3d.random_weights import write
from p3d.timing import make

FRAMES, SIZE = 200, (320, 240)


def main() -> None:
    net, device, videos = sys.argv[1], sys.argv[2], int(sys.argv[3])
    with tempfile.TemporaryDirectory(prefix="p3d-benchmark-") as folder:
        weights = os.path.join(folder, "net.caffemodel")
        write(make(_text(net)), weights)
        path = os.path.join(folder, "noise.avi")
        _write_video(path)
        index = gpu.parse(device)
        if index is not None:
            gpu.use(index)
            gpu.run(True)
        extractor = Extractor(weights, net, decoders=os.cpu_count() or 1)
        extractor.extract(path)
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
    print(
        json.dumps(
            {
                "clips": clips,
                "clips_per_second": clips / seconds,
                "batch": extractor.clips_at_once(),
                "waiting": extractor.seconds["waiting for frames"] / seconds,
                "on_gpu": _core.gpu_mode(),
            }
        )
    )


def _text(net: str) -> str:
    from p3d.export.sources import net_text

    return net_text(None, net)[1]


def _write_video(path: str) -> None:
    fourcc = cv2.VideoWriter.fourcc(*"MJPG")
    writer = cv2.VideoWriter(path, fourcc, 25, SIZE)
    rng = np.random.default_rng(0)
    picture = cv2.resize(rng.integers(0, 255, (60, 80, 3), np.uint8), SIZE)
    for frame in range(FRAMES):
        writer.write(np.roll(picture, frame, axis=1))
    writer.release()


if __name__ == "__main__":
    main()
