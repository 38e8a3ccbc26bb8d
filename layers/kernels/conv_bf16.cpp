#include "kernels/conv_bf16.hpp"

#include "kernels/conv_bf16_igemm.hpp"
#include "kernels/conv_bf16_kernels.hpp"
#include "kernels/conv_bf16_rows.hpp"
#include "kernels/conv_bf16_winograd.hpp"

namespace p3d {

const Bf16Kernels& Bf16KernelsFor(Isa isa) {
  const Bf16Kernels* kernels = nullptr;
  if (isa >= Isa::kAvx512) kernels = Bf16KernelsAvx512();
  if (!kernels && isa >= Isa::kAvx2) kernels = Bf16KernelsAvx2();
  return kernels ? *kernels : Bf16KernelsGeneric();
}

bool MultipliesBf16() {
  return &Bf16KernelsFor(ActiveIsa()) == Bf16KernelsAvx512();
}

namespace {

template <typename Out>
using Creator = std::unique_ptr<const Bf16ConvTo<Out>> (*)(const ConvShape&,
                                                           Isa);

// Fastest first. Weights of a training change too often to be transformed.
const Creator<Bf16> kRounded[] = {CreateBf16Winograd, CreateBf16Rows<Bf16>,
                                  CreateBf16Igemm<Bf16>};
const Creator<float> kSums[] = {CreateBf16Rows<float>, CreateBf16Igemm<float>};

template <typename Out, size_t count>
std::unique_ptr<const Bf16ConvTo<Out>> FirstOf(
    const Creator<Out> (&creators)[count], const ConvShape& shape, Isa isa) {
  CheckConvShape(shape);
  for (const Creator<Out> create : creators) {
    std::unique_ptr<const Bf16ConvTo<Out>> conv = create(shape, isa);
    if (conv) return conv;
  }
  return nullptr;
}

}  // namespace

template <>
std::unique_ptr<const Bf16ConvTo<Bf16>> Bf16ConvTo<Bf16>::Create(
    const ConvShape& shape, Isa isa) {
  return FirstOf(kRounded, shape, isa);
}

template <>
std::unique_ptr<const Bf16ConvTo<float>> Bf16ConvTo<float>::Create(
    const ConvShape& shape, Isa isa) {
  return FirstOf(kSums, shape, isa);
}

}  // namespace p3d
