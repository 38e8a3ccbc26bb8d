#ifndef P3D_KERNELS_CONV_WEIGHT_GRADIENT_CALL_CUDA_HPP_
#define P3D_KERNELS_CONV_WEIGHT_GRADIENT_CALL_CUDA_HPP_

// What ConvWeightGradient is called with, and what its implementations share.

#include <cstdint>

#include "kernels/conv/conv_candidate_cuda.hpp"
#include "kernels/conv/conv_library.hpp"
#include "kernels/conv/conv_problem_cuda.hpp"
#include "kernels/conv/conv_slices_cuda.hpp"
#include "kernels/cuda/cuda_launch.hpp"
#include "kernels/narrow.hpp"

namespace p3d {
namespace cuda {

template <typename V>
struct WeightGradientCall {
  using Value = V;
  const ConvShape& shape;
  const Value *dy, *x;
  RealOf<Value>* scratch;
  bool add;
  RealOf<Value>* dw;

  void Describe(ConvForm* form, ConvPlaces* places) const {
    form->use = ConvUse::kWeightGradient;
    form->residual = add;
    *places = {dy, x, nullptr, nullptr, add ? dw : nullptr, dw};
  }
  void MakeAt(const ConvPlaces& places) {
    dw = static_cast<RealOf<Value>*>(places.result);
  }

  bool Unslice() { return false; }

  // The same of floats, where it is of Tf32.
  WeightGradientCall<float> AsFloats() const {
    return {shape,
            reinterpret_cast<const float*>(dy),
            reinterpret_cast<const float*>(x),
            scratch,
            add,
            dw};
  }

  // The implementation that takes anything.
  static void LaunchLoops(CUstream_st* stream, const WeightGradientCall& call);
};

template <>
const Candidates<WeightGradientCall<float>>& All();
template <>
const Candidates<WeightGradientCall<double>>& All();
template <>
const Candidates<WeightGradientCall<Tf32>>& All();
template <>
const Candidates<WeightGradientCall<Bf16>>& All();
template <>
const Candidates<WeightGradientCall<Fp16>>& All();

// The output pixels of all images, cut into slices whose sums are taken side by
// side: so many that a GPU is busy, none with too many terms.
struct PixelSlices {
  explicit PixelSlices(const ConvShape& shape) {
    const int64_t pixels = shape.num * shape.out_pixels();
    const int64_t inputs = shape.channels / shape.group;
    const TileGrid grid(64, shape.num_output / shape.group,
                        shape.taps() * inputs, shape.group);
    const int64_t wanted = WantedSlices(grid.blocks(), pixels);
    const int64_t least = (pixels + kTerms - 1) / kTerms;
    count = std::max(wanted, least);
    length = (pixels + count - 1) / count;
    count = (pixels + length - 1) / length;
  }
  int64_t count, length;
};

// A column of the product: a tap and the first of `few` inputs.
template <int few = 4>
struct TapColumn {
  P3D_HOST_DEVICE TapColumn(const Problem<int>& at, int column) {
    const int width = (at.inputs + few - 1) / few * few;
    tap = Tap(at, column / width);
    input = column - tap.index * width;
  }
  static int64_t Count(const Problem<int>& at) {
    return int64_t{at.taps()} * ((at.inputs + few - 1) / few * few);
  }
  Tap tap;
  int input;
};

// Joins the sums of slices in the call's scratch, if there are several.
template <typename Value>
void JoinIfMany(CUstream_st* stream, const PixelSlices& slices,
                const WeightGradientCall<Value>& call);

}  // namespace cuda
}  // namespace p3d

#endif  // P3D_KERNELS_CONV_WEIGHT_GRADIENT_CALL_CUDA_HPP_
