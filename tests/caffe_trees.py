"""Small Caffe trees for tests of tools/plug_into_caffe.py: field lines and function skeletons.

Nothing here compiles; it has the shapes that the tool looks for. The real trees are tested in
tests/upstream.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

PROTO = """\
syntax = "proto2";

package caffe;

message BlobShape { repeated int64 dim = 1 [packed = true]; }

message FillerParameter {
  optional string type = 1 [default = 'constant']; // 'a' {
}

// LayerParameter next available layer-specific ID: 149 (last added: clip_param)
message LayerParameter {
  optional string name = 1; // the name
  optional string type = 2;
  repeated string bottom = 3;

  /* { optional int32 commented = 8210; */
  optional ConvolutionParameter convolution_param = 106;
@FIELDS@}

message ConvolutionParameter {
  optional uint32 num_output = 1;
  repeated uint32 pad = 3; // Naïve
  repeated uint32 kernel_size = 4;
  repeated uint32 dilation = 18;
  enum Engine {
    DEFAULT = 0;
    CAFFE = 1;
  }
  optional Engine engine = 15 [default = DEFAULT];
}
@MESSAGES@"""

BN_MESSAGE = """
message BNParameter {
  optional FillerParameter slope_filler = 1;
  optional FillerParameter bias_filler = 2;
  optional float momentum = 3 [default = 0.9];
  optional float eps = 4 [default = 0.00001];
  optional bool frozen = 5 [default = false];
  enum Engine { DEFAULT = 0; CAFFE = 1; CUDNN = 2; }
  optional Engine engine = 6 [default = DEFAULT];
}
"""

POOLING_MESSAGE = """
message Pooling3DParameter {
\tenum PoolMethod {
\t\tMAX = 0;
\t\tAVE = 1;
\t\tSTOCHASTIC = 2;
\t}
\toptional PoolMethod pool = 1 [default = MAX];
\toptional uint32 pad = 2 [default = 0];
\toptional uint32 kernel_size = 3;
\toptional uint32 kernel_l = 10;
}
"""

FACTORY = """\
#include <string>

#include "caffe/layer.hpp"
#include "caffe/layer_factory.hpp"
#include "caffe/layers/conv_layer.hpp"

namespace caffe {

// REGISTER_LAYER_CLASS(BN);
template <typename Dtype>
shared_ptr<Layer<Dtype> > GetConvolutionLayer(
    const LayerParameter& param) {
  return shared_ptr<Layer<Dtype> >(new ConvolutionLayer<Dtype>(param));
}

REGISTER_LAYER_CREATOR(Convolution, GetConvolutionLayer);

template <typename Dtype>
shared_ptr<Layer<Dtype> > GetDeconvolutionLayer(const LayerParameter& param) {
  return shared_ptr<Layer<Dtype> >(new DeconvolutionLayer<Dtype>(param));
}

REGISTER_LAYER_CREATOR(Deconvolution, GetDeconvolutionLayer);
@MORE@
}  // namespace caffe
"""

_FILES = {
    "include/caffe/layer.hpp": "template <typename Dtype>\nclass Layer {};\n",
    "include/caffe/layers/conv_layer.hpp": "class ConvolutionLayer : public Layer {};\n",
    "include/caffe/layers/relu_layer.hpp": "class ReLULayer : public Layer {};\n",
    "src/caffe/layers/relu_layer.cpp": "REGISTER_LAYER_CLASS(ReLU);\n",
    "src/caffe/util/io.cpp": "coded_input->SetTotalBytesLimit(kProtoReadBytesLimit, 536870912);\n",
    "cmake/Targets.cmake": "  file(GLOB_RECURSE srcs ${root}/src/caffe/*.cpp)\n",
    "CMakeLists.txt": "cmake_minimum_required(VERSION 2.8.7)\n",
    "Makefile": "PROJECT := caffe\n",
    "data/binary.bin": "\0\r\n\xff\n",
}

#: What the forks have besides: fields, messages, lines of the factory, files.
_FORKS: dict[str, tuple[str, str, str, dict[str, str]]] = {
    "upstream": ("", "", "", {}),
    "tsn": (
        "  optional BNParameter bn_param = 137;\n  optional VideoParameter video_param = 140;\n",
        BN_MESSAGE + "message VideoParameter { optional string source = 1; }\n",
        """
template <typename Dtype>
shared_ptr<Layer<Dtype> > GetBNLayer(const LayerParameter& param) {
  return shared_ptr<Layer<Dtype> >(new BNLayer<Dtype>(param));
}

REGISTER_LAYER_CREATOR(BN,
    GetBNLayer);
