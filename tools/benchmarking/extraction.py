"""How systems extract a folder of videos.

A system is a function of a Job that returns `extract(videos, out)`. The other ones than ours are
what a person would write: OpenCV decodes, a thread makes the clips of the next video meanwhile.
"""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

from .files import Job

Extract = Callable[[str, str], object]

OURS = "p3d extract"


def load_p3d(job: Job) -> Extract:
    from p3d import _core
    from p3d.extractor import Extractor
    from p3d.jobs.failures import Failures, path_of
    from p3d.jobs.output import Output
    from p3d.jobs.report import Report
    from p3d.jobs.runner import Runner
    from p3d.video import inputs

    _core.set_num_threads(job.threads)
    extractor = Extractor(job.weights, job.prototxt, batch=_batch(job))

    def extract(videos: str, out: str) -> None:
        report = Report("extract", None)
        runner = Runner(extractor, Output(), out, Failures(path_of(out)), report)
        runner.run(inputs.items([videos]))
        report.close()

    return extract


def load_openvino(job: Job) -> Extract:
    import openvino

    options = {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": job.threads}
    compiled = openvino.Core().compile_model(job.onnx, "CPU", options)
    request = compiled.create_infer_request()
    batch = _batch(job)

    def net(clips: np.ndarray) -> np.ndarray:
        whole = np.zeros((batch, *clips.shape[1:]), np.float32)
        whole[: len(clips)] = clips
        request.infer({0: whole}, share_inputs=True)
        features: np.ndarray = request.get_tensor("pool5").data[: len(clips)].copy()
        return features

    def extract(videos: str, out: str) -> None:
        os.makedirs(out, exist_ok=True)
        names = sorted(os.listdir(videos))
        with ThreadPoolExecutor(1) as pool:
            coming = pool.submit(author20, os.path.join(videos, names[0]))
            for index, name in enumerate(names):
                clips = coming.result()
                if index + 1 < len(names):
                    coming = pool.submit(author20, os.path.join(videos, names[index + 1]))
                rows = [net(clips[i : i + batch]) for i in range(0, len(clips), batch)]
                stem = os.path.splitext(name)[0]
                np.save(os.path.join(out, f"{stem}.npy"), np.concatenate(rows))

    return extract


def author20(path: str) -> np.ndarray:
    """The clips of one video, (20, 3, 16, 160, 160), with OpenCV and NumPy alone."""
    frames = list(_frames(path))
    clips = np.empty((20, 3, 16, 160, 160), np.float32)
    mean = np.float32([104, 117, 123]).reshape(3, 1, 1)
    for index in range(20):
        start = math.floor(index * (max(0, len(frames) - 18) / 20))
        for t in range(16):
            frame = frames[(start + t) % len(frames)]
            np.subtract(frame.transpose(2, 0, 1), mean, out=clips[index, :, t])
    return clips


def _frames(path: str) -> Iterator[np.ndarray]:
    import cv2

    capture = cv2.VideoCapture(path)
    while True:
        more, frame = capture.read()
        if not more:
            return
        short = min(frame.shape[:2])
        h, w = (math.ceil(side * 162 / short) for side in frame.shape[:2])
        small = cv2.resize(frame, (w, h), interpolation=cv2.INTER_LINEAR)
        top, left = (h - 160) // 2, (w - 160) // 2
        yield small[top : top + 160, left : left + 160]


def _batch(job: Job) -> int:
    return int(np.load(job.clip, mmap_mode="r").shape[0])


SYSTEMS: dict[str, Callable[[Job], Extract]] = {
    OURS: load_p3d,
    "OpenCV + OpenVINO f32": load_openvino,
}


def serve(pipe: Any, make: Callable[[Job], Extract], job: Job) -> None:
    """In a process of its own: answers (videos, out) with the seconds that it took."""
    extract = make(job)
    while True:
        try:
            videos, out = pipe.recv()
        except EOFError:
            return
        start = time.perf_counter()
        extract(videos, out)
        pipe.send(time.perf_counter() - start)
