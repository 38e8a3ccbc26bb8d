#include "caffe/layers/bn_layer.hpp"

#include <vector>

#include "caffe/util/cudnn_bn.hpp"
#include "caffe/util/math_functions.hpp"
#include "caffe/util/p3d_error.hpp"
#include "kernels/bn_cuda.hpp"

namespace caffe {

using p3d::Order;

namespace {

template <typename Dtype>
CudnnBnStatistics<Dtype> StatisticsIn(int channels, Blob<Dtype>* blob) {
  blob->Reshape(4, channels, 1, 1);
  Dtype* all = blob->mutable_gpu_data();
  return {all, all + channels, all + 2 * channels, all + 3 * channels};
}

}  // namespace

template <typename Dtype>
void BNLayer<Dtype>::Forward_gpu(const vector<Blob<Dtype>*>& bottom,
                                 const vector<Blob<Dtype>*>& top) {
  by_cudnn_ =
      learning() &&
      this->layer_param_.bn_param().engine() == BNParameter_Engine_CUDNN &&
      CudnnBnCan(geometry_, eps_);
  if (by_cudnn_) return CudnnForward(bottom, top);
  const int channels = bottom[0]->shape(1);
  const Dtype* x = bottom[0]->gpu_data();
  double* mean = mean_.mutable_gpu_data();
  double* deviation = deviation_.mutable_gpu_data();
  scratch_.Reshape(
      vector<int>(1, p3d::cuda::BnScratchSize(geometry_, Order::kCaffe)));
  double* scratch = scratch_.mutable_gpu_data();
  OrFatal(this->layer_param_, [&] {
    if (learning()) {
      p3d::cuda::ChannelStatistics(NULL, geometry_, Order::kCaffe, x, scratch,
                                   mean, deviation);
      p3d::cuda::UpdateRunning(NULL, channels, momentum_, 1 - momentum_, mean,
                               this->blobs_[2]->mutable_gpu_data());
      p3d::cuda::UpdateRunning(NULL, channels, momentum_, 1 - momentum_,
                               deviation, this->blobs_[3]->mutable_gpu_data());
      p3d::cuda::Moments<double>(NULL, channels, eps_, mean, deviation, mean,
                                 deviation);
    } else {
      p3d::cuda::Moments(NULL, channels, eps_, this->blobs_[2]->gpu_data(),
                         this->blobs_[3]->gpu_data(), mean, deviation);
    }
    if (bottom[0] == top[0] && !frozen_) {
      caffe_copy(bottom[0]->count(), x, bottom_copy_.mutable_gpu_data());
    }
    p3d::cuda::Normalize(NULL, geometry_, Order::kCaffe, mean, deviation,
                         this->blobs_[0]->gpu_data(),
                         this->blobs_[1]->gpu_data(), x, scratch,
                         top[0]->mutable_gpu_data());
  });
}

template <typename Dtype>
void BNLayer<Dtype>::Backward_gpu(const vector<Blob<Dtype>*>& top,
                                  const vector<bool>& propagate_down,
                                  const vector<Blob<Dtype>*>& bottom) {
  if (by_cudnn_) return CudnnBackward(top, bottom);
  const double* deviation = deviation_.gpu_data();
  const Dtype* slope = this->blobs_[0]->gpu_data();
  const Dtype* dy = top[0]->gpu_diff();
  Dtype* dx = propagate_down[0] ? bottom[0]->mutable_gpu_diff() : NULL;
  scratch_.Reshape(
      vector<int>(1, p3d::cuda::BnScratchSize(geometry_, Order::kCaffe)));
  double* scratch = scratch_.mutable_gpu_data();
  OrFatal(this->layer_param_, [&] {
    if (frozen_) {
      if (!dx) return;
      p3d::cuda::NormalizeBackwardFrozen(NULL, geometry_, Order::kCaffe,
                                         deviation, slope, dy, scratch, dx);
      return;
    }
    const Blob<Dtype>& x = bottom[0] == top[0] ? bottom_copy_ : *bottom[0];
    p3d::cuda::NormalizeBackward(
        NULL, geometry_, Order::kCaffe, mean_.gpu_data(), deviation, slope,
        x.gpu_data(), dy, scratch,
        this->param_propagate_down_[0] ? this->blobs_[0]->mutable_gpu_diff()
                                       : NULL,
        this->param_propagate_down_[1] ? this->blobs_[1]->mutable_gpu_diff()
                                       : NULL,
        dx);
  });
}

template <typename Dtype>
void BNLayer<Dtype>::CudnnForward(const vector<Blob<Dtype>*>& bottom,
                                  const vector<Blob<Dtype>*>& top) {
  const int channels = bottom[0]->shape(1);
  const Blob<Dtype>* x = bottom[0];
  if (bottom[0] == top[0]) {
    caffe_copy(x->count(), x->gpu_data(), bottom_copy_.mutable_gpu_data());
    x = &bottom_copy_;
  }
  const CudnnBnStatistics<Dtype> batch =
      StatisticsIn(channels, &cudnn_statistics_);
  CudnnBnForward(geometry_, eps_, this->blobs_[0]->gpu_data(),
                 this->blobs_[1]->gpu_data(), x->gpu_data(), batch,
                 top[0]->mutable_gpu_data());
  // The running variance is the biased one, as the published layer has it.
  const double m = geometry_.num * geometry_.pixels;
  const double weight = 1 - momentum_;
  caffe_gpu_axpby<Dtype>(channels, weight, batch.mean, momentum_,
                         this->blobs_[2]->mutable_gpu_data());
  caffe_gpu_axpby<Dtype>(channels, weight * (m - 1) / m, batch.variance,
                         momentum_, this->blobs_[3]->mutable_gpu_data());
}

// cuDNN makes all gradients at once, so that one which nobody asked for goes
// where nothing is kept.
template <typename Dtype>
void BNLayer<Dtype>::CudnnBackward(const vector<Blob<Dtype>*>& top,
                                   const vector<Blob<Dtype>*>& bottom) {
  const CudnnBnStatistics<Dtype> batch =
      StatisticsIn(bottom[0]->shape(1), &cudnn_statistics_);
  const Blob<Dtype>* x = bottom[0];
  const Dtype* dy = top[0]->gpu_diff();
  if (bottom[0] == top[0]) {
    x = &bottom_copy_;
    diff_copy_.ReshapeLike(*top[0]);
    caffe_copy(top[0]->count(), dy, diff_copy_.mutable_gpu_data());
    dy = diff_copy_.gpu_data();
  }
  Dtype* dslope = this->param_propagate_down_[0]
                      ? this->blobs_[0]->mutable_gpu_diff()
                      : batch.mean;
  Dtype* dbias = this->param_propagate_down_[1]
                     ? this->blobs_[1]->mutable_gpu_diff()
                     : batch.variance;
  CudnnBnBackward(geometry_, eps_, this->blobs_[0]->gpu_data(), x->gpu_data(),
                  dy, batch, dslope, dbias, bottom[0]->mutable_gpu_diff());
}

INSTANTIATE_LAYER_GPU_FUNCS(BNLayer);

}  // namespace caffe