""",
        {
            "include/caffe/layers/bn_layer.hpp": "class BNLayer : public Layer {};\n",
            "src/caffe/layers/bn_layer.cpp": "height_ = bottom[0]->height();\n",
        },
    ),
    "author": (
        "\toptional Convolution3DParameter convolution3d_param = 141;\n"
        "\toptional Pooling3DParameter pooling3d_param = 142;\n",
        POOLING_MESSAGE + "message Convolution3DParameter { optional uint32 pad_l = 1; }\n",
        "",
        {
            "include/caffe/video_layers.hpp": "class Convolution3DLayer : public Layer {};\n",
            "include/caffe/video/pooling3d_layer.hpp": "class Pooling3DLayer : public Layer {};\n",
            "src/caffe/layers/conv3d_layer.cpp": "REGISTER_LAYER_CLASS(Convolution3D);\n",
            "src/caffe/layers/pooling3d_layer.cpp": "this->layer_param_.pooling3d_param();\n"
            "kernel_l_ = pool_param.kernel_l();\nREGISTER_LAYER_CLASS(Pooling3D);\n",
        },
    ),
    "published": (
        "  optional BNParameter bn_param = 150;\n"
        "  optional Pooling3DParameter pooling3d_param = 151;\n",
        BN_MESSAGE + POOLING_MESSAGE,
        "REGISTER_LAYER_CLASS(BN);\n",
        {
            "include/caffe/video_layers/bn_layer.hpp": "class BNLayer : public Layer {};\n",
            "src/caffe/layers/bn_layer.cpp": "frozen_ = this->layer_param_.bn_param().frozen();\n"
            "width_ = bottom[0]->count(2);\n",
            "src/caffe/layers/bn_layer.cu": "published\n",
            "src/caffe/test/test_bn_layer.cpp": "a fork's test\n",
            "src/caffe/video_layers/pooling3d_layer.cpp": "p = layer_param_.pooling3d_param();\n"
            "kernel_l_ = p.kernel_l();\nREGISTER_LAYER_CLASS(Pooling3D);\n",
        },
    ),
}
FORKS = tuple(_FORKS)


def write_tree(root: Path, fork: str = "upstream", ends: str = "\n") -> Path:
    """A tree of one of FORKS; `ends` are its line ends."""
    fields, messages, more, files = _FORKS[fork]
    files = {
        **_FILES,
        **files,
        "src/caffe/proto/caffe.proto": PROTO.replace("@FIELDS@", fields).replace(
            "@MESSAGES@", messages
        ),
        "src/caffe/layer_factory.cpp": FACTORY.replace("@MORE@", more),
    }
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text.replace("\n", ends).encode("latin-1"))
    os.chmod(root / "src/caffe/layer_factory.cpp", 0o640)
    return root


_LAYER_HEADER = """\
#ifndef CAFFE_{guard}_LAYER_HPP_
#define CAFFE_{guard}_LAYER_HPP_
template <typename Dtype>
class {type}Layer : public Layer<Dtype> {{}};
#endif
"""
_LAYER = """\
#include "caffe/layers/{stem}_layer.hpp"

#include "kernels/{kernel}.hpp"

INSTANTIATE_CLASS({type}Layer);
REGISTER_LAYER_CLASS({type});
"""


def write_layers(root: Path, without: tuple[str, ...] = ()) -> Path:
    """A folder like this repository's layers: three layers, their kernels and one that none needs.

    without  kernels to leave out
    """
    here = Path(__file__).parents[1] / "layers"
    for type_name, kernel in (("BN", "bn"), ("Pooling3D", "pool"), ("Convolution3D", "conv/conv")):
        words = {"type": type_name, "stem": type_name.lower(), "guard": type_name.upper()}
        stem = f"{words['stem']}_layer"
        _write(root, f"caffe/include/caffe/layers/{stem}.hpp", _LAYER_HEADER.format(**words))
        _write(root, f"caffe/src/caffe/layers/{stem}.cpp", _LAYER.format(kernel=kernel, **words))
        test = f'#include "caffe/layers/{stem}.hpp"\nclass {type_name}LayerTest {{}};\n'
        _write(root, f"caffe/src/caffe/test/test_{stem}.cpp", test)
    for name in KERNELS.keys() - set(without):
        _write(root, f"kernels/{name}", KERNELS[name])
    for name in ("caffe/factory.txt", "caffe/proto/p3d.proto"):
        _write(root, name, (here / name).read_text())
    return root


KERNELS = {
    "bn.hpp": "// bn\n",
    "bn.cpp": '#include "kernels/bn.hpp"\n\n#include "kernels/ranges.hpp"\n',
    "bn.cu": '#include "kernels/bn.hpp"\n',
    "pool.hpp": '#pragma once\n#include "kernels/ranges.hpp"\n',
    "pool.cpp": '#include <vector>\n#include "kernels/pool.hpp"\n',
    "conv/conv.hpp": "// conv\n",
    "conv/conv.cpp": '#include "kernels/conv/conv.hpp"\n#include "kernels/conv/igemm.hpp"\n',
    "conv/igemm.hpp": "// igemm\n",
    "conv/igemm_avx2.cpp": '#include "kernels/conv/igemm.hpp"\n'
    '#include "kernels/conv/igemm-inl.hpp"\n',
    "conv/igemm-inl.hpp": "// a macro\n",
    "ranges.hpp": "// ranges\n",
    "lrn.hpp": "// not needed\n",
    "lrn.cpp": '#include "kernels/lrn.hpp"\n#include "kernels/conv/conv.hpp"\n',
}


def _write(root: Path, name: str, text: str) -> None:
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def snapshot(root: Path) -> dict[str, tuple[int, str]]:
    """Every file and folder with its mode and a hash: what undoing has to bring back."""
    return {
        path.relative_to(root).as_posix(): (
            path.lstat().st_mode,
            "" if path.is_dir() else hashlib.sha256(path.read_bytes()).hexdigest(),
        )
        for path in sorted(root.rglob("*"))
    }
