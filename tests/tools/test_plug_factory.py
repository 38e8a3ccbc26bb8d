"""tools/plugging/factory.py: convolutions with three axes become ours, ReLU takes clips."""

from __future__ import annotations

import pytest
from caffe_trees import FACTORY
from plugging import factory
from plugging.refusal import Refusal

INSERTION = """\
#include "caffe/layers/convolution3d_layer.hpp"
#include "caffe/layers/four_axes_layer.hpp"

// Ours.
template <typename Dtype>
shared_ptr<Layer<Dtype> > GetConvolutionLayer(const LayerParameter& param) {
  return CreateConvolution<Dtype>(param, GetUpstreamConvolutionLayer<Dtype>);
}

template <typename Dtype>
shared_ptr<Layer<Dtype> > GetReLULayer(const LayerParameter& param) {
  return CreateActivation<Dtype>(param, GetUpstreamReLULayer<Dtype>);
}
"""
RELU = """
template <typename Dtype>
shared_ptr<Layer<Dtype> > GetReLULayer(const LayerParameter& param) {
  return shared_ptr<Layer<Dtype> >(new ReLULayer<Dtype>(param));
}

REGISTER_LAYER_CREATOR(ReLU, GetReLULayer);
"""
TEXT = FACTORY.replace("@MORE@", "")


def extend(text: str, insertion: str, where: str) -> str:
    return factory.extend(text, insertion, where).text


def test_renamed_and_wrapped():
    text = extend(TEXT, INSERTION, "f")
    theirs = text.index("GetUpstreamConvolutionLayer(\n    const LayerParameter& param) {")
    ours = text.index("> GetConvolutionLayer(const LayerParameter& param) {")
    registered = text.index("REGISTER_LAYER_CREATOR(Convolution, GetConvolutionLayer);")
    assert theirs < ours < registered
    assert text.index("convolution3d_layer.hpp") < text.index("conv_layer.hpp")
    assert text.count("GetDeconvolutionLayer") == TEXT.count("GetDeconvolutionLayer")


def test_activations_are_wrapped_where_the_factory_makes_them():
    assert "CreateActivation" not in extend(TEXT, INSERTION, "f")
    assert not factory.extend(TEXT, INSERTION, "f").notes
    (note,) = factory.extend(TEXT + "// new CuDNNReLULayer<Dtype>(param)\n", INSERTION, "f").notes
    assert note.startswith("ReLU is made in another way by this tree and was left alone")
    before = FACTORY.replace("@MORE@", RELU)
    text, notes = factory.extend(before, INSERTION, "f")
    assert not notes
    theirs = text.index("GetUpstreamReLULayer(const LayerParameter& param) {")
    ours = text.index("> GetReLULayer(const LayerParameter& param) {")
    assert theirs < ours < text.index("REGISTER_LAYER_CREATOR(ReLU, GetReLULayer);")
    assert text.count("caffe-p3d: begin") == text.count("caffe-p3d: end") == 2
    assert text.index("four_axes_layer.hpp") < text.index("conv_layer.hpp")


@pytest.mark.parametrize("more", ["", RELU])
def test_again_and_after_an_update(more):
    text = extend(TEXT + more, INSERTION, "f")
    assert extend(text, INSERTION, "f") == text
    newer = INSERTION.replace("convolution3d_layer", "newer_layer").replace("Create", "Make")
    assert extend(text, newer, "f") == extend(TEXT + more, newer, "f")


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
