"""One author20 clip with nothing but cv2 and numpy: what the package must agree with.

`python plain_clip.py VIDEO INDEX` prints the numbers that tests/video/real_video.json keeps.
"""

import json
import math
import sys

import cv2
import numpy as np


def plain_clip(path: str, index: int, edge=162, crop=160, length=16) -> np.ndarray:
    """Clip `index` (from 0) of a video: float32 (3, length, crop, crop), B G R minus the mean."""
    frames, capture = [], cv2.VideoCapture(path)
    while True:
        ok, frame = capture.read()
        if not ok:
            break
        frames.append(frame)
    start = math.floor(index * max(0, (len(frames) - length - 2) / 20))
    clip = np.zeros((3, length, crop, crop), np.float32)
    for t in range(length):
        frame = frames[(start + t) % len(frames)]
        short = min(frame.shape[:2])
        h, w = (math.ceil(side * edge / short) for side in frame.shape[:2])
        frame = cv2.resize(frame, (w, h), interpolation=cv2.INTER_LINEAR)
        y, x = (h - crop) // 2, (w - crop) // 2
        for c, mean in enumerate((104, 117, 123)):
            clip[c, t] = frame[y : y + crop, x : x + crop, c] - np.float32(mean)
    return clip


def numbers(clip: np.ndarray) -> dict:
    """Means per channel, and values where the picture changes most from pixel to pixel."""
    steps = [np.abs(np.diff(clip[:, ::5], axis=a))[:, :, :159, :159] for a in (2, 3)]
    steep = np.minimum(*steps).min(axis=0)  # in every channel, down and to the right
    flat = np.argsort(-steep, axis=None, kind="stable")[::7][:30]
    points = [
        (int(t) * 5, int(y), int(x))
        for t, y, x in np.transpose(np.unravel_index(flat, steep.shape))
    ]
    return {
        "channel_mean": [round(float(m), 3) for m in clip.mean(axis=(1, 2, 3))],
        "points": [[*p, *(float(v) for v in clip[:, p[0], p[1], p[2]])] for p in points],
    }


if __name__ == "__main__":
    print(json.dumps(numbers(plain_clip(sys.argv[1], int(sys.argv[2])))))
