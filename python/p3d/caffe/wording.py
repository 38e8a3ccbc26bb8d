"""Pieces of error messages."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from itertools import islice


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """ "; did you mean 'bn_param'?" if a known name is close, else nothing."""
    close = difflib.get_close_matches(name[:100], islice(known, 5000), n=1, cutoff=0.7)
    return f"; did you mean '{close[0]}'?" if close else ""


def shorten(text: str, length: int = 80) -> str:
    """`text` without control characters, cut to `length` characters."""
    shown = text[:length].encode("unicode_escape").decode("ascii")
    return shown if len(text) <= length else shown + "..."
