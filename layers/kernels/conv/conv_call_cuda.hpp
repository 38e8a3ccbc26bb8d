#ifndef P3D_KERNELS_CONV_CALL_CUDA_HPP_
#define P3D_KERNELS_CONV_CALL_CUDA_HPP_

// What Convolve is called with, and what its implementations share.

#include <cstdint>

#include "kernels/conv/conv_candidate_cuda.hpp"
#include "kernels/conv/conv_library.hpp"
#include "kernels/conv/conv_problem_cuda.hpp"
#include "kernels/conv/conv_slices_cuda.hpp"
#include "kernels/cuda/cuda_launch.hpp"
#include "kernels/cuda/runs_cuda.hpp"
#include "kernels/narrow.hpp"

namespace p3d {
namespace cuda {

// How many slices tensor cores are to have, whatever the kind of values.
inline int64_t ForwardMmaSlices(const ConvShape& shape) {
  if (!FitsInt(shape)) return 1;
  return WantedMmaSlices(shape.taps() * shape.channels / shape.group,
                         shape.num * shape.out_pixels(),
                         shape.num_output / shape.group, shape.group);
}

template <typename V>
struct ForwardCall {
  using Value = V;
  const ConvShape& shape;
  const Value *x, *weights;
  Epilogue<Value> epilogue;
  Value* y;
  RealOf<Value>* scratch;

  void Describe(ConvForm* form, ConvPlaces* places) const {
    form->use = ConvUse::kForward;
    form->scale = epilogue.scale;
    form->shift = epilogue.shift;
    form->inner_relu = epilogue.inner_relu;
    form->residual = epilogue.residual;
    if (form->residual) {
      form->alpha = epilogue.alpha;
      form->beta = epilogue.beta;
    }
    form->outer_relu = epilogue.outer_relu;
    *places = {x, weights, epilogue.scale, epilogue.shift, epilogue.residual,
               y};
  }
  void MakeAt(const ConvPlaces& places) {
    epilogue.residual = static_cast<const Value*>(places.residual);
    y = static_cast<Value*>(places.result);
  }

  bool Unslice() {
    const bool sliced = scratch && ForwardMmaSlices(shape) > 1;
    scratch = nullptr;
    return sliced;
  }

  // The same of floats, where it is of Tf32.
  ForwardCall<float> AsFloats() const {
    const float* residual = reinterpret_cast<const float*>(epilogue.residual);
    return {shape,
            reinterpret_cast<const float*>(x),
            reinterpret_cast<const float*>(weights),
            epilogue.template As<float>(residual),
            reinterpret_cast<float*>(y),
            scratch};
  }

  // The implementation that takes anything.
  static void LaunchLoops(CUstream_st* stream, const ForwardCall& call);
};

template <>
const Candidates<ForwardCall<float>>& All();
template <>
const Candidates<ForwardCall<double>>& All();
template <>
const Candidates<ForwardCall<Tf32>>& All();
template <>
const Candidates<ForwardCall<Bf16>>& All();
template <>
const Candidates<ForwardCall<Fp16>>& All();

// How the sums are cut where floats and doubles are multiplied.
inline TapSlices ForwardSlices(const ConvShape& shape) {
  if (!FitsInt(shape)) return TapSlices();
  const Problem<int> at = Folded(ThreeAxes<int>(shape));
  const int slabs = SlabsOf(at.taps(), at.inputs);
  // Tiles take two slabs at a time.
  return {slabs,
          WantedTapSlices(slabs, shape.num * shape.out_pixels(),
                          shape.num_output / shape.group, shape.group),
          2};
}

// Joins the sums of slices in the call's scratch, if there are several.
template <typename Value>
void JoinIfMany(CUstream_st* stream, const TapSlices& slices,
                const ForwardCall<Value>& call);

}  // namespace cuda
}  // namespace p3d

#endif  // P3D_KERNELS_CONV_CALL_CUDA_HPP_
