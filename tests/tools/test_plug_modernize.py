"""tools/plugging/modernize: each repair on the line that needs it, and on lines that do not."""

from __future__ import annotations

import re
import shutil
import subprocess

import pytest
from plugging.modernize import EDITS
from plugging.text import Change, edit

#: By repair: a file, what it says before and after. Shortened to what the repair looks for.
CASES = [
    (
        "protobuf-bytes-limit",
        "src/caffe/util/io.cpp",
        "  coded_input->SetTotalBytesLimit(kProtoReadBytesLimit, 536870912);\n",
        "  coded_input->SetTotalBytesLimit(kProtoReadBytesLimit);\n",
    ),
    (
        "boost-system",
        "cmake/Dependencies.cmake",
        "find_package(Boost 1.54 REQUIRED COMPONENTS system thread filesystem)\n",
        "find_package(Boost 1.54 REQUIRED COMPONENTS thread filesystem"
        " OPTIONAL_COMPONENTS system)\n",
    ),
    (
        "opencv-constants",
        "src/caffe/util/io.cpp",
        "#include <opencv2/highgui/highgui.hpp>\n#include <opencv2/highgui/highgui_c.h>\n"
        "  int f = (is_color ? CV_LOAD_IMAGE_COLOR :\n    CV_LOAD_IMAGE_GRAYSCALE);\n",
        "#include <opencv2/highgui/highgui.hpp>\n"
        "  int f = (is_color ? cv::IMREAD_COLOR :\n    cv::IMREAD_GRAYSCALE);\n",
    ),
    (  # as SSD has them
        "opencv-constants",
        "src/caffe/util/im_transforms.cpp",
        "#if CV_VERSION_MAJOR == 3\n#define CV_BGR2GRAY cv::COLOR_BGR2GRAY\n#endif\n"
        "cv::cvtColor(a, b, CV_BGR2GRAY); cv::cvtColor(a, b, CV_YCrCb2BGR);\n"
        "int k = CV_THRESH_OTSU, q = CV_IMWRITE_JPEG_QUALITY, u = CV_8UC3;\n",
        "#if CV_VERSION_MAJOR == 3\n#define CV_BGR2GRAY cv::COLOR_BGR2GRAY\n#endif\n"
        "cv::cvtColor(a, b, cv::COLOR_BGR2GRAY); cv::cvtColor(a, b, cv::COLOR_YCrCb2BGR);\n"
        "int k = cv::THRESH_OTSU, q = cv::IMWRITE_JPEG_QUALITY, u = CV_8UC3;\n",
    ),
    (
        "opencv-constants",
        "include/caffe/video.hpp",
        "n = cap.get(CV_CAP_PROP_FRAME_COUNT); cv::resize(a, b, s, 0, 0, CV_INTER_NN);\n"
        "cv::circle(a, p, 2, c, CV_FILLED, CV_AA); w.open(f, CV_FOURCC('D', 'I', 'V', 'X'));\n",
        "n = cap.get(cv::CAP_PROP_FRAME_COUNT); cv::resize(a, b, s, 0, 0, cv::INTER_NEAREST);\n"
        "cv::circle(a, p, 2, c, cv::FILLED, cv::LINE_AA);"
        " w.open(f, cv::VideoWriter::fourcc('D', 'I', 'V', 'X'));\n",
    ),
    (  # Debian's patch for OpenCV 4, which OpenCV 5 does not take
        "opencv-constants",
        "src/caffe/layers/window_data_layer.cpp",
        '#if CV_MAJOR_VERSION >= 4\n#include "opencv2/imgcodecs/legacy/constants_c.h"\n#endif\n'
        "cv::imread(image.first, CV_LOAD_IMAGE_COLOR);\n",
        "cv::imread(image.first, cv::IMREAD_COLOR);\n",
    ),
    (
        "opencv-makefile",
        "Makefile",
        "ifeq ($(OPENCV_VERSION), 3)\n\tPKG_CONFIG := $(shell pkg-config opencv --libs)\n",
        "ifneq ($(filter 3 4 5, $(OPENCV_VERSION)),)\n"
        "\tOPENCV_PACKAGE := $(firstword $(foreach name, opencv5 opencv4 opencv, \\\n"
        "\t\t$(shell pkg-config --exists $(name) && echo $(name))))\n"
        "\tPKG_CONFIG := $(shell pkg-config $(OPENCV_PACKAGE) --libs)\n"
        "\tCXXFLAGS += $(shell pkg-config $(OPENCV_PACKAGE) --cflags)\n",
    ),
    (
        "cuda-architectures",
        "Makefile.config.example",
        "# all of them.\n# For CUDA < 6.0, comment.\n# For CUDA >= 9.0, comment.\n"
        "CUDA_ARCH := -gencode arch=compute_20,code=sm_20 \\\n"
        "\t\t-gencode arch=compute_20,code=sm_21 \\\n"
        "\t\t-gencode arch=compute_61,code=compute_61\n\n# BLAS\n",
        "# all of them.\n"
        "# These suit CUDA 11.8 to 13; newer GPUs translate compute_90 at the first start.\n"
        "# For CUDA < 11.8 drop 90, for CUDA < 11.1 drop 86 as well.\n"
        "CUDA_ARCH := -gencode arch=compute_75,code=sm_75 \\\n"
        "\t\t-gencode arch=compute_80,code=sm_80 \\\n"
        "\t\t-gencode arch=compute_86,code=sm_86 \\\n"
        "\t\t-gencode arch=compute_90,code=sm_90 \\\n"
        "\t\t-gencode arch=compute_90,code=compute_90\n\n# BLAS\n",
    ),
    (
        "cuda-device-properties",
        "src/caffe/common.cpp",
        "void Caffe::DeviceQuery() {\n  cudaDeviceProp prop;\n"
        '  LOG(INFO) << "Clock rate:   " << prop.clockRate;\n'
        '      << (prop.deviceOverlap ? "Yes" : "No");\n'
        '      << (prop.kernelExecTimeoutEnabled ? "Yes" : "No");\n',
        "// cudaDeviceProp lost these three in CUDA 13.\n"
        "static int DeviceAttribute(cudaDeviceAttr name, int device) {\n"
        "  int value = 0;\n"
        "  CUDA_CHECK(cudaDeviceGetAttribute(&value, name, device));\n"
        "  return value;\n}\n\n"
        "void Caffe::DeviceQuery() {\n  cudaDeviceProp prop;\n"
        '  LOG(INFO) << "Clock rate:   "\n'
        "      << DeviceAttribute(cudaDevAttrClockRate, device);\n"
        '      << (DeviceAttribute(cudaDevAttrGpuOverlap, device) ? "Yes" : "No");\n'
        '      << (DeviceAttribute(cudaDevAttrKernelExecTimeout, device) ? "Yes" : "No");\n',
    ),
    (
        "cuda-thrust",
        "src/caffe/layers/cudnn_softmax_layer.cpp",
        '#include <vector>\n\n#include "thrust/device_vector.h"\n\n#include "caffe/x.hpp"\n',
        '#include <vector>\n\n#include "caffe/x.hpp"\n',
    ),
    (
        "cudnn-version",
        "cmake/Cuda.cmake",
        "    file(READ ${CUDNN_INCLUDE}/cudnn.h CUDNN_VERSION_FILE_CONTENTS)\n",
        '    if(EXISTS "${CUDNN_INCLUDE}/cudnn_version.h")  # cuDNN >= 8\n'
        '      file(READ "${CUDNN_INCLUDE}/cudnn_version.h" CUDNN_VERSION_FILE_CONTENTS)\n'
        "    else()\n"
        "      file(READ ${CUDNN_INCLUDE}/cudnn.h CUDNN_VERSION_FILE_CONTENTS)\n"
        "    endif()\n",
    ),
    (
        "cudnn-data-type",
        "include/caffe/util/cudnn.hpp",
        "  CUDNN_CHECK(cudnnSetConvolution2dDescriptor(*conv,\n"
        "      pad_h, 1, 1, CUDNN_CROSS_CORRELATION));\n}\n"
        "  CUDNN_CHECK(cudnnSetConvolutionNdDescriptor(*conv,\n"
        "      CUDNN_CROSS_CORRELATION, type));\n",
        "#if CUDNN_VERSION >= 6000\n"
        "  CUDNN_CHECK(cudnnSetConvolution2dDescriptor(*conv,\n"
        "      pad_h, 1, 1, CUDNN_CROSS_CORRELATION,\n"
        "      dataType<Dtype>::type));\n"
        "#else\n"
        "  CUDNN_CHECK(cudnnSetConvolution2dDescriptor(*conv,\n"
        "      pad_h, 1, 1, CUDNN_CROSS_CORRELATION));\n"
        "#endif\n}\n"
        "  CUDNN_CHECK(cudnnSetConvolutionNdDescriptor(*conv,\n"
        "      CUDNN_CROSS_CORRELATION, type));\n",
    ),
    (
        "numpy-headers",
        "python/CMakeLists.txt",
        "target_include_directories(pycaffe PUBLIC ${PYTHON_INCLUDE_DIRS} ${NUMPY_INCLUDE_DIR})\n",
        "target_include_directories(pycaffe PUBLIC ${NUMPY_INCLUDE_DIR} ${PYTHON_INCLUDE_DIRS})\n",
    ),
    (
        "python3-default",
        "CMakeLists.txt",
        'set(python_version "2" CACHE STRING "which")\n',
        'set(python_version "3" CACHE STRING "which")\n',
    ),
    (
        "pycaffe",
        "python/caffe/io.py",
        "io.imread(filename, as_grey=not color)\ndatum.data = arr.tostring()\n"
        "np.fromstring(datum.data, dtype=np.uint8).reshape(\n",
        "io.imread(filename, as_gray=not color)\ndatum.data = arr.tobytes()\n"
        "np.frombuffer(datum.data, dtype=np.uint8).copy().reshape(\n",
    ),
    (
        "pycaffe",
        "python/caffe/test/test_coord_map.py",
        "self.assertEquals(a, 1)\nself.assertItemsEqual(a, b)\nself.assertEqual(a, 1)\n",
        "self.assertEqual(a, 1)\nself.assertCountEqual(a, b)\nself.assertEqual(a, 1)\n",
    ),
    (
        "pycaffe",
        "python/caffe/test/test_net_spec.py",
        "with self.assertRaisesRegexp(TypeError, r):\n",
        "with self.assertRaisesRegex(TypeError, r):\n",
    ),
    (
        "pycaffe-import-array",
        "python/caffe/_caffe.cpp",
        "BOOST_PYTHON_MODULE(_caffe) {\n  // below\n  BP_REGISTER(Timer);\n\n"
        "  // boost python expects a void (missing) return value, while import_array\n"
        "  // returns NULL for python3. import_array1() forces a void return value.\n"
        "  import_array1();\n}\n\n}  // namespace caffe\n",
        "BOOST_PYTHON_MODULE(_caffe) {\n"
        "  // boost python expects a void (missing) return value, while import_array\n"
        "  // returns NULL for python3. import_array1() forces a void return value.\n"
        "  import_array1();\n\n  // below\n  BP_REGISTER(Timer);\n}\n\n}  // namespace caffe\n",
    ),
    (
        "pycaffe-requirements",
        "python/requirements.txt",
        "h5py>=2.2.0\nleveldb>=0.191\nnose>=1.3.0\npython-dateutil>=1.4,<2\n",
        "h5py>=2.2.0\npython-dateutil>=1.4\n",
    ),
    (
        "cmake-minimum",
        "CMakeLists.txt",
        "cmake_minimum_required(VERSION 2.8.7)\nif(POLICY CMP0046)\n",
        "cmake_minimum_required(VERSION 3.5...3.10)\nif(POLICY CMP0046)\n",
    ),
]
BY_ID = {edit.id: edit for edit in EDITS}


