"""OpenCV."""

from __future__ import annotations

import re

from .edit import Edit

_C_HEADERS = re.compile(
    r"#if CV_MAJOR_VERSION >= 4\n#include .*/legacy/constants_c\.h.\n#endif\n"
    r"|#include [<\"]opencv2/highgui/highgui_c\.h[>\"]\n"
)
_COLORS = "BGR|RGB|BGRA|RGBA|GRAY|HSV|HLS|Lab|Luv|XYZ|YCrCb|YUV"
_C_NAME = re.compile(
    r"\bCV_(?:LOAD_IMAGE_(?P<read>COLOR|GRAYSCALE|UNCHANGED|ANYDEPTH|ANYCOLOR)"
    rf"|(?P<color>(?:{_COLORS})2(?:{_COLORS}))"
    r"|(?P<nearest>INTER_NN)"
    r"|(?P<same>(?:IMWRITE|THRESH|INTER|CAP_PROP|WINDOW)_[A-Z0-9_]+|FILLED)"
    r"|(?P<smooth>AA)|(?P<code>FOURCC))\b"
)
_IN_MACROS = re.compile(r"(^[ \t]*#.*\n)", re.MULTILINE)


def _name(match: re.Match[str]) -> str:
    if match["read"]:
        return f"cv::IMREAD_{match['read']}"
    if match["color"]:
        return f"cv::COLOR_{match['color']}"
    if match["same"]:
        return f"cv::{match['same']}"
    if match["nearest"]:
        return "cv::INTER_NEAREST"
    return "cv::LINE_AA" if match["smooth"] else "cv::VideoWriter::fourcc"


def _constants(text: str) -> str:
    if "CV_" not in text:
        return text
    if "CV_LOAD_IMAGE_" in text:
        text = _C_HEADERS.sub("", text)
    parts = _IN_MACROS.split(text)  # a tree may give the old names to the new ones itself
    return "".join(p if p.lstrip().startswith("#") else _C_NAME.sub(_name, p) for p in parts)


def _makefile(text: str) -> str:
    text = text.replace(
        "ifeq ($(OPENCV_VERSION), 3)\n", "ifneq ($(filter 3 4 5, $(OPENCV_VERSION)),)\n"
    )
    return text.replace(
        "PKG_CONFIG := $(shell pkg-config opencv --libs)\n",
        "OPENCV_PACKAGE := $(firstword $(foreach name, opencv5 opencv4 opencv, \\\n"
        "\t\t$(shell pkg-config --exists $(name) && echo $(name))))\n"
        "\tPKG_CONFIG := $(shell pkg-config $(OPENCV_PACKAGE) --libs)\n"
        "\tCXXFLAGS += $(shell pkg-config $(OPENCV_PACKAGE) --cflags)\n",
    )


EDITS = [
    Edit(
        id="opencv-constants",
        needed_by="OpenCV >= 4; works with >= 2.4, where videos are read or drawn on with >= 3",
        reason="CV_LOAD_IMAGE_*, CV_BGR2GRAY and their like, and highgui_c.h are gone; cv::IMREAD_*"
        " and the others are the same numbers",
        tested="built and run with 4.6 and 4.10; names that BVLC's tree has not, compiled with 4.6",
        changes=dict.fromkeys(("src/caffe/", "include/caffe/", "tools/", "examples/"), _constants),
    ),
    Edit(
        id="opencv-makefile",
        needed_by="OpenCV >= 4 with the Makefile (OPENCV_VERSION := 4 or USE_PKG_CONFIG := 1)",
        reason="imgcodecs is linked for version 3 alone, and pkg-config's package is opencv4 now",
        tested="built with 4.6",
        changes={"Makefile": _makefile},
    ),
]
