#include "caffe/layers/convolution3d_layer.hpp"

#include <vector>

#include "caffe/layer_factory.hpp"
#include "caffe/util/p3d_error.hpp"

namespace caffe {

template <typename Dtype>
void Convolution3DLayer<Dtype>::LayerSetUp(const vector<Blob<Dtype>*>& bottom,
                                           const vector<Blob<Dtype>*>& top) {
  const int axis = bottom[0]->CanonicalAxisIndex(
      this->layer_param_.convolution_param().axis());
  CHECK_EQ(bottom[0]->num_axes(), axis + 4)
      << "Convolution3D '" << this->layer_param_.name() << "': the bottom "
      << bottom[0]->shape_string()
      << " needs three spatial axes (length, height, width) behind axis "
      << axis << "; use type: \"Convolution\" for any other number.";
  ConvolutionLayer<Dtype>::LayerSetUp(bottom, top);
}

template <typename Dtype>
void Convolution3DLayer<Dtype>::Reshape(const vector<Blob<Dtype>*>& bottom,
                                        const vector<Blob<Dtype>*>& top) {
  ConvolutionLayer<Dtype>::Reshape(bottom, top);
  if (bottom[0]->shape() == conv_bottom_) return;  // as in every Forward
  conv_bottom_ = bottom[0]->shape();
  if (bottom[0]->count() == 0) {
    conv_.reset();
    return;
  }
  OrFatal(this->layer_param_, [&] {
    conv_.reset(p3d::PlanarConv<Dtype>::Create(Shape()).release());
  });
}

template <typename Dtype>
p3d::ConvShape Convolution3DLayer<Dtype>::Shape() const {
  p3d::ConvShape shape;
  shape.num = this->num_;
  shape.channels = this->channels_;
  shape.num_output = this->num_output_;
  shape.group = this->group_;
  for (int i = 0; i < this->num_spatial_axes_; ++i) {
    p3d::ConvAxis axis;
    axis.in = (*this->bottom_shape_)[this->channel_axis_ + 1 + i];
    axis.kernel = this->kernel_shape_.cpu_data()[i];
    axis.stride = this->stride_.cpu_data()[i];
    axis.dilation = this->dilation_.cpu_data()[i];
    axis.pad_begin = axis.pad_end = this->pad_.cpu_data()[i];
    axis.PadForOne();
    shape.axes.push_back(axis);
  }
  return shape;
}

template <typename Dtype>
void Convolution3DLayer<Dtype>::Forward_cpu(const vector<Blob<Dtype>*>& bottom,
                                            const vector<Blob<Dtype>*>& top) {
  if (!conv_) return;
  const Dtype* weight = this->blobs_[0]->cpu_data();
  const Dtype* bias = this->bias_term_ ? this->blobs_[1]->cpu_data() : NULL;
  for (int i = 0; i < bottom.size(); ++i) {
    conv_->Forward(bottom[i]->cpu_data(), weight, bias,
                   top[i]->mutable_cpu_data());
  }
}

template <typename Dtype>
void Convolution3DLayer<Dtype>::Backward_cpu(
    const vector<Blob<Dtype>*>& top, const vector<bool>& propagate_down,
    const vector<Blob<Dtype>*>& bottom) {
  if (!conv_) return;
  for (int i = 0; i < top.size(); ++i) {
    const Dtype* top_diff = top[i]->cpu_diff();
    if (this->bias_term_ && this->param_propagate_down_[1]) {
      p3d::PlanarBiasGradient<Dtype>(this->num_, this->num_output_,
                                     this->out_spatial_dim_, top_diff,
                                     this->blobs_[1]->mutable_cpu_diff());
    }
    if (this->param_propagate_down_[0]) {
      conv_->BackwardWeights(top_diff, bottom[i]->cpu_data(),
                             this->blobs_[0]->mutable_cpu_diff());
    }
    if (propagate_down[i]) {
      conv_->BackwardData(top_diff, this->blobs_[0]->cpu_data(),
                          bottom[i]->mutable_cpu_diff());
    }
  }
}

#ifdef CPU_ONLY
STUB_GPU(Convolution3DLayer);
#endif

INSTANTIATE_CLASS(Convolution3DLayer);
REGISTER_LAYER_CLASS(Convolution3D);

}  // namespace caffe
