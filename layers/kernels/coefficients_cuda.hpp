#ifndef P3D_KERNELS_COEFFICIENTS_CUDA_HPP_
#define P3D_KERNELS_COEFFICIENTS_CUDA_HPP_

#include <cstdint>

#include "kernels/cuda/runs_cuda.hpp"

namespace p3d {
namespace cuda {

// What the loops of a normalization over all values multiply and add, per
// channel (of an image), in memory of kCoefficients doubles for each; see
// NormalizeCoefficients of bn.hpp for what becomes of the mean's lost digits.
template <typename Dtype>
struct Coefficients {
  Coefficients(double* memory, int64_t channels)
      : center(reinterpret_cast<Dtype*>(memory)),
        scale(center + channels),
        shift(scale + channels),
        tilt(shift + channels),
        average(tilt + channels) {}
  // Of runs: where the channels are a multiple of one, the others are as well.
  bool aligned() const { return Aligned(center); }
  Dtype *center, *scale, *shift, *tilt, *average;
};
constexpr int64_t kCoefficients = 5;

}  // namespace cuda
}  // namespace p3d

#endif  // P3D_KERNELS_COEFFICIENTS_CUDA_HPP_
