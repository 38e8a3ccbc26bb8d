"""OpenCV."""

from __future__ import annotations

import re

from .edit import Edit

_SOURCES = (
    "src/caffe/util/io.cpp",
    "src/caffe/layers/window_data_layer.cpp",
    "src/caffe/test/test_io.cpp",
    "src/caffe/layers/video_data_layer.cpp",
    "src/caffe/util/image_io.cpp",
)
_C_HEADERS = re.compile(
    r"#if CV_MAJOR_VERSION >= 4\n#include .*/legacy/constants_c\.h.\n#endif\n"
    r"|#include [<\"]opencv2/highgui/highgui_c\.h[>\"]\n"
)
_FLAGS = {
    "COLOR": "cv::IMREAD_COLOR",
    "GRAYSCALE": "cv::IMREAD_GRAYSCALE",
    "UNCHANGED": "cv::IMREAD_UNCHANGED",
    "ANYDEPTH": "cv::IMREAD_ANYDEPTH",
}


def _constants(text: str) -> str:
    if "CV_LOAD_IMAGE_" in text:
        text = _C_HEADERS.sub("", text)
    return re.sub(r"\bCV_LOAD_IMAGE_(\w+)", lambda m: _FLAGS.get(m[1], m[0]), text)


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
        needed_by="OpenCV >= 4; works with >= 2.4",
        reason="CV_LOAD_IMAGE_* and highgui_c.h are gone; cv::IMREAD_* are the same numbers",
        tested="built and run with 4.6 and 4.10",
        changes=dict.fromkeys(_SOURCES, _constants),
    ),
    Edit(
        id="opencv-makefile",
        needed_by="OpenCV >= 4 with the Makefile (OPENCV_VERSION := 4 or USE_PKG_CONFIG := 1)",
        reason="imgcodecs is linked for version 3 alone, and pkg-config's package is opencv4 now",
        tested="built with 4.6",
        changes={"Makefile": _makefile},
    ),
]
