"""Sizes as people write them."""

from __future__ import annotations

import argparse
import re


def size(text: str) -> int | tuple[int, int]:
    """One number, or height x width."""
    if not re.fullmatch(r"\d{1,9}(x\d{1,9})?", text):
        raise argparse.ArgumentTypeError(f"'{text}' is no size: give N or HxW, as in 182x242")
    height, x, width = text.partition("x")
    return (int(height), int(width)) if x else int(height)
