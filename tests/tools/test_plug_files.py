"""tools/plugging/files.py: what is copied."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from caffe_trees import write_layers
from plugging.files import STAMP, collect, disabled, renamed
from plugging.rivals import LAYERS as RIVALS

LAYERS = Path(__file__).parents[2] / "layers"


@pytest.fixture
def copies(tmp_path):
    return collect(write_layers(tmp_path))


def test_the_closure(copies):
    kernels = {name for name in copies if "/p3d/" in name}
    assert kernels == {
        *(
            f"include/caffe/p3d/{n}.hpp"
            for n in ("bn", "pool", "conv", "igemm", "igemm-inl", "ranges")
        ),
        *(
            f"src/caffe/p3d/{n}"
            for n in ("bn.cpp", "bn.cu", "pool.cpp", "conv.cpp", "igemm_avx2.cpp")
        ),
    }
    assert "src/caffe/test/test_bn_layer.cpp" in copies


def test_includes_lead_to_the_copies(copies):
    for name, text in copies.items():
        assert text.startswith(STAMP), name
        assert "kernels/" not in text, name
        for header in re.findall(r'#include "caffe/p3d/(.+)"', text):
            assert f"include/caffe/p3d/{header}" in copies, name


def test_other_names(copies):
    other = renamed(copies, "Convolution3D", "convolution3d_layer")
    assert len(other) == len(copies)
    header = other["include/caffe/layers/p3d_convolution3d_layer.hpp"]
    assert "class P3DConvolution3DLayer :" in header
    assert header.count("CAFFE_P3D_CONVOLUTION3D_LAYER_HPP_") == 2
    source = other["src/caffe/layers/p3d_convolution3d_layer.cpp"]
    assert '#include "caffe/layers/p3d_convolution3d_layer.hpp"' in source
    assert "INSTANTIATE_CLASS(P3DConvolution3DLayer);" in source
    assert "REGISTER_LAYER_CLASS" not in source  # it would make a Convolution3DLayer
    assert "(new P3DConvolution3DLayer<Dtype>(param));" in source
    assert "REGISTER_LAYER_CREATOR(Convolution3D, CreateP3DConvolution3D);" in source
    assert "P3DConvolution3DLayerTest" in other["src/caffe/test/test_p3d_convolution3d_layer.cpp"]
    assert other["src/caffe/layers/bn_layer.cpp"] == copies["src/caffe/layers/bn_layer.cpp"]


def test_all_layers_are_registered_under_other_names():
    for layer in RIVALS:
        other = renamed(collect(LAYERS), layer.type, layer.stem)
        source = other[f"src/caffe/layers/p3d_{layer.stem}.cpp"]
        assert f"REGISTER_LAYER_CREATOR({layer.type}, CreateP3D{layer.type});" in source
        assert f"REGISTER_LAYER_CLASS({layer.type})" not in source


def test_registrations_are_made_comments():
    text = (
        "REGISTER_LAYER_CLASS(BN);\n// REGISTER_LAYER_CLASS(BN);\nREGISTER_LAYER_CLASS(BNLL);\n"
        "  REGISTER_LAYER_CREATOR(BN,\n    GetBN);\n"
    )
    expected = (
        "// caffe-p3d: REGISTER_LAYER_CLASS(BN);\n// REGISTER_LAYER_CLASS(BN);\n"
        "REGISTER_LAYER_CLASS(BNLL);\n  // caffe-p3d: REGISTER_LAYER_CREATOR(BN, GetBN);\n"
    )
    assert disabled(text, "BN") == expected
    assert disabled(expected, "BN") == expected


def test_this_repository_s_layers():
    """Every kernel that the real layers include is there, and they include no other folder."""
    for name, text in collect(LAYERS).items():
        for header in re.findall(r'^#include "(.+)"', text, re.MULTILINE):
            assert header.startswith(("caffe/", "gtest/", "google/")), f"{name}: {header}"


def test_sources_begin_with_the_header_that_they_implement():
    """By which they are found: TV-L1's rows of optical flow once came along with its lanes."""
    kernels = LAYERS / "kernels"
    for path in (*kernels.rglob("*.cpp"), *kernels.rglob("*.cu")):
        first = re.search(r'^#include "kernels/(.+)"', path.read_text(), re.MULTILINE)
        assert first, path
        header = kernels / first[1]
        words = [name.stem.split("_")[0] for name in (path, header)]
        assert (header.parent, words[1]) == (path.parent, words[0]), path


def test_only_what_the_layers_need_is_copied():
    words = {Path(name).stem.split("_")[0] for name in collect(LAYERS) if "/p3d/" in name}
    assert words.isdisjoint({"losses", "lrn", "pointwise", "softmax", "tvl1", "update"})


def test_no_two_kernels_share_a_name():
    """They lie in one folder there."""
    names = [path.name for path in (LAYERS / "kernels").rglob("*") if path.is_file()]
    assert len(names) == len(set(names))
