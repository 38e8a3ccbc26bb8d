#include "caffe/layers/convolution_by_axes_layer.hpp"

#include <algorithm>
#include <vector>

#include "caffe/layers/convolution3d_layer.hpp"

namespace caffe {

// The number of spatial axes that convolution_param tells by naming a value for
// each; 1 where one value stands for all.
static int NamedAxes(const ConvolutionParameter& param) {
  if (param.has_kernel_h() || param.has_kernel_w() || param.has_stride_h() ||
      param.has_stride_w() || param.has_pad_h() || param.has_pad_w()) {
    return 2;
  }
  return std::max(std::max(param.kernel_size_size(), param.stride_size()),
                  std::max(param.pad_size(), param.dilation_size()));
}

template <typename Dtype>
shared_ptr<Layer<Dtype> > CreateConvolution(
    const LayerParameter& param,
    shared_ptr<Layer<Dtype> > (*upstream)(const LayerParameter&)) {
  const ConvolutionParameter& conv_param = param.convolution_param();
  const int axes = NamedAxes(conv_param);
  if (conv_param.force_nd_im2col() || axes == 2 || axes > 3) {
    return upstream(param);
  }
  if (axes == 3) {
    return shared_ptr<Layer<Dtype> >(new Convolution3DLayer<Dtype>(param));
  }
  return shared_ptr<Layer<Dtype> >(
      new ConvolutionByAxesLayer<Dtype>(param, upstream));
}

template shared_ptr<Layer<float> > CreateConvolution(
    const LayerParameter&,
    shared_ptr<Layer<float> > (*)(const LayerParameter&));
template shared_ptr<Layer<double> > CreateConvolution(
    const LayerParameter&,
    shared_ptr<Layer<double> > (*)(const LayerParameter&));

template <typename Dtype>
void ConvolutionByAxesLayer<Dtype>::LayerSetUp(
    const vector<Blob<Dtype>*>& bottom, const vector<Blob<Dtype>*>& top) {
  const int axis = bottom[0]->CanonicalAxisIndex(
      this->layer_param_.convolution_param().axis());
  if (bottom[0]->num_axes() == axis + 4) {
    chosen_.reset(new Convolution3DLayer<Dtype>(this->layer_param_));
  } else {
    chosen_ = upstream_(this->layer_param_);
  }
  chosen_->LayerSetUp(bottom, top);
  this->blobs_ = chosen_->blobs();
  this->param_propagate_down_.resize(this->blobs_.size(), true);
}

template <typename Dtype>
void ConvolutionByAxesLayer<Dtype>::Reshape(const vector<Blob<Dtype>*>& bottom,
                                            const vector<Blob<Dtype>*>& top) {
  chosen_->Reshape(bottom, top);
}

// The chosen layer's own Forward and Backward know which device is in use.
template <typename Dtype>
void ConvolutionByAxesLayer<Dtype>::Forward_cpu(
    const vector<Blob<Dtype>*>& bottom, const vector<Blob<Dtype>*>& top) {
  chosen_->Forward(bottom, top);
}

template <typename Dtype>
void ConvolutionByAxesLayer<Dtype>::Forward_gpu(
    const vector<Blob<Dtype>*>& bottom, const vector<Blob<Dtype>*>& top) {
  chosen_->Forward(bottom, top);
}

template <typename Dtype>
void ConvolutionByAxesLayer<Dtype>::Backward_cpu(
    const vector<Blob<Dtype>*>& top, const vector<bool>& propagate_down,
    const vector<Blob<Dtype>*>& bottom) {
  for (int i = 0; i < this->blobs_.size(); ++i) {
    chosen_->set_param_propagate_down(i, this->param_propagate_down(i));
  }
  chosen_->Backward(top, propagate_down, bottom);
}

template <typename Dtype>
void ConvolutionByAxesLayer<Dtype>::Backward_gpu(
    const vector<Blob<Dtype>*>& top, const vector<bool>& propagate_down,
    const vector<Blob<Dtype>*>& bottom) {
  Backward_cpu(top, propagate_down, bottom);
}

INSTANTIATE_CLASS(ConvolutionByAxesLayer);

}  // namespace caffe
