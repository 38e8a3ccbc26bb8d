"""Messages of nested fields, printed as protobuf text.

A message is a mapping from field name to value, in printing order. A value is a string (printed
in quotes), a `Word` (an enum value, printed bare), a bool, an int, a float, a message, or a list
of those (a repeated field; printed field by field, because protobuf before 2.6 has no list form).

Layout: a message that fits on one line of `WIDTH` columns gets one. Otherwise its scalars fill
lines, and every message in it starts a line of its own; repeated messages share lines evenly.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

WIDTH = 100
INDENT = "  "

Message = Mapping[str, Any]


class Word(str):
    """A bare word of the text format: an enum value."""

    __slots__ = ()


def text(name: str, message: Message, depth: int = 0) -> str:
    """`name { ... }` over as many lines as it needs, each indented by `depth` steps."""
    return "\n".join(_block(name, message, depth))


def fields(message: Message) -> str:
    """The fields of a message that is a file: a line for each."""
    return "".join(_flat(name, value) + "\n" for name, value in message.items())


def _block(name: str, message: Message, depth: int) -> Iterator[str]:
    margin = INDENT * depth
    flat = _flat(name, message)
    if len(margin) + len(flat) <= WIDTH:
        yield margin + flat
        return
    yield f"{margin}{name} {{"
    scalars: list[str] = []
    for field, value in message.items():
        items = _items(value)
        if not isinstance(items[0], Mapping):
            scalars.append(_flat(field, value))
            continue
        yield from _filled(scalars, depth + 1)
        scalars = []
        yield from _messages(field, items, depth + 1)
    yield from _filled(scalars, depth + 1)
    yield margin + "}"


def _messages(name: str, messages: Sequence[Message], depth: int) -> Iterator[str]:
    if len(messages) == 1:
        yield from _block(name, messages[0], depth)
        return
    words = [_flat(name, m) for m in messages]
    rows = len(list(_filled(words, depth)))
    share = -(-len(words) // rows)
    for start in range(0, len(words), share):
        yield INDENT * depth + " ".join(words[start : start + share])


def _filled(words: Sequence[str], depth: int) -> Iterator[str]:
    """The words in order, as many on a line as fit."""
    line = ""
    for word in words:
        if line and len(line) + 1 + len(word) > WIDTH:
            yield line
            line = ""
        line = f"{line} {word}" if line else INDENT * depth + word
    if line:
        yield line


def _flat(name: str, value: Any) -> str:
    return " ".join(_field(name, item) for item in _items(value))


def _field(name: str, value: Any) -> str:
    if isinstance(value, Mapping):
        return f"{name} {{ {' '.join(_flat(k, v) for k, v in value.items())} }}"
    return f"{name}: {_scalar(value)}"


def _items(value: Any) -> Sequence[Any]:
    return value if isinstance(value, list | tuple) else (value,)


def _scalar(value: Any) -> str:
    if isinstance(value, Word):
        return str(value)
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False)
    return f"{value:g}" if isinstance(value, float) else str(value)