def change_of(name: str, path: str) -> Change:
    """A repair's change of a file, or of all files of a folder that it is in."""
    return next(
        change
        for key, change in BY_ID[name].changes.items()
        if path == key or (key.endswith("/") and path.startswith(key))
    )


NEED_MORE = {"cudnn-entry-points", "boost-python"}  # longer ones, below


def test_every_repair_has_a_case_and_says_what_it_is():
    assert len(BY_ID) == len(EDITS)
    assert {case[0] for case in CASES} | NEED_MORE == set(BY_ID)
    for repair in EDITS:
        assert all([repair.needed_by, repair.reason, repair.tested]), repair.id


@pytest.mark.parametrize("ends", ["\n", "\r\n"])
@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case[0]}:{case[1]}")
def test_repairs(case, ends):
    name, path, before, after = case
    change = change_of(name, path)
    before, after = (text.replace("\n", ends).encode() for text in (before, after))
    assert edit(before, change) == after
    assert edit(after, change) == after, "made twice"


@pytest.mark.parametrize("repair", EDITS, ids=lambda repair: repair.id)
def test_repairs_leave_other_texts_alone(repair):
    for path, change in repair.changes.items():
        for text in ("", "// another fork\n", "cmake_minimum_required(VERSION 3.20)\n"):
            assert change(text) == text, path


