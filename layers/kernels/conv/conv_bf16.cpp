#include "kernels/conv/conv_bf16.hpp"

#include <utility>

#include "kernels/conv/conv_bf16_igemm.hpp"
#include "kernels/conv/conv_bf16_kernels.hpp"
#include "kernels/conv/conv_bf16_rows.hpp"
#include "kernels/conv/conv_bf16_winograd.hpp"

namespace p3d {

const Bf16Kernels& Bf16KernelsFor(Isa isa) {
  const Bf16Kernels* kernels = nullptr;
  if (isa >= Isa::kAvx512) kernels = Bf16KernelsAvx512();
  if (!kernels && isa >= Isa::kAvx2) kernels = Bf16KernelsAvx2();
  return kernels ? *kernels : Bf16KernelsGeneric();
}

bool MultipliesBf16(Isa isa) {
  return &Bf16KernelsFor(isa) == Bf16KernelsAvx512();
}

namespace {

template <typename Out>
std::unique_ptr<const Bf16ConvTo<Out>> CreateDirect(const ConvShape& shape,
                                                    Isa isa) {
  auto conv = CreateBf16Rows<Out>(shape, isa);
  return conv ? std::move(conv) : CreateBf16Igemm<Out>(shape, isa);
}

}  // namespace

template <>
std::unique_ptr<const Bf16ConvTo<Bf16>> Bf16ConvTo<Bf16>::Create(
    const ConvShape& shape, Isa isa) {
  CheckConvShape(shape);
  auto conv = CreateBf16Winograd(shape, isa);
  return conv ? std::move(conv) : CreateDirect<Bf16>(shape, isa);
}

template <>
std::unique_ptr<const Bf16ConvTo<float>> Bf16ConvTo<float>::Create(
    const ConvShape& shape, Isa isa) {
  CheckConvShape(shape);
  return CreateDirect<float>(shape, isa);
}

}  // namespace p3d
