#ifndef P3D_KERNELS_RANDOM_BITS_HPP_
#define P3D_KERNELS_RANDOM_BITS_HPP_

#include <cstdint>

#include "kernels/cuda/host_device.hpp"

namespace p3d {

// The arithmetic of Random (see random.hpp), for the CPU and GPUs alike.

constexpr uint64_t kRandomStep = 0x9e3779b97f4a7c15;  // 2^64 / golden ratio

// 64 random bits from a state that grows by kRandomStep.
P3D_HOST_DEVICE inline uint64_t MixBits(uint64_t bits) {
  bits = (bits ^ (bits >> 30)) * 0xbf58476d1ce4e5b9;
  bits = (bits ^ (bits >> 27)) * 0x94d049bb133111eb;
  return bits ^ (bits >> 31);
}

// The seed of part `index` of something large that is made part by part.
P3D_HOST_DEVICE inline uint64_t PartSeed(uint64_t seed, uint64_t index) {
  return MixBits(seed ^ MixBits(index + kRandomStep));
}

// Random bits as a number in [0, 1), a multiple of 2^-53.
P3D_HOST_DEVICE inline double UniformFromBits(uint64_t bits) {
  return static_cast<double>(bits >> 11) * (1.0 / (1ull << 53));
}

}  // namespace p3d

#endif  // P3D_KERNELS_RANDOM_BITS_HPP_