CUDNN_HPP = """\
#include <cudnn.h>

namespace caffe {

namespace cudnn {

}  // namespace cudnn

}  // namespace caffe
"""
CALLS = """
void Choose(cudnnHandle_t h, cudnnTensorDescriptor_t x, cudnnFilterDescriptor_t w,
            cudnnConvolutionDescriptor_t c, cudnnTensorDescriptor_t y, size_t limit) {
  cudnnConvolutionFwdAlgo_t f;
  cudnnConvolutionBwdFilterAlgo_t bf;
  cudnnConvolutionBwdDataAlgo_t bd;
  cudnnGetConvolutionForwardAlgorithm(
      h, x, w, c, y, CUDNN_CONVOLUTION_FWD_SPECIFY_WORKSPACE_LIMIT, limit, &f);
  cudnnGetConvolutionBackwardFilterAlgorithm(
      h, x, y, c, w, CUDNN_CONVOLUTION_BWD_FILTER_SPECIFY_WORKSPACE_LIMIT, limit, &bf);
  cudnnGetConvolutionBackwardDataAlgorithm(
      h, w, y, c, x, CUDNN_CONVOLUTION_BWD_DATA_SPECIFY_WORKSPACE_LIMIT, limit, &bd);
}
"""
#: What cuDNN 8 declares of this, and a library that offers three algorithms.
FAKE_CUDNN = """\
#pragma once
#include <cstddef>
#define CUDNN_VERSION @VERSION@
struct cudnnContext; typedef cudnnContext* cudnnHandle_t;
struct T; typedef T* cudnnTensorDescriptor_t;
struct F; typedef F* cudnnFilterDescriptor_t;
struct C; typedef C* cudnnConvolutionDescriptor_t;
enum cudnnStatus_t { CUDNN_STATUS_SUCCESS, CUDNN_STATUS_BAD_PARAM, CUDNN_STATUS_NOT_SUPPORTED };
#define KIND(Pass, Algo, A, B, CC, D)                                                      \\
  enum cudnnConvolution##Algo##_t { Algo##0, Algo##1, Algo##2 };                            \\
  struct cudnnConvolution##Algo##Perf_t {                                                   \\
    cudnnConvolution##Algo##_t algo; cudnnStatus_t status; size_t memory; };                \\
  inline cudnnStatus_t cudnnGetConvolution##Pass##Algorithm_v7(                             \\
      cudnnHandle_t h, A, B, CC, D, int most, int* count,                                    \\
      cudnnConvolution##Algo##Perf_t* found) {                                               \\
    if (!h) return CUDNN_STATUS_BAD_PARAM;                                                   \\
    *count = most < 3 ? most : 3;                                                            \\
    found[0] = {Algo##2, CUDNN_STATUS_NOT_SUPPORTED, 0};                                     \\
    found[1] = {Algo##1, CUDNN_STATUS_SUCCESS, 100};                                         \\
    found[2] = {Algo##0, CUDNN_STATUS_SUCCESS, 10};                                          \\
    return CUDNN_STATUS_SUCCESS;                                                             \\
  }
KIND(Forward, FwdAlgo, cudnnTensorDescriptor_t, cudnnFilterDescriptor_t,
     cudnnConvolutionDescriptor_t, cudnnTensorDescriptor_t)
KIND(BackwardFilter, BwdFilterAlgo, cudnnTensorDescriptor_t, cudnnTensorDescriptor_t,
     cudnnConvolutionDescriptor_t, cudnnFilterDescriptor_t)
KIND(BackwardData, BwdDataAlgo, cudnnFilterDescriptor_t, cudnnTensorDescriptor_t,
     cudnnConvolutionDescriptor_t, cudnnTensorDescriptor_t)
"""
MAIN = """
int main() {
  cudnnHandle_t h = reinterpret_cast<cudnnHandle_t>(1);
  cudnnConvolutionFwdAlgo_t f = FwdAlgo2;
  const int kLimit = CUDNN_CONVOLUTION_FWD_SPECIFY_WORKSPACE_LIMIT;
  if (cudnnGetConvolutionForwardAlgorithm(h, 0, 0, 0, 0, kLimit, 100, &f) || f != FwdAlgo1)
    return 1;
  if (cudnnGetConvolutionForwardAlgorithm(h, 0, 0, 0, 0, kLimit, 99, &f) || f != FwdAlgo0)
    return 2;
  if (cudnnGetConvolutionForwardAlgorithm(h, 0, 0, 0, 0, kLimit, 9, &f) !=
      CUDNN_STATUS_NOT_SUPPORTED)
    return 3;
  if (cudnnGetConvolutionForwardAlgorithm(0, 0, 0, 0, 0, kLimit, 9, &f) != CUDNN_STATUS_BAD_PARAM)
    return 4;
  return 0;
}
"""


