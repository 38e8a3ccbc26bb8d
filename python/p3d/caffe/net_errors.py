"""What errors of a net say besides what is wrong: its file, and the cure of the common ones."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator

from p3d.caffe.relax import RELAXED
from p3d.error import Error

_CHANNELS = re.compile(r"the weights are for (\d+) input channels, the bottom has (\d+)")


@contextlib.contextmanager
def net_errors(origin: str) -> Iterator[None]:
    """Errors that are raised inside begin with the net's file and end with the cure, if a crop or
    length is the reason that the net is not made for."""
    try:
        yield
    except Error as error:
        raise type(error)(f"{origin}: {error}{_cure(str(error))}") from None


def _cure(text: str) -> str:
    if text.startswith("Reshape '") and "cannot give the bottom" in text:
        return (
            "; the prototxt fixes this layer's size, which fits one input size only: "
            "relax_reshape=True (--relax-reshape of extract and deepdraw) takes it from the "
            f"input, and so does reshape_param {{ {RELAXED} }} in the file"
        )
    channels = _CHANNELS.search(text)
    if channels and int(channels[2]) % int(channels[1]) == 0:
        return (
            "; if the clip is longer than the net was made for, take the net's any-length "
            "variant (p3d models NAME --any-length --length N)"
        )
    return ""
