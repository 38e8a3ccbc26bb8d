#ifndef P3D_KERNELS_REDUCTION_HPP_
#define P3D_KERNELS_REDUCTION_HPP_

#include <cstdint>

namespace p3d {

// What is summed: x, |x| or x * x.
enum class Reduction { kSum, kAbsSum, kSquareSum };

// y[r] = factor * sum over i < width of x[r * width + i] (or |x|, x * x),
// summed in double precision.
template <typename Dtype>
void ReduceRows(Reduction reduction, int64_t rows, int64_t width,
                const Dtype* x, Dtype factor, Dtype* y);

// dx[r * width + i] = factor * dy[r] times 1, the sign of x (0 of 0) or 2 x.
template <typename Dtype>
void ReduceRowsBackward(Reduction reduction, int64_t rows, int64_t width,
                        const Dtype* x, Dtype factor, const Dtype* dy,
                        Dtype* dx);

}  // namespace p3d

#endif  // P3D_KERNELS_REDUCTION_HPP_
