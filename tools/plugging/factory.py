"""The layer factory: convolutions with three spatial axes become Convolution3D, and cuDNN's
activations take blobs of any number of axes."""

from __future__ import annotations

import re
from typing import NamedTuple

from .refusal import Refusal
from .text import without_comments

_OURS = "// caffe-p3d: begin\n"
_END = "// caffe-p3d: end\n\n"
_BLOCK = re.compile(re.escape(_OURS) + ".*?" + re.escape(_END), re.DOTALL)
_INCLUDE = re.compile(r"#include \"caffe/layers/\w+\.hpp\"  // caffe-p3d\n")
_FUNCTION = re.compile(
    r"(?P<text>(?://.*\n)*template .*\n.*\bGet(?P<type>\w+)Layer\(.*\n(?:.+\n)+)"
)
_REQUIRED = "Convolution"


class Extended(NamedTuple):
    text: str
    notes: list[str]


def extend(text: str, insertion: str, where: str) -> Extended:
    """layer_factory.cpp with our GetConvolutionLayer and the like, each behind the tree's own,
    which is renamed.

    insertion  lines that #include our headers, an empty line, and the functions. What they call
               GetUpstream<type>Layer is the tree's.

    A text that was extended before is extended anew. A type other than Convolution that the tree
    makes in another way is left alone, and a note says so if cuDNN can make it. Raises Refusal for
    a factory of another shape.
    """
    text, notes = _plain(text), []
    includes, functions = insertion.split("\n\n", 1)
    for function in _FUNCTION.finditer(functions):
        found = _wrap(text, function["type"], function["text"])
        if found is None and function["type"] == _REQUIRED:
            raise Refusal(
                f"{where} has another shape than every Caffe since 2015: one function "
                "shared_ptr<Layer<Dtype> > GetConvolutionLayer(const LayerParameter&), followed by "
                "REGISTER_LAYER_CREATOR(Convolution, GetConvolutionLayer). Merge upstream's "
                "layer_factory.cpp, then try again."
            )
        if found is None and f"CuDNN{function['type']}Layer" in text:
            notes.append(
                f"{function['type']} is made in another way by this tree and was left alone: "
                "cuDNN's takes no clips, so say engine: CAFFE in nets"
            )
        text = found or text
    header = re.search(r"^#include \"caffe/layer_factory\.hpp\"\n", text, re.MULTILINE)
    if header is None:
        raise Refusal(f'{where} does not #include "caffe/layer_factory.hpp".')
    ours = "".join(f"{include}  // caffe-p3d\n" for include in includes.splitlines())
    return Extended(text[: header.end()] + ours + text[header.end() :], notes)


def _wrap(text: str, kind: str, function: str) -> str | None:
    """The text with our creator of this type; None where the tree's is not what we know."""
    code = without_comments(text)
    creator = (
        r"\bshared_ptr\s*<\s*Layer\s*<\s*Dtype\s*>\s*>\s+"
        rf"(?P<name>Get{kind}Layer)\s*\(\s*const\s+LayerParameter\s*&\s*\w+\s*\)\s*\{{"
    )
    registration = rf"^[ \t]*REGISTER_LAYER_CREATOR\s*\(\s*{kind}\s*,\s*Get{kind}Layer\s*\)\s*;"
    creators = list(re.finditer(creator, code))
    registered = re.search(registration, code, re.MULTILINE)
    if len(creators) != 1 or registered is None or registered.start() < creators[0].start():
        return None
    at = registered.start()
    text = f"{text[:at]}{_OURS}{function}{_END}{text[at:]}"
    begin, end = creators[0].span("name")
    return text[:begin] + f"GetUpstream{kind}Layer" + text[end:]


def _plain(text: str) -> str:
    """The text as it was before it was extended."""
    text, count = _BLOCK.subn("", text)
    if count:
        text = _INCLUDE.sub("", text)
        text = re.sub(r"\bGetUpstream(\w+Layer)\b", r"Get\1", text)
    return text
