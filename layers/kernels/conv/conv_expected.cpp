#include "kernels/conv/conv_expected.hpp"

#include <cmath>
#include <limits>

#include "kernels/cuda/cuda_device.hpp"

namespace p3d {
namespace cuda {
namespace {

// Adds values [first, first + count) of a result on the GPU, as floats.
template <typename Value>
void Append(const void* result, size_t first, size_t count,
            std::vector<float>* values) {
  std::vector<Value> part(count);
  CopyToHost(part.data(), static_cast<const Value*>(result) + first,
             count * sizeof(Value));
  values->insert(values->end(), part.begin(), part.end());
}

std::vector<float> Values(const ConvForm& form, const void* result) {
  constexpr size_t kPart = 1 << 19;
  const Precision kind = form.result_kind();
  const auto append = kind == Precision::kBf16   ? Append<Bf16>
                      : kind == Precision::kFp16 ? Append<Fp16>
                                                 : Append<float>;
  const size_t count = form.result_bytes() / BytesOf(kind);
  std::vector<float> values;
  if (count <= 3 * kPart) {
    append(result, 0, count, &values);
  } else {
    for (const size_t first : {size_t{0}, (count - kPart) / 2, count - kPart}) {
      append(result, first, kPart, &values);
    }
  }
  return values;
}

float Largest(const std::vector<float>& values) {
  float largest = 0;
  for (const float value : values) {
    const float size = std::fabs(value);
    largest = size <= largest ? largest : size;  // keeps NaN
  }
  return largest;
}

}  // namespace

ConvExpected::ConvExpected(const ConvForm& form, const void* result)
    : form_(form), values_(Values(form, result)), largest_(Largest(values_)) {}

bool ConvExpected::Tells() const {
  return largest_ > 0 && !std::isinf(largest_);
}

double ConvExpected::Error(const void* result) const {
  const std::vector<float> got = Values(form_, result);
  double error = 0;
  for (size_t i = 0; i < got.size(); ++i) {
    const double difference = std::fabs(double{got[i]} - values_[i]) / largest_;
    if (!(difference <= error)) error = difference;
    if (error != error) return std::numeric_limits<double>::infinity();
  }
  return error;
}

double ConvExpected::Tolerance() const {
  switch (form_.kind) {
    case Precision::kBf16:
      return 1. / 64;
    case Precision::kFp16:
      return 1. / 512;
    default:
      return 1. / 256;
  }
}

}  // namespace cuda
}  // namespace p3d
