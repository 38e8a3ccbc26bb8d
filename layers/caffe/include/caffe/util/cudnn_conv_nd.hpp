#ifndef CAFFE_UTIL_CUDNN_CONV_ND_HPP_
#define CAFFE_UTIL_CUDNN_CONV_ND_HPP_

#include "kernels/conv/conv.hpp"

namespace caffe {

/**
 * Convolutions with any number of spatial axes by cuDNN 7.1 to 9, on blobs in
 * Caffe's order in the memory of the current GPU:
 *
 *   Forward           y = convolution of x with weights + bias (or NULL)
 *   BackwardData      dx = its gradient by x
 *   BackwardWeights   dweights += its gradient by weights
 *   BackwardBias      dbias += sum of dy over all images and pixels
 *
 * They are put into the default stream. Each returns false, and has done
 * nothing, where cuDNN cannot do the shape; without USE_CUDNN always.
 *
 * The first call for a shape tries cuDNN's algorithms and keeps the fastest one
 * that always gives the same result, in plain float32: TF32 has three digits,
 * and cuDNN's 3-D kernels for it are wrong in 9.10 to 9.15. What was chosen,
 * the handle and the workspace (see CudnnTrialMemory::Budget) serve all layers
 * of the thread.
 */
#ifdef USE_CUDNN

template <typename Dtype>
bool CudnnConvForward(const p3d::ConvShape& shape, const Dtype* x,
                      const Dtype* weights, const Dtype* bias, Dtype* y);

template <typename Dtype>
bool CudnnConvBackwardData(const p3d::ConvShape& shape, const Dtype* dy,
                           const Dtype* weights, Dtype* dx);

template <typename Dtype>
bool CudnnConvBackwardWeights(const p3d::ConvShape& shape, const Dtype* dy,
                              const Dtype* x, Dtype* dweights);

template <typename Dtype>
bool CudnnConvBackwardBias(const p3d::ConvShape& shape, const Dtype* dy,
                           Dtype* dbias);

#else

template <typename Dtype>
bool CudnnConvForward(const p3d::ConvShape&, const Dtype*, const Dtype*,
                      const Dtype*, Dtype*) {
  return false;
}

template <typename Dtype>
bool CudnnConvBackwardData(const p3d::ConvShape&, const Dtype*, const Dtype*,
                           Dtype*) {
  return false;
}

template <typename Dtype>
bool CudnnConvBackwardWeights(const p3d::ConvShape&, const Dtype*, const Dtype*,
                              Dtype*) {
  return false;
}

template <typename Dtype>
bool CudnnConvBackwardBias(const p3d::ConvShape&, const Dtype*, Dtype*) {
  return false;
}

#endif  // USE_CUDNN

}  // namespace caffe

#endif  // CAFFE_UTIL_CUDNN_CONV_ND_HPP_
