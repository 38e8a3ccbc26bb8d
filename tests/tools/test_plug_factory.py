"""tools/plugging/factory.py: whichever convolution has three axes becomes ours."""

from __future__ import annotations

import pytest
from caffe_trees import FACTORY
from plugging.factory import extend
from plugging.refusal import Refusal

INSERTION = """\
#include "caffe/layers/convolution3d_layer.hpp"

template <typename Dtype>
shared_ptr<Layer<Dtype> > GetConvolutionLayer(const LayerParameter& param) {
  return CreateConvolution<Dtype>(param, GetUpstreamConvolutionLayer<Dtype>);
}
"""
TEXT = FACTORY.replace("@MORE@", "")


def test_renamed_and_wrapped():
    text = extend(TEXT, INSERTION, "f")
    theirs = text.index("GetUpstreamConvolutionLayer(\n    const LayerParameter& param) {")
    ours = text.index("> GetConvolutionLayer(const LayerParameter& param) {")
    registered = text.index("REGISTER_LAYER_CREATOR(Convolution, GetConvolutionLayer);")
    assert theirs < ours < registered
    assert text.index("convolution3d_layer.hpp") < text.index("conv_layer.hpp")
    assert text.count("GetDeconvolutionLayer") == TEXT.count("GetDeconvolutionLayer")


def test_again_and_after_an_update():
    text = extend(TEXT, INSERTION, "f")
    assert extend(text, INSERTION, "f") == text
    newer = INSERTION.replace("convolution3d_layer", "newer_layer").replace("Create", "Make")
    assert extend(text, newer, "f") == extend(TEXT, newer, "f")


@pytest.mark.parametrize(
    "text",
    [
        TEXT.replace("boost", "").replace("> GetConvolutionLayer(\n    const", "> GetConv(const"),
        TEXT.replace("shared_ptr<Layer<Dtype> > GetConv", "Layer<Dtype>* GetConv"),
        TEXT.replace("(\n    const LayerParameter&", "(const string& name, const LayerParameter&"),
        TEXT.replace(
            "REGISTER_LAYER_CREATOR(Convolution,", "// REGISTER_LAYER_CREATOR(Convolution,"
        ),
        TEXT.replace('#include "caffe/layer_factory.hpp"\n', ""),
        "",
    ],
)
def test_other_shapes_are_refused(text):
    assert text != TEXT
    with pytest.raises(Refusal, match=r"^f (has another shape|does not)"):
        extend(text, INSERTION, "f")


@pytest.mark.parametrize(
    "text",
    [
        TEXT.replace("> >", ">>"),
        TEXT.replace("shared_ptr<", "boost::shared_ptr<"),
        TEXT.replace("\nREGISTER", "\n\tREGISTER").replace("param) {", "param){"),
    ],
)
def test_spellings_of_forks(text):
    assert text != TEXT
    assert "GetUpstreamConvolutionLayer(" in extend(text, INSERTION, "f")
