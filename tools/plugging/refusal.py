"""Why the tool does not go on."""

from __future__ import annotations


class Refusal(Exception):
    """A message for the person at the keyboard: the file, what is wrong with it, the cure.

    Whoever raises it has left the tree as it was.
    """
