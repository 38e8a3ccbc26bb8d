#ifndef P3D_KERNELS_CONV_LIBRARY_CUDA_HPP_
#define P3D_KERNELS_CONV_LIBRARY_CUDA_HPP_

// Between the calls of conv_cuda.hpp and conv_library.hpp.

#include "kernels/conv_candidate_cuda.hpp"
#include "kernels/conv_library.hpp"

namespace p3d {
namespace cuda {

// Whether a library may do it at all.
template <typename Value>
struct NarrowKind {
  static constexpr bool is = false;
  static constexpr ValueKind kind = ValueKind::kBf16;
};
template <>
struct NarrowKind<Tf32> {
  static constexpr bool is = true;
  static constexpr ValueKind kind = ValueKind::kTf32;
};
template <>
struct NarrowKind<Bf16> {
  static constexpr bool is = true;
  static constexpr ValueKind kind = ValueKind::kBf16;
};
template <>
struct NarrowKind<Fp16> {
  static constexpr bool is = true;
  static constexpr ValueKind kind = ValueKind::kFp16;
};

// A Call has the type Value and the functions
//
//   void Describe(ConvForm* form, ConvPlaces* places) const
//   void MakeAt(const ConvPlaces& places)    the result there instead
template <typename Call>
void LaunchChosen(CUstream_st* stream, const Call& call) {
  const Candidate<Call>& own = Chosen(call);
  const ConvLibrary library =
      NarrowKind<typename Call::Value>::is ? TheConvLibrary() : nullptr;
  if (library) {
    ConvForm form;
    form.kind = NarrowKind<typename Call::Value>::kind;
    form.shape = call.shape;
    ConvPlaces places;
    call.Describe(&form, &places);
    OwnKernel kernel;
    kernel.name = own.name;
    kernel.launch = [&](CUstream_st* stream, const ConvPlaces& at) {
      Call moved = call;
      moved.MakeAt(at);
      own.launch(stream, moved);
    };
    if (library(stream, form, places, kernel)) return;
  }
  own.launch(stream, call);
}

}  // namespace cuda
}  // namespace p3d

#endif  // P3D_KERNELS_CONV_LIBRARY_CUDA_HPP_
