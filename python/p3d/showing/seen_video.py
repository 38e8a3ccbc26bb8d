"""The video that features are of, to look at."""

from __future__ import annotations

from p3d.packing.stored import Stored
from p3d.video.clips import open_video
from p3d.video.source import Source


def seen_video(result: Stored) -> Source:
    """Its frames, also where the net saw flow that was made of them; else its flow images."""
    meta = result.meta
    return open_video(meta["video"], "frame" if "flow" in meta else meta["modality"])
