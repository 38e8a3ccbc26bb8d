#include "kernels/conv_library.hpp"

#include <atomic>
#include <sstream>

namespace p3d {
namespace cuda {
namespace {

std::atomic<ConvLibrary> the_library{nullptr};

const char* Name(ConvUse use) {
  switch (use) {
    case ConvUse::kForward:
      return "forward";
    case ConvUse::kDataGradient:
      return "data_gradient";
    default:
      return "weight_gradient";
  }
}

const char* Name(ValueKind kind) {
  switch (kind) {
    case ValueKind::kTf32:
      return "tf32";
    case ValueKind::kBf16:
      return "bf16";
    default:
      return "fp16";
  }
}

}  // namespace

std::string ConvForm::Text() const {
  std::ostringstream out;
  out << Name(use) << ' ' << Name(kind) << ' ' << shape.num << ' '
      << shape.channels << ' ' << shape.num_output << ' ' << shape.group
      << (shape.pad_mode == PadMode::kZero ? " zero" : " replicate");
  for (const ConvAxis& axis : shape.axes) {
    out << ' ' << axis.in << ',' << axis.kernel << ',' << axis.stride << ','
        << axis.dilation << ',' << axis.pad_begin << ',' << axis.pad_end;
  }
  if (scale) out << " scale";
  if (shift) out << " shift";
  if (inner_relu) out << " relu";
  if (residual) out << " residual," << alpha << ',' << beta;
  if (outer_relu) out << " outer_relu";
  return out.str();
}

size_t ConvForm::result_bytes() const {
  if (use == ConvUse::kWeightGradient) return 4 * shape.weight_count();
  const size_t size = kind == ValueKind::kTf32 ? 4 : 2;
  return size * shape.num *
         (use == ConvUse::kForward ? shape.out_pixels() * shape.num_output
                                   : shape.in_pixels() * shape.channels);
}

void SetConvLibrary(ConvLibrary library) { the_library = library; }
ConvLibrary TheConvLibrary() { return the_library; }

}  // namespace cuda
}  // namespace p3d
