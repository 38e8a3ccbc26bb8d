"""The data layers of a train_val net: clips from lists of videos, as the authors cut them."""

from __future__ import annotations

from dataclasses import dataclass

from p3d.error import Error
from p3d.models.net import Net

#: Height and width that a frame is resized to, in units of the piece of 160 x 160 cut from it.
_HEIGHT, _WIDTH, _PIECE = 182, 242, 160

_MEAN = {False: [104, 117, 123], True: [128]}


@dataclass(frozen=True)
class Feed:
    """Where the clips come from: train.txt and test.txt in `folder`, with paths relative to it.

    A line of the lists is `path label`, for one random clip per video and epoch, or `path
    start_frame label`, for that one. `batch` clips go through the net at once, in a test
    `test_batch`; `mirror`: half of those in training are flipped.
    """

    folder: str
    batch: int
    test_batch: int
    mirror: bool = True

    def write(self, net: Net, clip: tuple[int, int, int, int], flow: bool, classes: int) -> str:
        """Appends both layers, for clips of shape C L H W; returns the blob of the clips.

        The labels are the blob "label".
        """
        channels, length, *crop = clip
        if crop[0] != crop[1]:
            raise Error(f"crop is {crop[0]} x {crop[1]}: VideoData cuts squares, give one number")
        side = crop[0]
        height, width = (-(-side * edge // _PIECE) for edge in (_HEIGHT, _WIDTH))
        shared = {
            "root_folder": f"{self.folder}/",
            "batch_size": self.batch,
            "new_length": length,
            "new_height": height,
            "new_width": width,
            "crop_size": side,
            "mean_value": _MEAN[flow],
            "sampling_rate": 1,
            "use_flow": flow,
            "num_classes": classes,
        }
        said_by = "published" if side == _PIECE and not flow else "as with the published frames"
        net.comment(f"height {height}, width {width}, pieces of {side} x {side}: {said_by}")
        net.comment(f"mean of {'x and y' if flow else 'B, G, R'}: published")
        train = {"mirror": self.mirror, "shuffle": True}
        source = {"source": f"{self.folder}/train.txt"}
        net.video_data("TRAIN", channels, **source, **shared, **train)
        net.comment("the middle of the frames and of the videos; num_clips takes more of them")
        source = {"source": f"{self.folder}/test.txt"}
        net.video_data("TEST", channels, **source, **shared | {"batch_size": self.test_batch})
        return "data"
