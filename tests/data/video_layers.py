"""Lists of small videos, and layers and nets that read them."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import cv2
import numpy as np

import p3d.caffe as caffe


def numbered(video: int, frame: int, h: int = 24, w: int = 32, c: int = 3) -> np.ndarray:
    """A frame that says which it is: pixel (0, 0) holds the video's and the frame's number; the
    rest differs everywhere."""
    image = np.random.default_rng([video, frame]).integers(0, 256, (h, w, c)).astype(np.uint8)
    image[0, 0, :2] = (video, frame)
    return image


def frame_folder(folder: Path, video: int, count: int, **size: int) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for frame in range(count):
        cv2.imwrite(str(folder / f"img_{frame + 1:05d}.png"), numbered(video, frame, **size))
    return folder


def flow_folder(folder: Path, video: int, count: int) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for frame in range(count):
        for channel, name in enumerate(("flow_x", "flow_y")):
            image = numbered(video, frame, c=2)[..., channel]
            cv2.imwrite(str(folder / f"{name}_{frame + 1:05d}.png"), image)
    return folder


def write_list(folder: Path, lines: Iterable[str]) -> Path:
    source = folder / "list.txt"
    source.write_text("".join(f"{line}\n" for line in lines))
    return source


def net(source: Path | str, param: str, phase: int = caffe.TRAIN, tops: int = 2) -> caffe.Net:
    workers = "" if "workers" in param else "workers: 0"
    names = " ".join(f'top: "{name}"' for name in ("data", "label")[:tops])
    return caffe.Net(
        f'layer {{ name: "v" type: "VideoData" {names} '
        f'video_data_param {{ source: "{source}" {workers} {param} }} }}',
        phase,
    )


def batches(made: caffe.Net, count: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """Copies of the next batches: data and label."""
    found = []
    for _ in range(count):
        made.forward()
        found.append((made.blobs["data"].data.copy(), made.blobs["label"].data.copy()))
    return found


def places(data: np.ndarray) -> list[tuple[int, list[int]]]:
    """(video, its frames) of every clip of whole, untouched `numbered` frames."""
    return [(int(clip[0, 0, 0, 0]), clip[1, :, 0, 0].astype(int).tolist()) for clip in data]
