#include "caffe/layers/bn_layer.hpp"

#include <algorithm>
#include <cmath>
#include <vector>

#include "caffe/filler.hpp"
#include "caffe/util/math_functions.hpp"
#include "caffe/util/p3d_error.hpp"
#include "kernels/bn.hpp"

namespace caffe {

using p3d::Order;

namespace {

template <typename Dtype>
void Fill(const FillerParameter& param, Blob<Dtype>* blob) {
  shared_ptr<Filler<Dtype> > filler(GetFiller<Dtype>(param));
  filler->Fill(blob);
}

template <typename Dtype>
void FillConstant(float value, Blob<Dtype>* blob) {
  FillerParameter param;
  param.set_value(value);
  Fill(param, blob);
}

}  // namespace

template <typename Dtype>
void BNLayer<Dtype>::LayerSetUp(const vector<Blob<Dtype>*>& bottom,
                                const vector<Blob<Dtype>*>& top) {
  const BNParameter& param = this->layer_param_.bn_param();
  frozen_ = param.frozen();
  momentum_ = param.momentum();
  eps_ = param.eps();
  LOG_IF(WARNING, param.sync() && !frozen_)
      << "BN '" << this->layer_param_.name() << "' has sync: true, which only "
      << "caffe-p3d's own engine heeds: where several GPUs train, each has "
      << "statistics of its own here";
  CHECK_GE(bottom[0]->num_axes(), 2)
      << "BN '" << this->layer_param_.name() << "' needs a channel axis; the "
      << "bottom's shape is " << bottom[0]->shape_string();
  if (this->blobs_.empty()) {
    FillBlobs(bottom[0]->shape(1));
  } else {
    CHECK_EQ(this->blobs_.size(), 4)
        << "BN '" << this->layer_param_.name() << "' takes 4 blobs: slope, "
        << "bias, running mean, running variance";
  }
  this->param_propagate_down_.resize(this->blobs_.size(), true);
  FixRates();
}

template <typename Dtype>
void BNLayer<Dtype>::FillBlobs(int channels) {
  const BNParameter& param = this->layer_param_.bn_param();
  vector<int> shape(2, 1);
  shape[1] = channels;
  this->blobs_.resize(4);
  for (int i = 0; i < 4; ++i) this->blobs_[i].reset(new Blob<Dtype>(shape));
  if (param.has_slope_filler()) {
    Fill(param.slope_filler(), this->blobs_[0].get());
  } else {
    FillConstant(1, this->blobs_[0].get());
  }
  Fill(param.bias_filler(), this->blobs_[1].get());
  FillConstant(0, this->blobs_[2].get());
  FillConstant(frozen_ ? 1 : 0, this->blobs_[3].get());
}

template <typename Dtype>
void BNLayer<Dtype>::FixRates() {
  while (this->layer_param_.param_size() < 4) this->layer_param_.add_param();
  for (int i = frozen_ ? 0 : 2; i < 4; ++i) {
    this->layer_param_.mutable_param(i)->set_lr_mult(0);
    this->layer_param_.mutable_param(i)->set_decay_mult(0);
  }
}

template <typename Dtype>
void BNLayer<Dtype>::Reshape(const vector<Blob<Dtype>*>& bottom,
                             const vector<Blob<Dtype>*>& top) {
  CHECK_GE(bottom[0]->num_axes(), 2)
      << "BN '" << this->layer_param_.name() << "' needs a channel axis; the "
      << "bottom's shape is " << bottom[0]->shape_string();
  CHECK_EQ(bottom[0]->shape(1), this->blobs_[0]->count())
      << "BN '" << this->layer_param_.name() << "' is for "
      << this->blobs_[0]->count() << " channels; the bottom's shape is "
      << bottom[0]->shape_string();
  CHECK(!learning() || bottom[0]->count() > 0)
      << "BN '" << this->layer_param_.name() << "' cannot take statistics of "
      << "a bottom without values, its shape is " << bottom[0]->shape_string();
  geometry_.num = bottom[0]->shape(0);
  geometry_.channels = bottom[0]->shape(1);
  geometry_.pixels = bottom[0]->count(2);
  top[0]->ReshapeLike(*bottom[0]);
  const vector<int> channels(1, bottom[0]->shape(1));
  mean_.Reshape(channels);
  deviation_.Reshape(channels);
  if (bottom[0] == top[0] && !frozen_) bottom_copy_.ReshapeLike(*bottom[0]);
}

template <typename Dtype>
void BNLayer<Dtype>::Forward_cpu(const vector<Blob<Dtype>*>& bottom,
                                 const vector<Blob<Dtype>*>& top) {
  const int channels = bottom[0]->shape(1);
  const Dtype* x = bottom[0]->cpu_data();
  double* mean = mean_.mutable_cpu_data();
  double* deviation = deviation_.mutable_cpu_data();
  OrFatal(this->layer_param_, [&] {
    if (learning()) {
      p3d::ChannelStatistics(geometry_, Order::kCaffe, x, mean, deviation);
      p3d::UpdateRunning(channels, momentum_, 1 - momentum_, mean,
                         this->blobs_[2]->mutable_cpu_data());
      p3d::UpdateRunning(channels, momentum_, 1 - momentum_, deviation,
                         this->blobs_[3]->mutable_cpu_data());
    } else {
      std::copy_n(this->blobs_[2]->cpu_data(), channels, mean);
      std::copy_n(this->blobs_[3]->cpu_data(), channels, deviation);
    }
    for (int c = 0; c < channels; ++c) {
      deviation[c] = std::sqrt(deviation[c] + eps_);
    }
    if (bottom[0] == top[0] && !frozen_) {
      caffe_copy(bottom[0]->count(), x, bottom_copy_.mutable_cpu_data());
    }
    p3d::Normalize(geometry_, Order::kCaffe, mean, deviation,
                   this->blobs_[0]->cpu_data(), this->blobs_[1]->cpu_data(), x,
                   top[0]->mutable_cpu_data());
  });
}

template <typename Dtype>
void BNLayer<Dtype>::Backward_cpu(const vector<Blob<Dtype>*>& top,
                                  const vector<bool>& propagate_down,
                                  const vector<Blob<Dtype>*>& bottom) {
  const double* deviation = deviation_.cpu_data();
  const Dtype* slope = this->blobs_[0]->cpu_data();
  const Dtype* dy = top[0]->cpu_diff();
  Dtype* dx = propagate_down[0] ? bottom[0]->mutable_cpu_diff() : NULL;
  OrFatal(this->layer_param_, [&] {
    if (frozen_) {
      if (!dx) return;
      p3d::NormalizeBackwardFrozen(geometry_, Order::kCaffe, deviation, slope,
                                   dy, dx);
      return;
    }
    const Blob<Dtype>& x = bottom[0] == top[0] ? bottom_copy_ : *bottom[0];
    p3d::NormalizeBackward(
        geometry_, Order::kCaffe, mean_.cpu_data(), deviation, slope,
        x.cpu_data(), dy,
        this->param_propagate_down_[0] ? this->blobs_[0]->mutable_cpu_diff()
                                       : NULL,
        this->param_propagate_down_[1] ? this->blobs_[1]->mutable_cpu_diff()
                                       : NULL,
        dx);
  });
}

#ifdef CPU_ONLY
STUB_GPU(BNLayer);
#endif

INSTANTIATE_CLASS(BNLayer);
REGISTER_LAYER_CLASS(BN);

}  // namespace caffe
