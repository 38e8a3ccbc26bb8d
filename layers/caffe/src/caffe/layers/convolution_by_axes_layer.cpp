#include "caffe/layers/convolution_by_axes_layer.hpp"

#include <algorithm>
#include <vector>

#include "caffe/layers/convolution3d_layer.hpp"

namespace caffe {

bool HasFieldsAbove(int last, const google::protobuf::Message& message) {
  vector<const google::protobuf::FieldDescriptor*> fields;
  message.GetReflection()->ListFields(message, &fields);
  // ListFields has them in order.
  return !fields.empty() && fields.back()->number() > last;
}

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
  const bool of_a_fork =
      HasFieldsAbove(ConvolutionParameter::kDilationFieldNumber, conv_param);
  if (conv_param.force_nd_im2col() || of_a_fork || axes == 2 || axes > 3) {
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
    this->inner_.reset(new Convolution3DLayer<Dtype>(this->layer_param_));
  } else {
    this->inner_ = upstream_(this->layer_param_);
  }
  WrapperLayer<Dtype>::LayerSetUp(bottom, top);
}

INSTANTIATE_CLASS(ConvolutionByAxesLayer);

}  // namespace caffe
