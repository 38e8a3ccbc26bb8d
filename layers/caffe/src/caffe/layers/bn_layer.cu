#include "caffe/layers/bn_layer.hpp"

#include <vector>

#include "caffe/util/math_functions.hpp"
#include "caffe/util/p3d_error.hpp"
#include "kernels/bn_cuda.hpp"

namespace caffe {

using p3d::Order;

template <typename Dtype>
void BNLayer<Dtype>::Forward_gpu(const vector<Blob<Dtype>*>& bottom,
                                 const vector<Blob<Dtype>*>& top) {
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

INSTANTIATE_LAYER_GPU_FUNCS(BNLayer);

}  // namespace caffe
