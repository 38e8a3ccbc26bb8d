"""Pieces of error messages."""

from __future__ import annotations

import contextlib
import difflib
from collections.abc import Iterable, Iterator
from itertools import islice

from p3d.error import Error


def did_you_mean(name: str, known: Iterable[str], most: int = 1) -> str:
    """ "; did you mean 'bn_param'?" if a known name, or `most` of them, is close, else nothing."""
    words = {word.lower(): f"'{word}'" for word in islice(known, 5000)}
    close = [words[key] for key in difflib.get_close_matches(name[:100].lower(), words, most, 0.7)]
    *others, last = close or [""]
    return f"; did you mean {', '.join(others)}{' or ' * bool(others)}{last}?" if close else ""


@contextlib.contextmanager
def errors_of(origin: str) -> Iterator[None]:
    """Errors that are raised inside, of any kind, begin with what they are about: a file."""
    try:
        yield
    except Error as error:
        raise type(error)(f"{origin}: {error}") from None


def shorten(text: str, length: int = 80) -> str:
    """`text` without control characters, cut to `length` characters."""
    shown = text[:length].encode("unicode_escape").decode("ascii")
    return shown if len(text) <= length else shown + "..."
