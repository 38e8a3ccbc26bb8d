#include "kernels/conv/conv_planar.hpp"

#include "kernels/conv/conv_planar_gemm.hpp"
#include "kernels/conv/conv_reference.hpp"
#include "kernels/cpu/thread_pool.hpp"
#include "kernels/error.hpp"

namespace p3d {
namespace {

template <typename Dtype>
class PlanarReference : public PlanarConv<Dtype> {
 public:
  explicit PlanarReference(const ConvShape& shape)
      : shape_(shape),
        in_(BlobStrides::CaffeOrder(shape.channels, shape.in_sizes())),
        out_(BlobStrides::CaffeOrder(shape.num_output, shape.out_sizes())) {}

  const char* name() const override { return "planar_reference"; }

  void Forward(const Dtype* x, const Dtype* weights, const Dtype* bias,
               Dtype* y) const override {
    ConvReference(shape_, in_, x, weights, out_, y);
    if (!bias) return;
    const int64_t pixels = shape_.out_pixels();
    for (int64_t i = 0; i < shape_.num * shape_.num_output * pixels; ++i) {
      y[i] += bias[i / pixels % shape_.num_output];
    }
  }
  void BackwardData(const Dtype* dy, const Dtype* weights,
                    Dtype* dx) const override {
    ConvDataGradientReference(shape_, out_, dy, weights, in_, dx);
  }
  void BackwardWeights(const Dtype* dy, const Dtype* x,
                       Dtype* dw) const override {
    ConvWeightGradientReference(shape_, out_, dy, in_, x, dw);
  }

 private:
  const ConvShape shape_;
  const BlobStrides in_, out_;
};

std::unique_ptr<PlanarConv<float>> CreateFast(const ConvShape& shape, Isa isa,
                                              float) {
  return CreatePlanarGemm(shape, isa);
}
std::unique_ptr<PlanarConv<double>> CreateFast(const ConvShape&, Isa, double) {
  return nullptr;
}

}  // namespace

template <typename Dtype>
std::unique_ptr<PlanarConv<Dtype>> PlanarConv<Dtype>::Create(
    const ConvShape& shape, Isa isa) {
  CheckConvShape(shape);
  Check(shape.pad_mode == PadMode::kZero,
        "a convolution in Caffe's order pads with zeros only.");
  std::unique_ptr<PlanarConv> fast = CreateFast(shape, isa, Dtype());
  if (fast) return fast;
  return std::unique_ptr<PlanarConv>(new PlanarReference<Dtype>(shape));
}

template <typename Dtype>
void PlanarBiasGradient(int64_t num, int64_t num_output, int64_t pixels,
                        const Dtype* dy, Dtype* dbias) {
  ParallelFor(num_output, [=](int64_t o) {
    double sum = 0;
    for (int64_t n = 0; n < num; ++n) {
      const Dtype* plane = dy + (n * num_output + o) * pixels;
      for (int64_t p = 0; p < pixels; ++p) sum += plane[p];
    }
    dbias[o] += static_cast<Dtype>(sum);
  });
}

#define P3D_INSTANTIATE(Dtype)                                              \
  template std::unique_ptr<PlanarConv<Dtype>> PlanarConv<Dtype>::Create(    \
      const ConvShape&, Isa);                                               \
  template void PlanarBiasGradient(int64_t, int64_t, int64_t, const Dtype*, \
                                   Dtype*)
P3D_INSTANTIATE(float);
P3D_INSTANTIATE(double);
#undef P3D_INSTANTIATE

}  // namespace p3d
