"""CUDA toolkits 11 to 13."""

from __future__ import annotations

import re

from .edit import Edit

_ARCHS = """\
# What the toolkit at hand can compile for.
if(NOT CUDA_VERSION VERSION_LESS "13.0")
  set(Caffe_known_gpu_archs "75 80 86 89 90 100 120")
elseif(NOT CUDA_VERSION VERSION_LESS "12.8")
  set(Caffe_known_gpu_archs "60 61 70 75 80 86 89 90 100 120")
elseif(NOT CUDA_VERSION VERSION_LESS "11.8")
  set(Caffe_known_gpu_archs "60 61 70 75 80 86 89 90")
elseif(NOT CUDA_VERSION VERSION_LESS "11.1")
  set(Caffe_known_gpu_archs "60 61 70 75 80 86")
elseif(NOT CUDA_VERSION VERSION_LESS "11.0")
  set(Caffe_known_gpu_archs "60 61 70 75 80")
endif()

"""
_SELECT = "# setting nvcc arch flags\n"


def _architectures(text: str) -> str:
    if _SELECT not in text or _ARCHS in text:
        return text
    text = text.replace(_SELECT, _ARCHS + _SELECT)
    # Devices 12.0 and 12.1 are no misspelt 2.0 and 2.1.
    text = text.replace(
        'string(REPLACE "2.1" "2.1(2.0)" __nvcc_out "${__nvcc_out}")',
        'string(REGEX REPLACE "(^| )2\\\\.1" "\\\\12.1(2.0)" __nvcc_out "${__nvcc_out}")',
    )
    text = text.replace(
        'string(COMPARE LESS "${CUDA_VERSION}" "9.0" iscudaolderthan90)',
        'set(iscudaolderthan90 FALSE)\n  if(CUDA_VERSION VERSION_LESS "9.0")\n'
        "    set(iscudaolderthan90 TRUE)\n  endif()",
    )
    text = text.replace(
        'string(REPLACE "20" "" __cuda_arch_bin "${__cuda_arch_bin}")',
        "list(REMOVE_ITEM __cuda_arch_bin 20)",
    )
    text = text.replace(
        'string(REPLACE "21(20)" "" __cuda_arch_bin "${__cuda_arch_bin}")',
        'list(REMOVE_ITEM __cuda_arch_bin "21(20)")',
    )
    return re.sub(
        r'set\(CUDA_ARCH_PTX "50"( +)CACHE',
        r'string(REGEX MATCH "[0-9]+$" __newest "${Caffe_known_gpu_archs}")\n'
        r'    set(CUDA_ARCH_PTX "${__newest}"\1CACHE',
        text,
    )


_GENCODE = re.compile(
    r"# For CUDA < 6\.0.*\n(?:# For CUDA .*\n)*"
    r"CUDA_ARCH := (?:-gencode arch=compute_\d+,code=(?:sm|compute)_\d+(?: \\\n\s*|\n))+"
)
_GENCODE_NOW = """\
# These suit CUDA 11.8 to 13; newer GPUs translate compute_90 at the first start.
# For CUDA < 11.8 drop 90, for CUDA < 11.1 drop 86 as well.
CUDA_ARCH := -gencode arch=compute_75,code=sm_75 \\
		-gencode arch=compute_80,code=sm_80 \\
		-gencode arch=compute_86,code=sm_86 \\
		-gencode arch=compute_90,code=sm_90 \\
		-gencode arch=compute_90,code=compute_90
"""


def _config(text: str) -> str:
    if "compute_20" not in text:
        return text
    return _GENCODE.sub(lambda _: _GENCODE_NOW, text)


_QUERY = "void Caffe::DeviceQuery() {\n  cudaDeviceProp prop;\n"
_ATTRIBUTE = """\
// cudaDeviceProp lost these three in CUDA 13.
static int DeviceAttribute(cudaDeviceAttr name, int device) {
  int value = 0;
  CUDA_CHECK(cudaDeviceGetAttribute(&value, name, device));
  return value;
}

"""
_PROPERTIES = {
    "clockRate": "DeviceAttribute(cudaDevAttrClockRate, device)",
    "deviceOverlap": "DeviceAttribute(cudaDevAttrGpuOverlap, device)",
    "kernelExecTimeoutEnabled": "DeviceAttribute(cudaDevAttrKernelExecTimeout, device)",
}


def _properties(text: str) -> str:
    if _QUERY not in text or "prop.clockRate" not in text:
        return text
    text = text.replace(_QUERY, _ATTRIBUTE + _QUERY)
    for old, new in _PROPERTIES.items():
        text = re.sub(rf"\s+<< (\(?)prop\.{old}\b", rf"\n      << \1{new}", text)
    return text


def _no_thrust(text: str) -> str:
    return text if "thrust::" in text else re.sub(r'#include "thrust/.*"\n+', "", text)


EDITS = [
    Edit(
        id="cuda-architectures",
        needed_by="CUDA >= 9; works with every one",
        reason="toolkits reject GPUs that they no longer know, such as compute_20, and know newer",
        tested="the flags that CMake chooses, with nvcc 13.0; no other toolkit",
        changes={"cmake/Cuda.cmake": _architectures, "Makefile.config.example": _config},
    ),
    Edit(
        id="cuda-device-properties",
        needed_by="CUDA >= 13; works with >= 5",
        reason="cudaDeviceProp lost clockRate, deviceOverlap and kernelExecTimeoutEnabled",
        tested="compiled with CUDA 13.0; no other toolkit",
        changes={"src/caffe/common.cpp": _properties},
    ),
    Edit(
        id="cuda-thrust",
        needed_by="CUDA >= 13 with cuDNN; works with every one",
        reason="thrust moved to where nvcc alone looks; this file includes it for nothing",
        tested="built with CUDA 13.0 and cuDNN 9.28",
        changes={"src/caffe/layers/cudnn_softmax_layer.cpp": _no_thrust},
    ),
]
