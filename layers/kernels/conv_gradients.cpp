#include "kernels/conv_gradients.hpp"

#include <algorithm>
#include <string>

#include "kernels/conv_data_gradient.hpp"
#include "kernels/conv_reference.hpp"
#include "kernels/conv_weight_gradient.hpp"

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

class IgemmGradients : public ConvGradients<float> {
 public:
  IgemmGradients(const ConvShape& shape, Isa isa)
      : name_(std::string("conv_gradients_f32_") + IsaName(isa)),
        data_(shape, isa),
        weights_(shape, isa) {}

  const char* name() const override { return name_.c_str(); }
  void Data(const float* dy, const float* weights, float* dx,
            bool add) const override {
    data_.Run(dy, weights, dx, add);
  }
  void Weights(const float* dy, const float* x, float* dw,
               bool add) const override {
    weights_.Run(dy, x, dw, add);
  }

 private:
  const std::string name_;
  const ConvDataGradient data_;
  const ConvWeightGradient weights_;
};

std::unique_ptr<ConvGradients<float>> CreateFast(const ConvShape& shape,
                                                 Isa isa, float) {
  const bool can = *IgemmKernels(isa) && ConvDataGradient::CanDo(shape) &&
                   ConvWeightGradient::CanDo(shape);
  return std::unique_ptr<ConvGradients<float>>(
      can ? new IgemmGradients(shape, isa) : nullptr);
}
std::unique_ptr<ConvGradients<double>> CreateFast(const ConvShape&, Isa,
                                                  double) {
  return nullptr;
}

}  // namespace

template <typename Dtype>
std::unique_ptr<ConvGradients<Dtype>> ConvGradients<Dtype>::Create(
    const ConvShape& shape, Isa isa) {
  CheckConvShape(shape);
  std::unique_ptr<ConvGradients> fast = CreateFast(shape, isa, Dtype());
  if (fast) return fast;
  return std::unique_ptr<ConvGradients>(new ReferenceGradients<Dtype>(shape));
}

template class ConvGradients<float>;
template class ConvGradients<double>;

}  // namespace p3d
