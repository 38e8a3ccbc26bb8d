#include "kernels/conv/conv_gradients.hpp"

#include <algorithm>
#include <string>
#include <utility>

#include "kernels/conv/conv_data_gradient.hpp"
#include "kernels/conv/conv_reference.hpp"
#include "kernels/conv/conv_weight_gradient.hpp"
#include "kernels/conv/conv_winograd_weight_gradient.hpp"

namespace p3d {
namespace {

template <typename Dtype>
class ReferenceGradients : public ConvGradients<Dtype> {
 public:
  explicit ReferenceGradients(const ConvShape& shape)
      : shape_(shape),
        in_(BlobStrides::ChannelsLast(shape.channels, shape.in_sizes())),
        out_(BlobStrides::ChannelsLast(shape.num_output, shape.out_sizes())) {}

  const char* name() const override { return "conv_gradients_reference"; }
  void Data(const Dtype* dy, const Dtype* weights, Dtype* dx,
            bool add) const override {
    ConvDataGradientReference(shape_, out_, dy, weights, in_, dx, add);
  }
  void Weights(const Dtype* dy, const Dtype* x, Dtype* dw,
               bool add) const override {
    if (!add) std::fill_n(dw, shape_.weight_count(), Dtype(0));
    ConvWeightGradientReference(shape_, out_, dy, in_, x, dw);
  }

 private:
  const ConvShape shape_;
  const BlobStrides in_, out_;
};

template <typename Value>
using WeightGradientOf = std::unique_ptr<const WeightGradient<Value>>;

// The fastest that can do `shape`, or null. Transforming takes matrix registers
// longer than it saves.
template <typename Value>
WeightGradientOf<Value> CreateWeightGradient(const ConvShape& shape, Isa isa) {
  if (!ConvWeightGradient<Value>::TakesAmx(shape, isa)) {
    auto gradient = ConvWinogradWeightGradient<Value>::Create(shape, isa);
    if (gradient) return gradient;
  }
  return ConvWeightGradient<Value>::Create(shape, isa);
}

template <typename Value>
class IgemmGradients : public ConvGradients<Value> {
 public:
  // Null for what it cannot do.
  static std::unique_ptr<const ConvGradients<Value>> Create(
      const ConvShape& shape, Isa isa, const std::string& kind) {
    auto data = ConvDataGradient<Value>::Create(shape, isa);
    auto weights = CreateWeightGradient<Value>(shape, isa);
    if (!data || !weights) return nullptr;
    const std::string name =
        "conv_gradients_" + kind + "_" + weights->trick() +
        IsaName(kPerWord<Value> > 1 ? isa : std::min(isa, Isa::kAvx512));
    return std::unique_ptr<const ConvGradients<Value>>(
        new IgemmGradients(name, std::move(data), std::move(weights)));
  }

  const char* name() const override { return name_.c_str(); }
  void Data(const Value* dy, const float* weights, float* dx,
            bool add) const override {
    data_->Run(dy, weights, dx, add);
  }
  void Weights(const Value* dy, const Value* x, float* dw,
               bool add) const override {
    weights_->Run(dy, x, dw, add);
  }

 private:
  IgemmGradients(const std::string& name,
                 std::unique_ptr<const ConvDataGradient<Value>> data,
                 WeightGradientOf<Value> weights)
      : name_(name), data_(std::move(data)), weights_(std::move(weights)) {}

  const std::string name_;
  const std::unique_ptr<const ConvDataGradient<Value>> data_;
  const WeightGradientOf<Value> weights_;
};

}  // namespace

template <>
std::unique_ptr<const ConvGradients<float>> ConvGradients<float>::Create(
    const ConvShape& shape, Isa isa) {
  CheckConvShape(shape);
  std::unique_ptr<const ConvGradients> fast;
  if (*IgemmKernels(isa)) {
    fast = IgemmGradients<float>::Create(shape, isa, "f32");
  }
  if (fast) return fast;
  return std::unique_ptr<const ConvGradients>(
      new ReferenceGradients<float>(shape));
}

template <>
std::unique_ptr<const ConvGradients<double>> ConvGradients<double>::Create(
    const ConvShape& shape, Isa) {
  CheckConvShape(shape);
  return std::unique_ptr<const ConvGradients>(
      new ReferenceGradients<double>(shape));
}

template <>
std::unique_ptr<const ConvGradients<Bf16>> ConvGradients<Bf16>::Create(
    const ConvShape& shape, Isa isa) {
  CheckConvShape(shape);
  return IgemmGradients<Bf16>::Create(shape, isa, "bf16");
}

template class ConvGradients<float>;
template class ConvGradients<double>;
template class ConvGradients<Bf16>;

}  // namespace p3d
