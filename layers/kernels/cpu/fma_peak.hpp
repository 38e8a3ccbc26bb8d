#ifndef P3D_KERNELS_FMA_PEAK_HPP_
#define P3D_KERNELS_FMA_PEAK_HPP_

#include "kernels/cpu/isa.hpp"

namespace p3d {

// The roof of all float32 kernels: GFLOP/s that NumThreads() threads reach
// together with multiplications and additions on registers alone, fused where
// the set has that. A multiply-add counts as two. The best of many bursts of a
// few milliseconds within `seconds`, at least one; throws Error where the
// machine cannot run the set.
double FmaPeak(Isa isa, double seconds);

}  // namespace p3d

#endif  // P3D_KERNELS_FMA_PEAK_HPP_
