#ifndef P3D_KERNELS_CONV_LIBRARY_CUDA_HPP_
#define P3D_KERNELS_CONV_LIBRARY_CUDA_HPP_

// Between the calls of conv_cuda.hpp and conv_library.hpp.

#include "kernels/conv/conv_candidate_cuda.hpp"
#include "kernels/conv/conv_library.hpp"

namespace p3d {
namespace cuda {

// A Call has the type Value and the functions
//
//   void Describe(ConvForm* form, ConvPlaces* places) const
//   void MakeAt(const ConvPlaces& places)    the result there instead
template <typename Call>
void LaunchChosen(CUstream_st* stream, const Call& call) {
  const Candidate<Call>& own = Chosen(call);
  constexpr Precision kind = KindOf<typename Call::Value>();
  const ConvChooser chooser =
      kind == Precision::kFloat32 ? nullptr : TheConvChooser();
  if (chooser) {
    ConvForm form;
    form.kind = kind;
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
    if (chooser(stream, form, places, kernel)) return;
  }
  own.launch(stream, call);
}

}  // namespace cuda
}  // namespace p3d

#endif  // P3D_KERNELS_CONV_LIBRARY_CUDA_HPP_
