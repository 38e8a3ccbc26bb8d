"""Iterations per second of a training from video files, and of its net alone:
python -m benchmarking.end_to_end_training NET DEVICE BATCH ITERATIONS

Prints JSON. The net's weights are random and its BN frozen; the videos are noise. The net alone
goes on with one batch that is there already.
"""

from __future__ import annotations

import gc
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from p3d import _core, caffe, gpu
from p3d.caffe import prototxt
from p3d.caffe.proto import caffe_pb2

from .files import write_text
from .noise_video import write_video
from .training_files import LABEL, Training, prepare

VIDEOS = 64  # in the list


def main() -> None:
    net, device, batch, iterations = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
    threads = os.cpu_count() or 1
    with tempfile.TemporaryDirectory(prefix="p3d-benchmark-") as folder:
        job, _ = prepare(net, None, batch=batch, threads=threads, folder=folder, frozen=True)
        fed = _fed(job, batch, threads, folder)
        index = gpu.parse(device)
        if index is not None:
            gpu.use(index)
            gpu.run(True)

        def fill(solver: Any) -> None:
            solver.net.blobs[job.input].data[...] = np.load(job.clip)
            solver.net.blobs[LABEL].data[...] = np.load(job.labels)

        alone = _rate(job.solver, job.weights, iterations, fill)
        gc.collect()  # one net's memory at a time
        rate = _rate(fed, job.weights, iterations, lambda solver: None)
    print(
        json.dumps(
            {
                "batch": batch,
                "iterations_per_second": rate,
                "net_iterations_per_second": alone,
                "on_gpu": _core.gpu_mode(),
            }
        )
    )


def _fed(job: Training, batch: int, workers: int, folder: str) -> str:
    """The solver prototxt of the same training with VideoData in place of its inputs."""
    net = prototxt.parse_net(Path(job.prototxt).read_text())
    (shape,) = (
        layer.input_param.shape[0].dim for layer in net.layer if list(layer.top) == [job.input]
    )
    video = os.path.join(folder, "noise.avi")
    write_video(video)
    data = caffe_pb2.LayerParameter(name="video", type="VideoData", top=[job.input, LABEL])
    data.video_data_param.MergeFrom(
        caffe_pb2.VideoDataParameter(
            source=write_text(f"{video} 0\n{video} 1\n" * (VIDEOS // 2), folder, "list.txt"),
            batch_size=batch,
            new_length=shape[2],
            crop_size=shape[3],
            mean_value=[104, 117, 123],
            mirror=True,
            shuffle=True,
            workers=workers,
        )
    )
    layers = [data, *(layer for layer in net.layer if layer.type != "Input")]
    del net.layer[:]
    net.layer.extend(layers)
    path = write_text(str(net), folder, "train_videos.prototxt")
    solver = Path(job.solver).read_text().replace(job.prototxt, path)
    return write_text(solver, folder, "solver_videos.prototxt")


def _rate(path: str, weights: str, iterations: int, fill: Callable[[Any], object]) -> float:
    solver = caffe.get_solver(path)
    solver.net.copy_from(weights)
    fill(solver)
    solver.step(3)
    _core.finish()
    start = time.perf_counter()
    solver.step(iterations)
    _core.finish()
    return iterations / (time.perf_counter() - start)


if __name__ == "__main__":
    main()
