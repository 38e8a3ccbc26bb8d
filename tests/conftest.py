"""What tests of several rooms share."""

from real_video import real_video

__all__ = ["real_video"]