def test_cudnn_8_chooses_the_fastest_within_the_limit(tmp_path):
    change = BY_ID["cudnn-entry-points"].changes["include/caffe/util/cudnn.hpp"]
    text = change(CUDNN_HPP)
    assert text != CUDNN_HPP
    assert change(text) == text
    (tmp_path / "cudnn.h").write_text(FAKE_CUDNN.replace("@VERSION@", "8000"))
    (tmp_path / "cudnn.hpp").write_text(text)
    (tmp_path / "main.cpp").write_text(f'#include "cudnn.hpp"\n{CALLS}{MAIN}')
    compiler = shutil.which("g++") or shutil.which("c++")
    program = str(tmp_path / "main")
    done = subprocess.run(
        [compiler, "-std=c++11", "-Wall", "-Werror", "-I.", "main.cpp", "-o", program],
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert subprocess.run([program]).returncode == 0


def test_cudnn_7_sees_nothing_new(tmp_path):
    change = BY_ID["cudnn-entry-points"].changes["include/caffe/util/cudnn.hpp"]
    (tmp_path / "cudnn.h").write_text(FAKE_CUDNN.replace("@VERSION@", "7605"))
    (tmp_path / "cudnn.hpp").write_text(change(CUDNN_HPP))
    command = [shutil.which("g++") or "c++", "-E", "-P", "-I.", "cudnn.hpp"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert "cudnnGetConvolutionForwardAlgorithm(" not in done.stdout


BOOST = """\
    find_package(NumPy 1.7.1)
    # Find the matching boost python implementation
    set(version ${PYTHONLIBS_VERSION_STRING})
    while(NOT Boost_PYTHON_FOUND)
    endwhile()
    if(NOT Boost_PYTHON_FOUND)
      find_package(Boost 1.46 COMPONENTS python)
    endif()
  else()
"""
FIND_BOOST = """\
cmake_minimum_required(VERSION 3.5...3.10)
set(PYTHONLIBS_VERSION_STRING "@PYTHON@")
macro(find_package package version quiet components name)
  message(STATUS "tried ${name}")
  string(TOUPPER "Boost_${name}_FOUND" variable)
  string(REPLACE "BOOST" "Boost" variable "${variable}")
  if("${name}" STREQUAL "@THERE@")
    set(${variable} TRUE)
  endif()
endmacro()
if(TRUE)
  macro(ignore)
  endmacro()
@TEXT@
endif()
message(STATUS "found ${Boost_PYTHON_FOUND}")
"""


@pytest.mark.parametrize(
    ("python", "there", "tried"),
    [
        ("3.11.2", "python311", ["python311"]),
        ("3.9.0+", "python39", ["python39"]),
        ("3.5.2", "python-py35", ["python35", "python-py35"]),
        ("3.6.1", "python3", ["python36", "python-py36", "python3"]),
        ("3.6.1", "python", ["python36", "python-py36", "python3", "python"]),
        ("3.6.1", "none", ["python36", "python-py36", "python3", "python"]),
    ],
)
def test_boost_python_is_found_under_each_of_its_names(python, there, tried, tmp_path):
    cmake = shutil.which("cmake")
    change = BY_ID["boost-python"].changes["cmake/Dependencies.cmake"]
    text = change(BOOST)
    assert change(text) == text
    body = text.replace("    find_package(NumPy 1.7.1)\n", "").replace("  else()\n", "")
    script = FIND_BOOST.replace("@TEXT@", body).replace("@PYTHON@", python)
    (tmp_path / "find.cmake").write_text(script.replace("@THERE@", there))
    done = subprocess.run(
        [cmake, "-P", str(tmp_path / "find.cmake")], capture_output=True, text=True, check=True
    )
    assert re.findall(r"tried (\S+)", done.stdout) == tried
    assert ("found TRUE" in done.stdout) == (there != "none")


MAKEFILE = """\
INCLUDE_DIRS += ./src ./include
LIBRARIES += glog gflags protobuf boost_system boost_filesystem m
all:
\t@echo $(LIBRARIES)
"""


@pytest.mark.parametrize(("boost", "links"), [(105800, True), (106900, False), (109200, False)])
def test_boost_system_is_linked_where_it_is_more_than_headers(boost, links, tmp_path):
    (tmp_path / "include/boost").mkdir(parents=True)
    (tmp_path / "include/boost/version.hpp").write_text(f"#define BOOST_VERSION {boost}\n")
    change = BY_ID["boost-system"].changes["Makefile"]
    (tmp_path / "Makefile").write_text(change(MAKEFILE))
    assert change(change(MAKEFILE)) == change(MAKEFILE)
    make = shutil.which("make") or pytest.skip("there is no make")
    command = [make, "--no-print-directory", f"CXX={shutil.which('g++') or 'c++'}"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    middle = ["boost_system"] if links else []
    assert done.stdout.split() == ["glog", "gflags", "protobuf", *middle, "boost_filesystem", "m"]


CUDA_CMAKE = """\
set(Caffe_known_gpu_archs "20 21(20) 30 35 50 60 61")
macro(detect)
  string(REPLACE "2.1" "2.1(2.0)" __nvcc_out "${__nvcc_out}")
endmacro()
function(caffe_select_nvcc_arch_flags)
  set(CUDA_ARCH_PTX "50"                     CACHE STRING "Specify")
  set(__cuda_arch_bin "${Caffe_known_gpu_archs}")
  string(REGEX MATCHALL "[0-9()]+" __cuda_arch_bin "${__cuda_arch_bin}")
  string(COMPARE LESS "${CUDA_VERSION}" "9.0" iscudaolderthan90)
  if(NOT iscudaolderthan90)
    string(REPLACE "21(20)" "" __cuda_arch_bin "${__cuda_arch_bin}")
    string(REPLACE "20" "" __cuda_arch_bin "${__cuda_arch_bin}")
  endif()
  message(STATUS "bin ${__cuda_arch_bin} ptx ${CUDA_ARCH_PTX}")
endfunction()
# setting nvcc arch flags
caffe_select_nvcc_arch_flags()
set(__nvcc_out "@DEVICES@")
detect()
message(STATUS "devices ${__nvcc_out}")
"""


@pytest.mark.parametrize(
    ("version", "flags"),
    [
        ("8.0", "bin 20;21(20);30;35;50;60;61 ptx 61"),
        ("9.2", "bin 30;35;50;60;61 ptx 61"),
        ("10.2", "bin 30;35;50;60;61 ptx 61"),
        ("11.0", "bin 60;61;70;75;80 ptx 80"),
        ("11.8", "bin 60;61;70;75;80;86;89;90 ptx 90"),
        ("12.8", "bin 60;61;70;75;80;86;89;90;100;120 ptx 120"),
        ("13.0", "bin 75;80;86;89;90;100;120 ptx 120"),
    ],
)
def test_cuda_architectures_by_toolkit(version, flags, tmp_path):
    change = BY_ID["cuda-architectures"].changes["cmake/Cuda.cmake"]
    text = change(CUDA_CMAKE)
    assert change(text) == text
    script = f'set(CUDA_VERSION "{version}")\n' + text.replace("@DEVICES@", "2.1 12.1 8.6")
    (tmp_path / "cuda.cmake").write_text("cmake_minimum_required(VERSION 3.5...3.10)\n" + script)
    command = [shutil.which("cmake"), "-P", str(tmp_path / "cuda.cmake")]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert flags in done.stdout
    assert "devices 2.1(2.0) 12.1 8.6" in done.stdout
