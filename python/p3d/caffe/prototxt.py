"""Reads prototxt files and turns a net into plain data for the engine.

    net = read_net("deploy.prototxt")          text -> NetParameter, old formats upgraded
    net = prepare(net, TEST)                   rules of include/exclude, Split layers, checks
    layers, defaults = describe(net)           lists and dicts, no protobuf

Every fault of a file becomes an Error of one sentence that names the file, the line,
what is wrong and the cure.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from typing import Any

from google.protobuf import text_format

from p3d.error import Error
from p3d.wording import did_you_mean, errors_of, shorten

from . import layer_types
from .description import describe
from .net_graph import prepare
from .proto import caffe_pb2
from .upgrade_proto import upgrade_net

__all__ = [
    "describe",
    "parse_message",
    "parse_net",
    "prepare",
    "read_message",
    "read_net",
    "read_text",
]

# P3D-199 has 0.2 MB and 6000 blocks. These keep a hostile file from filling the memory.
MAX_BYTES = 8 << 20
MAX_LINE = 1 << 20  # protobuf's tokenizer takes 150 bytes per blank of a line
MAX_BLOCKS = 200_000

_SURROGATE = re.compile("[\ud800-\udfff]")
_CONTROL = re.compile(rb"[\x00-\x08\x0e-\x1f]")  # what no text has, and every binary does


def read_net(path: str | os.PathLike[str]) -> Any:
    """The NetParameter in a prototxt file, brought to today's format.

    A file that cannot be read is "Could not open file PATH", pycaffe's words.
    """
    return parse_net(read_text(path), os.fspath(path))


def parse_net(
    text: str,
    origin: str = "prototxt",
    message_class: Any = caffe_pb2.NetParameter,
    check_type: Callable[[Any], object] = layer_types.check,
) -> Any:
    """The NetParameter in `text`, brought to today's format; `origin` names it in errors.

    message_class: NetParameter of another caffe_pb2, such as that of a Caffe with more layers.
    check_type: raises Error for a layer of a type that does not exist. It is asked about a layer
    with an unknown field, for those of unknown types have unknown fields; others are let pass.
    """

    def check_last(net: Any) -> None:
        if net.layer and net.layer[-1].type:
            check_type(net.layer[-1])

    net = parse_message(text, message_class, origin, check_last)
    if not (net.layer or net.layers or net.input):
        raise Error(f"{origin} holds no layer; a net is a list of `layer {{ ... }}` blocks")
    upgrade_net(net, origin)
    return net


def read_message(path: str | os.PathLike[str], message_class: Any) -> Any:
    """A message of another kind, such as a SolverParameter, from a text file."""
    return parse_message(read_text(path), message_class, os.fspath(path))


def parse_message(
    text: str,
    message_class: Any,
    origin: str = "prototxt",
    check_read: Callable[[Any], object] = lambda message: None,
) -> Any:
    """`text` as a message of `message_class`.

    check_read: is given what was read before an unknown field, and may raise a better Error.
    """
    if not text.strip():
        raise Error(f"{origin} is empty; expected the text of a {message_class.__name__}")
    if text.count("{") + text.count("<") > MAX_BLOCKS:
        raise Error(f"{origin} has more than {MAX_BLOCKS} blocks; is it a prototxt?")
    if len(text) > MAX_LINE and max(map(len, text.split("\n"))) > MAX_LINE:
        raise Error(f"{origin} has a line of more than {MAX_LINE} characters; break it")
    if not text.isascii():
        text = _without_surrogates(text, origin)
    message = message_class()
    try:
        text_format.Parse(text, message)
    except text_format.ParseError as error:
        if "has no field named" in str(error):
            with errors_of(origin):
                check_read(message)
        raise Error(_explain(error, text, origin, message_class.DESCRIPTOR.file)) from None
    return message


def read_text(path: str | os.PathLike[str]) -> str:
    """The text of a prototxt file. Bytes that are not UTF-8, as comments in other
    encodings have them, are kept as surrogates."""
    name = os.fspath(path)
    try:
        with open(name, "rb") as file:
            data = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise Error(f"Could not open file {name}: {error.strerror}") from None
    except ValueError as error:  # a NUL in the path
        raise Error(f"Could not open file {name!r}: {error}") from None
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise Error(f"{name} is UTF-16 text; save it as UTF-8")
    if _CONTROL.search(data, 0, 4096):
        raise Error(
            f"{name} is a binary file, not a prototxt; if it is a caffemodel, "
            "give it as the weights and a prototxt as the net"
        )
    if len(data) > MAX_BYTES:
        raise Error(
            f"{name} has more than {MAX_BYTES >> 20} MiB; a prototxt describes layers, "
            "weights belong into a caffemodel"
        )
    return data.decode("utf-8-sig", errors="surrogateescape")


def _without_surrogates(text: str, origin: str) -> str:
    """`text` with bytes that are not UTF-8 (see read_text) removed from comments; elsewhere
    they are an error, which protobuf could not tell."""
    lines = text.split("\n")
    for i, line in enumerate(lines):
        at = _SURROGATE.search(line)
        if at:
            before, mark, comment = line.partition("#")
            if not mark or at.start() < len(before) or before.count('"') % 2:
                raise Error(
                    f"{origin}, line {i + 1}: text that is not UTF-8; save the file as UTF-8"
                )
            lines[i] = before + mark + _SURROGATE.sub("?", comment)
    return "\n".join(lines)


def _explain(error: text_format.ParseError, text: str, origin: str, schema: Any) -> str:
    """One sentence for a person from what text_format says ("LINE:COLUMN : reason")."""
    place = re.match(r"(\d+):\d+ : ", str(error))
    if not place:
        return f"{origin}: {shorten(str(error), 200)}"
    line = text.split("\n")[int(place.group(1)) - 1]
    reason = str(error)[place.end() :].removeprefix(f"'{line}': ").rstrip(".")
    shown = shorten(line.strip(), 60)
    where = f"{origin}, line {place.group(1)}" + (f" (`{shown}`)" if shown else "")
    for pattern, explain in _REASONS:
        match = re.fullmatch(pattern, reason, re.DOTALL)
        if match:
            return f"{where}: {explain(schema, *match.groups())}"
    return f"{where}: {shorten(reason, 200)}"


def _unknown_field(schema: Any, kind: str, name: str) -> str:
    fields = schema.message_types_by_name[kind].fields
    fault = f"{kind} has no field '{shorten(name)}'"
    for this, other, cure in _CONFUSED:
        if kind == this and name in schema.message_types_by_name[other].fields_by_name:
            return fault + cure
    owners = [
        field.name
        for field in fields
        if field.message_type and name in field.message_type.fields_by_name
    ]
    if owners:
        return fault + f"; it belongs inside {' or '.join(owners[:4])}"
    return fault + did_you_mean(name, [field.name for field in fields])


_CONFUSED = [
    ("NetParameter", "SolverParameter", "; this looks like a solver: give the net that it names"),
    (
        *("SolverParameter", "NetParameter"),
        '; this looks like a net: give the solver that names it (net: "FILE")',
    ),
]


def _unknown_value(schema: Any, kind: str, name: str) -> str:
    *outer, enum = kind.split(".")
    scope = schema
    if outer:
        scope = schema.message_types_by_name[outer[0]]
    names = list(scope.enum_types_by_name[enum].values_by_name)
    return f"{enum} has no value {shorten(name)}; it has {', '.join(names)}"


_REASONS: list[tuple[str, Callable[..., str]]] = [
    (r'Message type "caffe\.(\w+)" has no field named "(.*)"', _unknown_field),
    (r'Enum type "caffe\.([\w.]+)" has no value (?:named|with number) (.*)', _unknown_value),
    (
        r'Message type "caffe\.(\w+)" should not have multiple "(\w+)" fields',
        lambda _, kind, name: f"{kind} takes `{name}` only once",
    ),
    (r'Expected "([}>])"', lambda _, end: f"a block is not closed; a `{end}` is missing"),
    (
        r"Expected string but found: (.*)",
        lambda _, found: f"expected text in quotes, not {found[:80]}",
    ),
    (
        r".*(?:surrogates not allowed|can't decode byte).*",
        lambda _: "text that is not UTF-8; save the file as UTF-8",
    ),
]
