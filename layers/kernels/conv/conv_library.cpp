#include "kernels/conv/conv_library.hpp"

#include <atomic>
#include <sstream>

namespace p3d {
namespace cuda {
namespace {

std::atomic<ConvChooser> the_chooser{nullptr};

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

}  // namespace

std::string ConvForm::Product() const {
  std::ostringstream out;
  out << Name(use) << ' ' << Name(kind) << ' ' << shape.num << ' '
      << shape.channels << ' ' << shape.num_output << ' ' << shape.group
      << (shape.pad_mode == PadMode::kZero ? " zero" : " replicate");
  for (const ConvAxis& axis : shape.axes) {
    out << ' ' << axis.in << ',' << axis.kernel << ',' << axis.stride << ','
        << axis.dilation << ',' << axis.pad_begin << ',' << axis.pad_end;
  }
  return out.str();
}

std::string ConvForm::Text() const {
  std::ostringstream out;
  out << Product();
  if (scale) out << " scale";
  if (shift) out << " shift";
  if (inner_relu) out << " relu";
  if (residual) out << " residual," << alpha << ',' << beta;
  if (outer_relu) out << " outer_relu";
  return out.str();
}

Precision ConvForm::result_kind() const {
  return use == ConvUse::kWeightGradient ? Precision::kFloat32 : kind;
}

size_t ConvForm::result_bytes() const {
  const int64_t count = use == ConvUse::kForward
                            ? shape.num * shape.out_pixels() * shape.num_output
                        : use == ConvUse::kDataGradient
                            ? shape.num * shape.in_pixels() * shape.channels
                            : shape.weight_count();
  return BytesOf(result_kind()) * count;
}

void SetConvChooser(ConvChooser chooser) { the_chooser = chooser; }
ConvChooser TheConvChooser() { return the_chooser; }

}  // namespace cuda
}  // namespace p3d
