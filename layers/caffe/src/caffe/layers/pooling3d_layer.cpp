#include "caffe/layers/pooling3d_layer.hpp"

#include <vector>

#include "caffe/util/p3d_error.hpp"
#include "caffe/util/rng.hpp"

namespace caffe {

using p3d::Order;
using p3d::PoolAxis;

namespace {

// One of kernel, stride and pad, of height and width.
struct HeightWidth {
  bool has_both, has_h, has_w;
  uint32_t both, h, w;

  bool given() const { return has_both || has_h || has_w; }
};

#define P3D_HEIGHT_WIDTH(param, both, pair)                            \
  {param.has_##both(), param.has_##pair##_h(), param.has_##pair##_w(), \
   param.both(),       param.pair##_h(),       param.pair##_w()}

void SetHeightWidth(const string& layer, const char* both, const char* pair,
                    const HeightWidth& field, int64_t PoolAxis::* member,
                    p3d::PoolShape* windows) {
  CHECK(field.has_h == field.has_w && !(field.has_h && field.has_both))
      << "Pooling3D '" << layer << "': give either " << both << " or both "
      << pair << "_h and " << pair << "_w";
  windows->axes[1].*member = field.has_h ? field.h : field.both;
  windows->axes[2].*member = field.has_w ? field.w : field.both;
}

void CheckWindow(const string& layer, const Pooling3DParameter& param,
                 const PoolAxis& window) {
  if (param.global_pooling()) {
    CHECK(window.pad == 0 && window.stride == 1)
        << "Pooling3D '" << layer << "': global_pooling takes neither pad nor "
        << "stride";
  } else {
    CHECK(window.kernel > 0 && window.stride > 0)
        << "Pooling3D '" << layer << "': kernel and stride of the window have "
        << "to be at least 1, not " << window.kernel << " and "
        << window.stride;
  }
  CHECK(window.pad == 0 ||
        param.pool() != Pooling3DParameter_PoolMethod_STOCHASTIC)
      << "Pooling3D '" << layer << "' cannot pad (by " << window.pad
      << ") for pool: STOCHASTIC; leave the pad out";
}

p3d::PoolShape ReadWindows(const string& layer,
                           const Pooling3DParameter& param) {
  p3d::PoolShape windows;
  windows.axes.resize(3);
  const HeightWidth kernel = P3D_HEIGHT_WIDTH(param, kernel_size, kernel);
  const HeightWidth stride = P3D_HEIGHT_WIDTH(param, stride, stride);
  const HeightWidth pad = P3D_HEIGHT_WIDTH(param, pad, pad);
  SetHeightWidth(layer, "kernel_size", "kernel", kernel, &PoolAxis::kernel,
                 &windows);
  SetHeightWidth(layer, "stride", "stride", stride, &PoolAxis::stride,
                 &windows);
  SetHeightWidth(layer, "pad", "pad", pad, &PoolAxis::pad, &windows);
  if (param.global_pooling()) {
    CHECK(!kernel.given()) << "Pooling3D '" << layer
                           << "': global_pooling takes no kernel size; "
                           << "leave out one of them";
  } else {
    CHECK(kernel.given() && param.has_kernel_l())
        << "Pooling3D '" << layer << "': the window's size is missing: give "
        << "kernel_l, and kernel_size or kernel_h and kernel_w";
    windows.axes[0].kernel = param.kernel_l();
    windows.axes[0].stride = param.stride_l();
    windows.axes[0].pad = param.pad_l();
  }
  for (const PoolAxis& window : windows.axes) CheckWindow(layer, param, window);
  return windows;
}

#undef P3D_HEIGHT_WIDTH

}  // namespace

template <typename Dtype>
void Pooling3DLayer<Dtype>::LayerSetUp(const vector<Blob<Dtype>*>& bottom,
                                       const vector<Blob<Dtype>*>& top) {
  const string& layer = this->layer_param_.name();
  CHECK_NE(bottom[0], top[0])
      << "Pooling3D '" << layer << "' cannot be in place; give the top a name "
      << "of its own";
  windows_ = ReadWindows(layer, this->layer_param_.pooling3d_param());
}

template <typename Dtype>
void Pooling3DLayer<Dtype>::Reshape(const vector<Blob<Dtype>*>& bottom,
                                    const vector<Blob<Dtype>*>& top) {
  CHECK_EQ(5, bottom[0]->num_axes())
      << "Pooling3D '" << this->layer_param_.name() << "' needs 5 axes (num, "
      << "channels, length, height, width), the bottom's shape is "
      << bottom[0]->shape_string() << "; use Pooling for 4";
  const Pooling3DParameter& param = this->layer_param_.pooling3d_param();
  vector<int> out = bottom[0]->shape();
  shape_ = windows_;
  shape_.num = out[0];
  shape_.channels = out[1];
  for (int i = 0; i < 3; ++i) {
    shape_.axes[i].in = out[i + 2];
    if (param.global_pooling()) shape_.axes[i].kernel = out[i + 2];
  }
  OrFatal(this->layer_param_, [&] {
    p3d::SetPoolOutputs(param.round_mode() == Pooling3DParameter_RoundMode_FLOOR
                            ? p3d::PoolRounding::kFloor
                            : p3d::PoolRounding::kCeil,
                        &shape_);
  });
  for (int i = 0; i < 3; ++i) out[i + 2] = shape_.axes[i].out;
  for (int i = 0; i < top.size(); ++i) top[i]->Reshape(out);
  if (param.pool() != Pooling3DParameter_PoolMethod_AVE) mask_.Reshape(out);
}

template <typename Dtype>
void Pooling3DLayer<Dtype>::Forward_cpu(const vector<Blob<Dtype>*>& bottom,
                                        const vector<Blob<Dtype>*>& top) {
  const Dtype* x = bottom[0]->cpu_data();
  Dtype* y = top[0]->mutable_cpu_data();
  OrFatal(this->layer_param_, [&] {
    switch (this->layer_param_.pooling3d_param().pool()) {
      case Pooling3DParameter_PoolMethod_MAX:
        p3d::MaxPool(shape_, Order::kCaffe, x, y, mask_.mutable_cpu_data());
        break;
      case Pooling3DParameter_PoolMethod_AVE:
        p3d::AveragePool(shape_, Order::kCaffe, x, y);
        break;
      case Pooling3DParameter_PoolMethod_STOCHASTIC:
        if (this->phase_ == TRAIN) {
          p3d::StochasticPool(shape_, Order::kCaffe, caffe_rng_rand(), x, y,
                              mask_.mutable_cpu_data());
        } else {
          p3d::StochasticPoolMean(shape_, Order::kCaffe, x, y);
        }
        break;
    }
  });
  if (top.size() > 1) {
    caffe_copy(mask_.count(), mask_.cpu_data(), top[1]->mutable_cpu_data());
  }
}

template <typename Dtype>
void Pooling3DLayer<Dtype>::CheckHasBackward() const {
  CHECK(this->phase_ == TRAIN || this->layer_param_.pooling3d_param().pool() !=
                                     Pooling3DParameter_PoolMethod_STOCHASTIC)
      << "Pooling3D '" << this->layer_param_.name()
      << "' with pool: STOCHASTIC has a backward pass in phase TRAIN only";
}

template <typename Dtype>
void Pooling3DLayer<Dtype>::Backward_cpu(const vector<Blob<Dtype>*>& top,
                                         const vector<bool>& propagate_down,
                                         const vector<Blob<Dtype>*>& bottom) {
  if (!propagate_down[0]) return;
  CheckHasBackward();
  const bool average = this->layer_param_.pooling3d_param().pool() ==
                       Pooling3DParameter_PoolMethod_AVE;
  const Dtype* dy = top[0]->cpu_diff();
  Dtype* dx = bottom[0]->mutable_cpu_diff();
  OrFatal(this->layer_param_, [&] {
    if (average) {
      p3d::AveragePoolBackward(shape_, Order::kCaffe, dy, dx);
    } else {
      p3d::MaskedPoolBackward(shape_, Order::kCaffe, mask_.cpu_data(), dy, dx);
    }
  });
}

#ifdef CPU_ONLY
STUB_GPU(Pooling3DLayer);
#endif

INSTANTIATE_CLASS(Pooling3DLayer);
REGISTER_LAYER_CLASS(Pooling3D);

}  // namespace caffe
