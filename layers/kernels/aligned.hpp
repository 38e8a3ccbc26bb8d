#ifndef P3D_KERNELS_ALIGNED_HPP_
#define P3D_KERNELS_ALIGNED_HPP_

#include <cstdint>

namespace p3d {
namespace cuda {

// Whether all these arrays begin at multiples of 16 bytes, which a GPU reads at
// a time; null does.
inline bool Aligned() { return true; }
template <typename Value, typename... Others>
bool Aligned(const Value* array, Others... others) {
  return reinterpret_cast<uintptr_t>(array) % 16 == 0 && Aligned(others...);
}

}  // namespace cuda
}  // namespace p3d

#endif  // P3D_KERNELS_ALIGNED_HPP_
