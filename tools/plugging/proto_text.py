"""The little of the proto language that caffe.proto is written in.

Offsets are kept, so that a file can be edited where it was read.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from .refusal import Refusal
from .text import line_of, without_comments

_NAMED = re.compile(r"\b(message|enum|oneof)\s+(\w+)\s*\{")
_FIELD = re.compile(
    r"(?:(optional|required|repeated)\s+)?([\w.]+)\s+(\w+)\s*=\s*(-?\w+)\s*(?:\[(.*)\])?\s*;",
    re.DOTALL,
)
_RANGES = re.compile(r"\b(reserved|extensions)\s+([^;\"]+);")


class Field(NamedTuple):
    """A field of a message."""

    name: str
    number: int
    type: str
    label: str
    default: str  # "" if none is given
    source: str  # its lines, with the comment above


class Block(NamedTuple):
    """A message or an enum."""

    kind: str
    name: str
    start: int  # of its first line, without the comment above
    end: int  # of its closing bracket
    tail: int  # where a last line can be put in
    source: str  # its lines, with the comment above
    fields: dict[str, Field]
    values: dict[str, int]  # of an enum
    blocks: dict[str, Block]  # inside
    taken: list[tuple[int, int]]  # reserved and extension numbers, ends included
    indent: str  # of what is inside


def parse(text: str, where: str) -> dict[str, Block]:
    """The messages and enums of a file. `where` names the file in errors.

    Raises Refusal for brackets that do not match and for what is declared twice.
    """
    code = without_comments(text)
    code = re.sub(r'"[^"\n]*"', lambda m: '"' + " " * (len(m[0]) - 2) + '"', code)
    if code.count("{") != code.count("}"):
        raise Refusal(f"{where} has unmatched brackets: an edit or a merge is half done in it.")
    return _blocks(text, code, 0, len(code), where)


def _blocks(text: str, code: str, start: int, end: int, where: str) -> dict[str, Block]:
    found: dict[str, Block] = {}
    while True:
        match = _NAMED.search(code, start, end)
        if match is None:
            return found
        close = _closing(code, match.end(), where)
        block = _block(text, code, match, close, where)
        if block.name in found and block.kind != "oneof":
            raise Refusal(
                f"{where}, line {line_of(text, match.start())}: {block.kind} {block.name} is there "
                "twice. Remove one."
            )
        found[block.name] = block
        start = close + 1


def _closing(code: str, start: int, where: str) -> int:
    depth = 1
    for match in re.compile(r"[{}]").finditer(code, start):
        depth += 1 if match[0] == "{" else -1
        if depth == 0:
            return match.start()
    raise Refusal(f"{where}, line {line_of(code, start)}: this bracket is never closed.")


def _block(text: str, code: str, match: re.Match[str], close: int, where: str) -> Block:
    inner = _blocks(text, code, match.end(), close, where)
    own = list(code[match.end() : close])
    for block in inner.values():
        for i in range(block.start - match.end(), block.end + 1 - match.end()):
            own[i] = "\n" if own[i] == "\n" else " "
    body = "".join(own)
    line = text.rfind("\n", 0, match.start()) + 1
    last = text.rfind("\n", 0, close) + 1
    fields: dict[str, Field] = {}
    values: dict[str, int] = {}
    if match[1] == "enum":
        values = {name: int(n, 0) for name, n in re.findall(r"(\w+)\s*=\s*(-?\w+)", body)}
    else:
        fields = _fields(text, body, match.end(), f"{where}, message {match[2]}")
        for block in inner.values():
            if block.kind == "oneof":
                fields.update(block.fields)
    return Block(
        kind=match[1],
        name=match[2],
        start=line,
        end=close,
        tail=close if text[last:close].strip() else last,
        source=_with_comment(text, line, close + 1),
        fields=fields,
        values=values,
        blocks=inner,
        taken=_taken(body),
        indent=_indent(body),
    )


def _fields(text: str, body: str, offset: int, where: str) -> dict[str, Field]:
    found: dict[str, Field] = {}
    numbers: dict[int, str] = {}
    start = 0
    for statement in re.finditer(r"[^;]*;", body):
        match = _FIELD.search(statement[0])
        start = statement.start() + (match.start() if match else 0)
        if match is None or match[2] in ("option", "reserved", "extensions"):
            continue
        line = text.rfind("\n", 0, offset + start) + 1
        default = re.search(r"\bdefault\s*=\s*([^,\s]+)", match[5] or "")
        field = Field(
            name=match[3],
            number=int(match[4], 0),
            type=match[2],
            label=match[1] or "optional",
            default=default[1] if default else "",
            source=_with_comment(text, line, offset + statement.end()),
        )
        twice = field.name if field.name in found else numbers.get(field.number)
        if twice is not None:
            raise Refusal(
                f"{where}: {twice} and {field.name} (line {line_of(text, offset + start)}) have "
                f"the same {'name' if twice == field.name else f'number {field.number}'}: protoc "
                "would reject this file. Give one of them another."
            )
        found[field.name] = field
        numbers[field.number] = field.name
    return found


def _taken(body: str) -> list[tuple[int, int]]:
    found = []
    for match in _RANGES.finditer(body):
        for part in match[2].split(","):
            ends = part.split("to")
            first = int(ends[0])
            last = ends[-1].strip()
            found.append((first, 2**29 - 1 if last == "max" else int(last)))
    return found


def _indent(body: str) -> str:
    match: re.Match[str] | None = re.search(r"^([ \t]+)\S", body, re.MULTILINE)
    return match[1] if match else "  "


def _with_comment(text: str, line: int, end: int) -> str:
    """Text from a line to an offset, the rest of the last line, and the // lines right above."""
    while line > 0:
        above = text.rfind("\n", 0, line - 1) + 1
        if not text[above:line].lstrip().startswith("//"):
            break
        line = above
    last = text.find("\n", end)
    return text[line : len(text) if last < 0 else last] + "\n"
