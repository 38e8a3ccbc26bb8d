"""The layer factory: convolutions with three spatial axes become Convolution3D."""

from __future__ import annotations

import re

from .refusal import Refusal
from .text import without_comments

_OURS = "// caffe-p3d: begin\n"
_END = "// caffe-p3d: end\n\n"
_BLOCK = re.compile(re.escape(_OURS) + ".*?" + re.escape(_END), re.DOTALL)
_INCLUDE = re.compile(r"#include \"caffe/layers/\w+\.hpp\"  // caffe-p3d\n")
_CREATOR = re.compile(
    r"\bshared_ptr\s*<\s*Layer\s*<\s*Dtype\s*>\s*>\s+(?P<name>GetConvolutionLayer)\s*"
    r"\(\s*const\s+LayerParameter\s*&\s*\w+\s*\)\s*\{"
)
_REGISTRATION = re.compile(
    r"^[ \t]*REGISTER_LAYER_CREATOR\s*\(\s*Convolution\s*,\s*GetConvolutionLayer\s*\)\s*;",
    re.MULTILINE,
)


def extend(text: str, insertion: str, where: str) -> str:
    """layer_factory.cpp with our GetConvolutionLayer behind the tree's own, which is renamed.

    insertion  the #include of our header, an empty line, and the function. What it calls
               GetUpstreamConvolutionLayer is the tree's.

    A text that was extended before is extended anew. Raises Refusal for a factory of another shape.
    """
    text = _plain(text)
    code = without_comments(text)
    creators = list(_CREATOR.finditer(code))
    registration = _REGISTRATION.search(code)
    if len(creators) != 1 or registration is None or registration.start() < creators[0].start():
        raise Refusal(
            f"{where} has another shape than every Caffe since 2015: one function "
            "shared_ptr<Layer<Dtype> > GetConvolutionLayer(const LayerParameter&), followed by "
            "REGISTER_LAYER_CREATOR(Convolution, GetConvolutionLayer). Merge upstream's "
            "layer_factory.cpp, then try again."
        )
    include, function = insertion.split("\n\n", 1)
    at = registration.start()
    text = f"{text[:at]}{_OURS}{function.rstrip()}\n{_END}{text[at:]}"
    begin, end = creators[0].span("name")
    text = text[:begin] + "GetUpstreamConvolutionLayer" + text[end:]
    header = re.search(r"^#include \"caffe/layer_factory\.hpp\"\n", text, re.MULTILINE)
    if header is None:
        raise Refusal(f'{where} does not #include "caffe/layer_factory.hpp".')
    return f"{text[: header.end()]}{include}  // caffe-p3d\n{text[header.end() :]}"


def _plain(text: str) -> str:
    """The text as it was before it was extended."""
    text, count = _BLOCK.subn("", text)
    if count:
        text = _INCLUDE.sub("", text)
        text = text.replace("GetUpstreamConvolutionLayer", "GetConvolutionLayer")
    return text
