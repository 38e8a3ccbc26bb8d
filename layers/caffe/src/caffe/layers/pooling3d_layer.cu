#include "caffe/layers/pooling3d_layer.hpp"

#include <vector>

#include "caffe/util/math_functions.hpp"
#include "caffe/util/p3d_error.hpp"
#include "caffe/util/rng.hpp"
#include "kernels/pool_cuda.hpp"

namespace caffe {

using p3d::Order;

template <typename Dtype>
void Pooling3DLayer<Dtype>::Forward_gpu(const vector<Blob<Dtype>*>& bottom,
                                        const vector<Blob<Dtype>*>& top) {
  const Dtype* x = bottom[0]->gpu_data();
  Dtype* y = top[0]->mutable_gpu_data();
  OrFatal(this->layer_param_, [&] {
    switch (this->layer_param_.pooling3d_param().pool()) {
      case Pooling3DParameter_PoolMethod_MAX:
        p3d::cuda::MaxPool(NULL, shape_, Order::kCaffe, x, y,
                           mask_.mutable_gpu_data());
        break;
      case Pooling3DParameter_PoolMethod_AVE:
        p3d::cuda::AveragePool(NULL, shape_, Order::kCaffe, x, y);
        break;
      case Pooling3DParameter_PoolMethod_STOCHASTIC:
        if (this->phase_ == TRAIN) {
          p3d::cuda::StochasticPool(NULL, shape_, Order::kCaffe,
                                    caffe_rng_rand(), x, y,
                                    mask_.mutable_gpu_data());
        } else {
          p3d::cuda::StochasticPoolMean(NULL, shape_, Order::kCaffe, x, y);
        }
        break;
    }
  });
  if (top.size() > 1) {
    caffe_copy(mask_.count(), mask_.gpu_data(), top[1]->mutable_gpu_data());
  }
}

template <typename Dtype>
void Pooling3DLayer<Dtype>::Backward_gpu(const vector<Blob<Dtype>*>& top,
                                         const vector<bool>& propagate_down,
                                         const vector<Blob<Dtype>*>& bottom) {
  if (!propagate_down[0]) return;
  CheckHasBackward();
  const bool average = this->layer_param_.pooling3d_param().pool() ==
                       Pooling3DParameter_PoolMethod_AVE;
  const Dtype* dy = top[0]->gpu_diff();
  Dtype* dx = bottom[0]->mutable_gpu_diff();
  OrFatal(this->layer_param_, [&] {
    if (average) {
      p3d::cuda::AveragePoolBackward(NULL, shape_, Order::kCaffe, dy, dx);
    } else {
      p3d::cuda::MaskedPoolBackward(NULL, shape_, Order::kCaffe,
                                    mask_.gpu_data(), dy, dx);
    }
  });
}

INSTANTIATE_LAYER_GPU_FUNCS(Pooling3DLayer);

}  // namespace caffe
