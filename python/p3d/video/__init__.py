"""From videos, frames and flow images to clips for the nets."""

from p3d.input_check import InputWarning, check_input
from p3d.video.ahead import ahead
from p3d.video.clips import ClipReader, open_video
from p3d.video.decode import VideoFile
from p3d.video.preprocess import MEAN, resize_and_crop, to_clip
from p3d.video.recipe import RECIPES, Recipe, recipe_named
from p3d.video.sampling import author20, frame_indices

__all__ = [
    "MEAN",
    "RECIPES",
    "ClipReader",
    "InputWarning",
    "Recipe",
    "VideoFile",
    "ahead",
    "author20",
    "check_input",
    "frame_indices",
    "open_video",
    "recipe_named",
    "resize_and_crop",
    "to_clip",
]
