#include "kernels/softmax_cuda.hpp"

// The header that this file implements comes first.
#include <algorithm>
#include <cmath>
#include <limits>

#include "kernels/positions_cuda.hpp"

namespace p3d {
namespace cuda {
namespace {

template <typename Dtype>
struct Most {
  Dtype value;
  P3D_HOST_DEVICE void operator+=(const Most& other) {
    if (value < other.value) value = other.value;
  }
};

template <typename Dtype>
struct SoftmaxExp {
  Positions at;
  Dtype least;  // minus infinity
  const Dtype* x;
  Dtype* y;

  P3D_HOST_DEVICE Most<Dtype> Sum(int64_t row, int64_t lane) const {
    Most<Dtype> most = {least};
    at.ForEach(row, lane, [&](int64_t i) { most += {x[i]}; });
    return most;
  }
  P3D_HOST_DEVICE void Store(int64_t row, int64_t lane,
                             const Most<Dtype>& most) const {
    at.ForEach(row, lane,
               [&](int64_t i) { y[i] = std::exp(x[i] - most.value); });
  }
};

template <typename Dtype>
struct SoftmaxShares {
  Positions at;
  Dtype* y;

  P3D_HOST_DEVICE double Sum(int64_t row, int64_t lane) const {
    double sum = 0;
    at.ForEach(row, lane, [&](int64_t i) { sum += y[i]; });
    return sum;
  }
  P3D_HOST_DEVICE void Store(int64_t row, int64_t lane, double sum) const {
    const Dtype divisor = static_cast<Dtype>(sum);
    at.ForEach(row, lane, [&](int64_t i) { y[i] /= divisor; });
  }
};

template <typename Dtype>
struct SoftmaxBackwardRows {
  Positions at;
  const Dtype *y, *dy;
  Dtype* dx;

  P3D_HOST_DEVICE double Sum(int64_t row, int64_t lane) const {
    double sum = 0;
    at.ForEach(row, lane,
               [&](int64_t i) { sum += static_cast<double>(dy[i]) * y[i]; });
    return sum;
  }
  P3D_HOST_DEVICE void Store(int64_t row, int64_t lane, double sum) const {
    const Dtype mean = static_cast<Dtype>(sum);
    at.ForEach(row, lane, [&](int64_t i) { dx[i] = y[i] * (dy[i] - mean); });
  }
};

}  // namespace

template <typename Dtype>
void Softmax(CUstream_st* stream, const AxisView& view, const Dtype* x,
             Dtype* y) {
  const Positions at(view);
  const Dtype least = -std::numeric_limits<Dtype>::infinity();
  SpreadColumns(stream, "Softmax", at.rows(), at.width,
                SoftmaxExp<Dtype>{at, least, x, y});
  SpreadColumns(stream, "Softmax shares", at.rows(), at.width,
                SoftmaxShares<Dtype>{at, y});
}

template <typename Dtype>
void SoftmaxBackward(CUstream_st* stream, const AxisView& view, const Dtype* y,
                     const Dtype* dy, Dtype* dx) {
  const Positions at(view);
  SpreadColumns(stream, "SoftmaxBackward", at.rows(), at.width,
                SoftmaxBackwardRows<Dtype>{at, y, dy, dx});
}

#define P3D_INSTANTIATE(Dtype)                                                \
  template void Softmax(CUstream_st*, const AxisView&, const Dtype*, Dtype*); \
  template void SoftmaxBackward(CUstream_st*, const AxisView&, const Dtype*,  \
                                const Dtype*, Dtype*)
P3D_INSTANTIATE(float);
P3D_INSTANTIATE(double);
#undef P3D_INSTANTIATE

}  // namespace cuda
}  // namespace p3d
