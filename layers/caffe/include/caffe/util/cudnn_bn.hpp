#ifndef CAFFE_UTIL_CUDNN_BN_HPP_
#define CAFFE_UTIL_CUDNN_BN_HPP_

#include "kernels/order.hpp"

namespace caffe {

/**
 * Batch normalisation in training by cuDNN 7 to 9, on blobs in Caffe's order in
 * the memory of the current GPU. Calls are put into the default stream.
 *
 * With m values per channel cuDNN estimates the variance of what they are drawn
 * from, sum (x - mean)^2 / (m - 1), and makes that the running one; but y and
 * the gradients come of the biased variance, 1/m.
 */

/// Whether cuDNN can do it; without USE_CUDNN never.
bool CudnnBnCan(const p3d::Geometry& geometry, double eps);

/// What one forward pass tells, arrays of one value per channel.
template <typename Dtype>
struct CudnnBnStatistics {
  Dtype *mean, *variance;             // the batch's; variance 1/(m - 1)
  Dtype *saved_mean, *saved_inverse;  // for CudnnBnBackward alone
};

/// y = slope (x - mean) / sqrt(variance + eps) + bias; y is not x.
template <typename Dtype>
void CudnnBnForward(const p3d::Geometry& geometry, double eps,
                    const Dtype* slope, const Dtype* bias, const Dtype* x,
                    const CudnnBnStatistics<Dtype>& statistics, Dtype* y);

/// dx = the gradient, dslope and dbias +=; dx is not dy.
template <typename Dtype>
void CudnnBnBackward(const p3d::Geometry& geometry, double eps,
                     const Dtype* slope, const Dtype* x, const Dtype* dy,
                     const CudnnBnStatistics<Dtype>& statistics, Dtype* dslope,
                     Dtype* dbias, Dtype* dx);

}  // namespace caffe

#endif  // CAFFE_UTIL_CUDNN_BN_HPP_
