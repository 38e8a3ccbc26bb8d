#include "caffe/util/cudnn_bn.hpp"

#include <climits>

#include "caffe/common.hpp"
#include "caffe/util/cudnn_session.hpp"

namespace caffe {

#ifdef USE_CUDNN

namespace {

template <typename Dtype>
using Type = cudnn::dataType<Dtype>;

// Descriptors for the length of a call.
template <typename Dtype>
struct Tensors {
  explicit Tensors(const p3d::Geometry& geometry) {
    cudnn::createTensor4dDesc<Dtype>(&values);
    cudnn::createTensor4dDesc<Dtype>(&channels);
    const int count = geometry.channels;
    cudnn::setTensor4dDesc<Dtype>(&values, geometry.num, count, geometry.pixels,
                                  1);
    cudnn::setTensor4dDesc<Dtype>(&channels, 1, count, 1, 1);
  }
  ~Tensors() {
    cudnnDestroyTensorDescriptor(values);
    cudnnDestroyTensorDescriptor(channels);
  }
  Tensors(const Tensors&) = delete;
  cudnnTensorDescriptor_t values, channels;
};

}  // namespace

bool CudnnBnCan(const p3d::Geometry& geometry, double eps) {
  return eps >= CUDNN_BN_MIN_EPSILON && geometry.num * geometry.pixels > 1 &&
         geometry.num * geometry.pixels * geometry.channels <= INT_MAX;
}

template <typename Dtype>
void CudnnBnForward(const p3d::Geometry& geometry, double eps,
                    const Dtype* slope, const Dtype* bias, const Dtype* x,
                    const CudnnBnStatistics<Dtype>& statistics, Dtype* y) {
  const Tensors<Dtype> tensors(geometry);
  // The mean and the variance become (1 - factor) times what they were, which
  // must be a number, plus factor times the batch's.
  const double factor = 1;
  const size_t bytes = geometry.channels * sizeof(Dtype);
  CUDA_CHECK(cudaMemsetAsync(statistics.mean, 0, bytes, NULL));
  CUDA_CHECK(cudaMemsetAsync(statistics.variance, 0, bytes, NULL));
  CUDNN_CHECK(cudnnBatchNormalizationForwardTraining(
      CudnnSession::Get().handle(), CUDNN_BATCHNORM_SPATIAL, Type<Dtype>::one,
      Type<Dtype>::zero, tensors.values, x, tensors.values, y, tensors.channels,
      slope, bias, factor, statistics.mean, statistics.variance, eps,
      statistics.saved_mean, statistics.saved_inverse));
}

template <typename Dtype>
void CudnnBnBackward(const p3d::Geometry& geometry, double eps,
                     const Dtype* slope, const Dtype* x, const Dtype* dy,
                     const CudnnBnStatistics<Dtype>& statistics, Dtype* dslope,
                     Dtype* dbias, Dtype* dx) {
  const Tensors<Dtype> tensors(geometry);
  CUDNN_CHECK(cudnnBatchNormalizationBackward(
      CudnnSession::Get().handle(), CUDNN_BATCHNORM_SPATIAL, Type<Dtype>::one,
      Type<Dtype>::zero, Type<Dtype>::one, Type<Dtype>::one, tensors.values, x,
      tensors.values, dy, tensors.values, dx, tensors.channels, slope, dslope,
      dbias, eps, statistics.saved_mean, statistics.saved_inverse));
}

#else

bool CudnnBnCan(const p3d::Geometry&, double) { return false; }

template <typename Dtype>
void CudnnBnForward(const p3d::Geometry&, double, const Dtype*, const Dtype*,
                    const Dtype*, const CudnnBnStatistics<Dtype>&, Dtype*) {
  LOG(FATAL) << "this Caffe was built without cuDNN";
}

template <typename Dtype>
void CudnnBnBackward(const p3d::Geometry&, double, const Dtype*, const Dtype*,
                     const Dtype*, const CudnnBnStatistics<Dtype>&, Dtype*,
                     Dtype*, Dtype*) {
  LOG(FATAL) << "this Caffe was built without cuDNN";
}

#endif  // USE_CUDNN

#define P3D_INSTANTIATE(Dtype)                                                \
  template void CudnnBnForward(const p3d::Geometry&, double, const Dtype*,    \
                               const Dtype*, const Dtype*,                    \
                               const CudnnBnStatistics<Dtype>&, Dtype*);      \
  template void CudnnBnBackward(                                              \
      const p3d::Geometry&, double, const Dtype*, const Dtype*, const Dtype*, \
      const CudnnBnStatistics<Dtype>&, Dtype*, Dtype*, Dtype*)
P3D_INSTANTIATE(float);
P3D_INSTANTIATE(double);
#undef P3D_INSTANTIATE

}  // namespace caffe
