#ifndef P3D_KERNELS_CONV_LIBRARY_CUDA_HPP_
#define P3D_KERNELS_CONV_LIBRARY_CUDA_HPP_

// Between the calls of conv_cuda.hpp and conv_library.hpp.

#include <string>
#include <vector>

#include "kernels/conv/conv_candidate_cuda.hpp"
#include "kernels/conv/conv_library.hpp"

namespace p3d {
namespace cuda {

// The candidates that can do a call, but for the plain loops, and those of them
// in one piece where its sums are cut into slices. A Call has the type Value
// and the functions
//
//   void Describe(ConvForm* form, ConvPlaces* places) const
//   void MakeAt(const ConvPlaces& places)    the result there instead
//   bool Unslice()    its sums on tensor cores in one piece; false where they
//                     are that anyway, or cannot be
template <typename Call>
class OwnKernelsOf : public OwnKernels {
 public:
  explicit OwnKernelsOf(const Call& call) : call_(call) {}

  std::vector<Kernel> All() const override {
    const auto& table = cuda::All<Call>();
    const int first = static_cast<int>(&Chosen(call_) - table.data());
    const int loops = static_cast<int>(table.size()) - 1;
    std::vector<Kernel> all;
    Add(first, &all);
    for (int i = 0; i < loops; ++i) {
      if (i != first) Add(i, &all);
    }
    return all;
  }

  void Launch(CUstream_st* stream, const ConvPlaces& places,
              int number) const override {
    Call moved = call_;
    moved.MakeAt(places);
    if (number % 2) moved.Unslice();
    const Candidate<Call>& kernel = cuda::All<Call>()[number / 2];
    (kernel.can(moved) ? kernel : Chosen(moved)).launch(stream, moved);
  }

 private:
  void Add(int candidate, std::vector<Kernel>* all) const {
    const Candidate<Call>& kernel = cuda::All<Call>()[candidate];
    const std::string name = std::string("own_") + kernel.name;
    if (kernel.can(call_)) all->push_back({name, 2 * candidate});
    Call whole = call_;
    if (whole.Unslice() && kernel.can(whole))
      all->push_back({name + "_unsliced", 2 * candidate + 1});
  }

  const Call& call_;
};

template <typename Call>
void LaunchChosen(CUstream_st* stream, const Call& call) {
  constexpr Precision kind = KindOf<typename Call::Value>();
  const ConvChooser chooser =
      kind == Precision::kFloat32 ? nullptr : TheConvChooser();
  if (chooser) {
    ConvForm form;
    form.kind = kind;
    form.shape = call.shape;
    ConvPlaces places;
    call.Describe(&form, &places);
    if (chooser(stream, form, places, OwnKernelsOf<Call>(call))) return;
  }
  Chosen(call).launch(stream, call);
}

}  // namespace cuda
}  // namespace p3d

#endif  // P3D_KERNELS_CONV_LIBRARY_CUDA_HPP_
