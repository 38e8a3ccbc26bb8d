#ifndef P3D_KERNELS_DIVIDER_CUDA_HPP_
#define P3D_KERNELS_DIVIDER_CUDA_HPP_

#include <cstdint>

#include "kernels/cuda/host_device.hpp"

namespace p3d {
namespace cuda {

// Divides by a number that is the same for all threads, which takes a GPU a
// product instead of some twenty instructions that wait for each other.
// Granlund and Montgomery, "Division by Invariant Integers using
// Multiplication", 1994.
class Divider {
 public:
  // By 1 to 2^31 - 1; by anything else is like by 1.
  explicit Divider(int64_t by = 1)
      : by_(by >= 1 && by <= INT32_MAX ? static_cast<uint32_t>(by) : 1) {
    while (uint64_t{1} << shift_ < by_) ++shift_;
    const uint64_t power = uint64_t{1} << (31 + shift_);
    factor_ = static_cast<uint32_t>((power + by_ - 1) / by_);
  }

  P3D_HOST_DEVICE int by() const { return static_cast<int>(by_); }
  // value / by(), of a value that is not negative.
  P3D_HOST_DEVICE int operator()(int value) const {
    const uint32_t twice = 2 * static_cast<uint32_t>(value);
#ifdef __CUDA_ARCH__
    return static_cast<int>(__umulhi(twice, factor_) >> shift_);
#else
    return static_cast<int>((uint64_t{twice} * factor_ >> 32) >> shift_);
#endif
  }

 private:
  uint32_t by_, factor_, shift_ = 0;
};

}  // namespace cuda
}  // namespace p3d

#endif  // P3D_KERNELS_DIVIDER_CUDA_HPP_
