"""Merging the messages and fields of P3D's layers into a tree's caffe.proto.

What a fork has of them already is taken over with its own numbers, as long as it means the same:
its saved nets stay readable.
"""

from __future__ import annotations

from typing import NamedTuple

from .proto_text import Block, Field, parse
from .refusal import Refusal

_LAYER = "LayerParameter"
_ANOTHER = (
    "this tree's layer is another one of the same name. Rename it, its message and its field of "
    f"{_LAYER}, then try again, or plug into another tree."
)


class Merged(NamedTuple):
    """The new text, what a person may want to know about it, and by message of ours what the tree's
    has besides: its layer does more than ours."""

    text: str
    notes: list[str]
    more: dict[str, list[str]]


def merge(text: str, fragment: str, where: str) -> Merged:
    """`text`, the contents of the file `where`, with all that `fragment` declares.

    fragment  messages, and a LayerParameter with the fields that have to be in it

    Raises Refusal where a name or number already means something else.
    """
    theirs = parse(text, where)
    ours = parse(fragment, "p3d.proto")
    if _LAYER not in theirs:
        raise Refusal(f"{where} has no message {_LAYER}.")
    layer = theirs[_LAYER]
    notes: list[str] = []
    more: dict[str, list[str]] = {}
    additions: dict[int, str] = {}  # by offset
    end = ""
    # Messages first: a field with another name only matters where they agree.
    for block in sorted(ours.values(), key=lambda block: block.name == _LAYER):
        if block.name == _LAYER:
            _insert(additions, layer, _layer_fields(layer, block, where, notes))
        elif block.name in theirs:
            _extend(additions, theirs[block.name], block, where)
            more[block.name] = _more(theirs[block.name], block)
        else:
            end += "\n" + block.source
    for offset in sorted(additions, reverse=True):
        start = "" if text[offset - 1] == "\n" else "\n"
        text = text[:offset] + start + additions[offset] + text[offset:]
    if end and not text.endswith("\n"):
        text += "\n"
    return Merged(text + end, notes, more)


def _insert(additions: dict[int, str], into: Block, sources: list[str]) -> None:
    """Lines before the closing bracket of a block, indented as the block is."""
    if sources:
        lines = "".join(sources).splitlines(keepends=True)
        additions[into.tail] = "".join(_reindented(line, into.indent) for line in lines)


def _reindented(line: str, indent: str) -> str:
    return indent + line[2:] if line.startswith("  ") else line


def _layer_fields(layer: Block, wanted: Block, where: str, notes: list[str]) -> list[str]:
    missing = []
    for field in wanted.fields.values():
        same = [have for have in layer.fields.values() if have.name.lower() == field.name.lower()]
        if not same:
            _check_free(layer, field, where)
            missing.append(field.source)
            continue
        have = same[0]
        if have.type != field.type or have.label != field.label:
            raise Refusal(
                f"{where}: {_LAYER}.{have.name} is {have.label} {have.type} there, and in the "
                f"published nets {field.label} {field.type}: {_ANOTHER}"
            )
        if have.name != field.name:
            raise Refusal(
                f"{where}: {_LAYER} calls it {have.name}; the published nets say {field.name}. "
                f"Rename the field to {field.name} (binary files do not depend on the name)."
            )
        if have.number != field.number:
            notes.append(f"{field.name} keeps this tree's number, {have.number}")
    return missing


def _owner(block: Block, number: int) -> str | None:
    """What has a number in a message already."""
    for field in block.fields.values():
        if field.number == number:
            return field.name
    reserved = any(first <= number <= last for first, last in block.taken)
    return "a reserved range" if reserved else None


def _check_free(block: Block, field: Field, where: str) -> None:
    owner = _owner(block, field.number)
    if owner is not None:
        raise Refusal(
            f"{where}: {block.name} needs number {field.number} for {field.name}, which "
            f"{owner} has. Add `{field.label} {field.type} {field.name} = <a free number>;` to "
            f"{block.name} yourself: a {field.name} that is there is taken over as it is."
        )


def _extend(additions: dict[int, str], theirs: Block, ours: Block, where: str) -> None:
    """What `ours` has and `theirs` lacks, after a check that the rest is the same."""
    missing = []
    for block in ours.blocks.values():
        have = theirs.blocks.get(block.name)
        if have is None:
            missing.append(block.source)
        elif block.kind == "enum":
            _extend_enum(additions, have, block, f"{where}: {theirs.name}")
    for field in ours.fields.values():
        there = theirs.fields.get(field.name)
        if there is None:
            owner = _owner(theirs, field.number)
            if owner is not None:
                raise Refusal(
                    f"{where}: {theirs.name} has {owner} for number {field.number}, and in the "
                    f"published nets' {theirs.name} that is {field.name}: {_ANOTHER}"
                )
            missing.append(field.source)
            continue
        for what, a, b in (
            ("number", there.number, field.number),
            ("type", there.type, field.type),
            ("label", there.label, field.label),
            ("default", _value(there.default), _value(field.default)),
        ):
            if a != b:
                raise Refusal(
                    f"{where}: {theirs.name}.{field.name} has {what} {a or 'none'}, and in the "
                    f"published nets' {theirs.name} it is {b or 'none'}: {_ANOTHER}"
                )
    _insert(additions, theirs, missing)


def _extend_enum(additions: dict[int, str], theirs: Block, ours: Block, where: str) -> None:
    missing = []
    for name, number in ours.values.items():
        if theirs.values.get(name) not in (None, number):
            raise Refusal(
                f"{where}.{theirs.name}.{name} is {theirs.values[name]}, and in the published nets "
                f"it is {number}: {_ANOTHER}"
            )
        if name not in theirs.values:
            if number in theirs.values.values():
                raise Refusal(
                    f"{where}.{theirs.name} has no {name}, and another value has its number "
                    f"{number}: {_ANOTHER}"
                )
            missing.append(f"  {name} = {number};\n")
    _insert(additions, theirs, missing)


def _more(theirs: Block, ours: Block) -> list[str]:
    """Names of fields and values that are in a message of the tree alone."""
    names = [name for name in theirs.fields if name not in ours.fields]
    for block in ours.blocks.values():
        values = theirs.blocks[block.name].values if block.name in theirs.blocks else {}
        names += [name for name in values if name not in block.values]
    return names


def _value(text: str) -> object | None:
    """A default as a value: 1e-5 is 0.00001."""
    try:
        return float(text)
    except ValueError:
        return text
