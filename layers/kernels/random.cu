#include "kernels/random_cuda.hpp"

// The header that this file implements comes first.
#include "kernels/cuda/runs_cuda.hpp"
#include "kernels/random_bits.hpp"
#include "kernels/ranges.hpp"

namespace p3d {
namespace cuda {
namespace {

template <typename Value>
struct KeepKernel {
  uint64_t seed;
  double keep;
  RealOf<Value> scale;
  const Value* x;
  Value* y;

  template <typename Runs>
  P3D_HOST_DEVICE void operator()(const Runs& runs) const {
    runs.ForEach([&](int64_t i) {
      auto values = runs.Read(x + i);
      P3D_UNROLL
      for (int k = 0; k < Runs::kWidth; ++k) {
        values[k] = Draw(i + k) < keep ? scale * values[k] : RealOf<Value>(0);
      }
      runs.Write(values, y + i);
    });
  }
  // Number i % kRange of its part's generator.
  P3D_HOST_DEVICE double Draw(int64_t i) const {
    const int64_t begin = Quotient(i, kRange) * kRange;
    const uint64_t state = PartSeed(seed, static_cast<uint64_t>(begin));
    const uint64_t draws = static_cast<uint64_t>(i - begin + 1);
    return UniformFromBits(MixBits(state + draws * kRandomStep));
  }
};

}  // namespace

template <typename Value>
void KeepRandomly(CUstream_st* stream, uint64_t seed, double keep, double scale,
                  int64_t count, const Value* x, Value* y) {
  ForEachRun<Value>(
      stream, "KeepRandomly", count, Aligned(x, y),
      KeepKernel<Value>{seed, keep, static_cast<RealOf<Value>>(scale), x, y});
}

#define P3D_INSTANTIATE(Value)                                                \
  template void KeepRandomly(CUstream_st*, uint64_t, double, double, int64_t, \
                             const Value*, Value*)
P3D_INSTANTIATE(float);
P3D_INSTANTIATE(double);
P3D_INSTANTIATE(Bf16);
P3D_INSTANTIATE(Fp16);
#undef P3D_INSTANTIATE

}  // namespace cuda
}  // namespace p3d
