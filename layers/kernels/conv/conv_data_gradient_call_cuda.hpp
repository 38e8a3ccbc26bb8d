#ifndef P3D_KERNELS_CONV_DATA_GRADIENT_CALL_CUDA_HPP_
#define P3D_KERNELS_CONV_DATA_GRADIENT_CALL_CUDA_HPP_

// What ConvDataGradient is called with, and what its implementations share.

#include <cstdint>

#include "kernels/conv/conv_candidate_cuda.hpp"
#include "kernels/conv/conv_library.hpp"
#include "kernels/conv/conv_problem_cuda.hpp"
#include "kernels/conv/conv_slices_cuda.hpp"
#include "kernels/cuda/cuda_launch.hpp"
#include "kernels/narrow.hpp"

namespace p3d {
namespace cuda {

// How many slices tensor cores are to have, whatever the kind of values.
inline int64_t DataGradientMmaSlices(const ConvShape& shape) {
  if (!FitsInt(shape)) return 1;
  return WantedMmaSlices(shape.taps() * shape.num_output / shape.group,
                         shape.num * shape.in_pixels(),
                         shape.channels / shape.group, shape.group);
}

template <typename V>
struct DataGradientCall {
  using Value = V;
  const ConvShape& shape;
  const Value *dy, *weights;
  bool add;
  Value* dx;
  RealOf<Value>* scratch;

  void Describe(ConvForm* form, ConvPlaces* places) const {
    form->use = ConvUse::kDataGradient;
    form->residual = add;
    *places = {dy, weights, nullptr, nullptr, add ? dx : nullptr, dx};
  }
  void MakeAt(const ConvPlaces& places) {
    dx = static_cast<Value*>(places.result);
  }

  bool Unslice() {
    const bool sliced = scratch && DataGradientMmaSlices(shape) > 1;
    scratch = nullptr;
    return sliced;
  }

  // The same of floats, where it is of Tf32.
  DataGradientCall<float> AsFloats() const {
    return {shape,
            reinterpret_cast<const float*>(dy),
            reinterpret_cast<const float*>(weights),
            add,
            reinterpret_cast<float*>(dx),
            scratch};
  }

  // The implementation that takes anything.
  static void LaunchLoops(CUstream_st* stream, const DataGradientCall& call);
};

template <>
const Candidates<DataGradientCall<float>>& All();
template <>
const Candidates<DataGradientCall<double>>& All();
template <>
const Candidates<DataGradientCall<Tf32>>& All();
template <>
const Candidates<DataGradientCall<Bf16>>& All();
template <>
const Candidates<DataGradientCall<Fp16>>& All();

// How the sums are cut where floats and doubles are multiplied.
inline TapSlices DataGradientSlices(const ConvShape& shape) {
  if (!FitsInt(shape)) return TapSlices();
  const Problem<int> at = ThreeAxes<int>(shape);
  const int slabs = SlabsOf(at.taps(), at.outputs);
  // Tiles take two slabs at a time.
  return {slabs,
          WantedTapSlices(slabs, shape.num * shape.in_pixels(), at.inputs,
                          shape.group),
          2};
}

// Joins the sums of slices in the call's scratch, if there are several.
template <typename Value>
void JoinIfMany(CUstream_st* stream, const TapSlices& slices,
                const DataGradientCall<Value>& call);

}  // namespace cuda
}  // namespace p3d

#endif  // P3D_KERNELS_CONV_DATA_GRADIENT_CALL_CUDA_HPP_
