#include "caffe/layers/convolution3d_layer.hpp"

#include <vector>

#include "caffe/util/cudnn_conv_nd.hpp"

namespace caffe {

template <typename Dtype>
void Convolution3DLayer<Dtype>::Forward_gpu(const vector<Blob<Dtype>*>& bottom,
                                            const vector<Blob<Dtype>*>& top) {
  if (bottom[0]->count() == 0) return;
  const p3d::ConvShape shape = Shape();
  const Dtype* weight = this->blobs_[0]->gpu_data();
  const Dtype* bias = this->bias_term_ ? this->blobs_[1]->gpu_data() : NULL;
  for (int i = 0; i < bottom.size(); ++i) {
    if (!CudnnConvForward(shape, bottom[i]->gpu_data(), weight, bias,
                          top[i]->mutable_gpu_data())) {
      ConvolutionLayer<Dtype>::Forward_gpu(bottom, top);
      return;
    }
  }
}

// Upstream's helpers take one image at a time.
template <typename Dtype>
void Convolution3DLayer<Dtype>::Backward_gpu(
    const vector<Blob<Dtype>*>& top, const vector<bool>& propagate_down,
    const vector<Blob<Dtype>*>& bottom) {
  if (bottom[0]->count() == 0) return;
  const p3d::ConvShape shape = Shape();
  for (int i = 0; i < top.size(); ++i) {
    const Dtype* dy = top[i]->gpu_diff();
    if (this->bias_term_ && this->param_propagate_down_[1]) {
      Dtype* dbias = this->blobs_[1]->mutable_gpu_diff();
      if (!CudnnConvBackwardBias(shape, dy, dbias)) {
        for (int n = 0; n < this->num_; ++n) {
          this->backward_gpu_bias(dbias, dy + n * this->top_dim_);
        }
      }
    }
    if (this->param_propagate_down_[0]) {
      const Dtype* x = bottom[i]->gpu_data();
      Dtype* dweight = this->blobs_[0]->mutable_gpu_diff();
      if (!CudnnConvBackwardWeights(shape, dy, x, dweight)) {
        for (int n = 0; n < this->num_; ++n) {
          this->weight_gpu_gemm(x + n * this->bottom_dim_,
                                dy + n * this->top_dim_, dweight);
        }
      }
    }
    if (propagate_down[i]) {
      const Dtype* weight = this->blobs_[0]->gpu_data();
      Dtype* dx = bottom[i]->mutable_gpu_diff();
      if (!CudnnConvBackwardData(shape, dy, weight, dx)) {
        for (int n = 0; n < this->num_; ++n) {
          this->backward_gpu_gemm(dy + n * this->top_dim_, weight,
                                  dx + n * this->bottom_dim_);
        }
      }
    }
  }
}

INSTANTIATE_LAYER_GPU_FUNCS(Convolution3DLayer);

}  // namespace caffe
