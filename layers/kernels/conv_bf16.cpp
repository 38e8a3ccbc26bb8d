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

std::unique_ptr<const Bf16Conv> Bf16Conv::Create(const ConvShape& shape,
                                                 Isa isa) {
  CheckConvShape(shape);
  for (const auto create :
       {CreateBf16Winograd, CreateBf16Rows, CreateBf16Igemm}) {
    std::unique_ptr<const Bf16Conv> conv = create(shape, isa);
    if (conv) return conv;
  }
  return nullptr;
}

}  // namespace p3d
