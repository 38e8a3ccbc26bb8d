#include <algorithm>

#include "engine/layers/base_convolution_layer.hpp"
#include "kernels/affine.hpp"
#include "kernels/conv/conv_gradients.hpp"
#include "kernels/conv/conv_reference.hpp"
#include "kernels/conv/deconv.hpp"
#include "kernels/scratch.hpp"

namespace p3d {

// Deconvolution: the transposed Convolution, with the same parameters. An axis
// of n becomes stride (n - 1) + dilation (kernel - 1) + 1 - padding.
template <typename Dtype>
class DeconvolutionLayer : public BaseConvolutionLayer<Dtype> {
 public:
  using BaseConvolutionLayer<Dtype>::BaseConvolutionLayer;
  using typename BaseConvolutionLayer<Dtype>::Blobs;

  std::string kernel() const override {
    if (this->side() == Side::kGpu) return "deconv_cuda";
    return deconv_ ? deconv_->name() : "deconv_f64_reference";
  }

  void Reshape(const Blobs& bottom, const Blobs& top) override {
    const Shape& in = bottom[0]->shape();
    this->CheckSameShapes(bottom);
    const Geometry geometry = this->InputGeometry(in);
    if (in != in_) Make(in, geometry);
    in_ = in;
    std::vector<int64_t> sizes;
    for (const ConvAxis& axis : shape_.axes) sizes.push_back(axis.in);
    const Shape out = params_.With(in, shape_.channels, sizes);
    for (Blob<Dtype>* blob : top) blob->Reshape(out);
  }

  void Forward(const Blobs& bottom, const Blobs& top) override {
    const Side side = this->side();
    const Order order = Order::kChannelsLast;
    const Geometry in = params_.GeometryOf(bottom[0]->shape());
    const Geometry out = params_.GeometryOf(top[0]->shape());
    for (size_t i = 0; i < bottom.size(); ++i) {
      if (in.num == 0) {
        top[i]->storage().write_data(order, out, side);
      } else if (side == Side::kGpu) {
        RunOnGpu(bottom[i]->storage(), in, top[i]->storage(), out);
      } else {
        const Dtype* x = bottom[i]->storage().data(order, in);
        Run(x, top[i]->storage().write_data(order, out));
      }
    }
  }

  // What was forward there is the gradient here, and the other way round.
  void Backward(const Blobs& top, const std::vector<bool>& propagate_down,
                const Blobs& bottom) override {
    const Geometry in = params_.GeometryOf(bottom[0]->shape());
    const Geometry out = params_.GeometryOf(top[0]->shape());
    if (in.num == 0) return;
    for (size_t i = 0; i < bottom.size(); ++i) {
      Storage<Dtype>& dy = top[i]->diff_storage();
      this->AddBiasGradient(dy, out);
      const Gradients g = {
          dy, out, bottom[i]->storage(), in,
          propagate_down[i] ? &bottom[i]->diff_storage() : nullptr};
      if (this->side() == Side::kGpu) {
        MakeOnGpu(g);
      } else {
        MakeOnHost(g);
      }
    }
  }

 protected:
  bool transposed() const override { return true; }

 private:
  using typename BaseConvolutionLayer<Dtype>::Gradients;
  using BaseConvolutionLayer<Dtype>::params_;
  using BaseConvolutionLayer<Dtype>::shape_;

  void Make(const Shape& in, const Geometry& geometry) {
    // An empty batch, as Filter makes it, is no reason to complain.
    shape_.num = std::max<int64_t>(1, geometry.num);
    shape_.axes = params_.AxesOf(in);
    for (size_t i = 0; i < shape_.axes.size(); ++i) {
      ConvAxis& axis = shape_.axes[i];
      Check(axis.in >= 1, "cannot enlarge a bottom without values (shape ",
            ShapeString(in), ")");
      axis.in = axis.stride * (axis.in - 1) +
                axis.dilation * (axis.kernel - 1) + 1 - axis.pad_begin -
                axis.pad_end;
      Check(axis.in >= 1, "padding leaves nothing of spatial axis ", i);
    }
    CheckDeconvShape(shape_);
    MakeDeconv();
    gradients_.reset();
    conv_.reset();
  }

  void MakeDeconv();
  void Run(const Dtype* x, Dtype* y);
  // The convolution that is transposed, without bias.
  void Convolve(const Dtype* y, Dtype* x);
  void RunOnGpu(Storage<Dtype>& x, const Geometry& in, Storage<Dtype>& y,
                const Geometry& out);
  void MakeOnHost(const Gradients& g);
  void MakeOnGpu(const Gradients& g);

  Shape in_;
  std::shared_ptr<const Deconv> deconv_;
  // When first used.
  std::unique_ptr<const ConvGradients<Dtype>> gradients_;
  std::unique_ptr<const Conv> conv_;
};

template <>
void DeconvolutionLayer<float>::MakeDeconv() {
  deconv_ = std::make_shared<Deconv>(shape_);
}

template <>
void DeconvolutionLayer<double>::MakeDeconv() {}

template <>
void DeconvolutionLayer<float>::Run(const float* x, float* y) {
  const std::shared_ptr<const Deconv> deconv = deconv_;
  const std::shared_ptr<const float> packed = this->blobs_[0]->storage().Packed(
      deconv->pack_key(), deconv->packed_size(),
      [deconv](const float* from, float* to) { deconv->Pack(from, to); },
      [deconv](const float* from, float* to) { deconv->Unpack(from, to); },
      this->phase() == Phase::kTest);
  const Scratch<float> workspace(deconv->workspace_size());
  deconv->Run(x, packed.get(), this->bias_or_null(), y, workspace.data());
}

template <>
void DeconvolutionLayer<double>::Run(const double* x, double* y) {
  DeconvReference(shape_, x, this->blobs_[0]->data(), y);
  if (!this->bias_or_null()) return;
  ScaleShift<double>({shape_.num * shape_.in_pixels(), shape_.channels, 1},
                     nullptr, nullptr, this->bias_or_null(), y, y);
}

template <>
void DeconvolutionLayer<float>::Convolve(const float* y, float* x) {
  if (!conv_) conv_ = Conv::Create(shape_);
  const Scratch<float> packed(conv_->packed_size());
  conv_->Pack(this->blobs_[0]->data(), packed.data());
  const Scratch<float> workspace(conv_->workspace_size());
  conv_->Run(y, packed.data(), ConvEpilogue(), x, workspace.data());
}

template <>
void DeconvolutionLayer<double>::Convolve(const double* y, double* x) {
  ConvReference(
      shape_, BlobStrides::ChannelsLast(shape_.channels, shape_.in_sizes()), y,
      this->blobs_[0]->data(),
      BlobStrides::ChannelsLast(shape_.num_output, shape_.out_sizes()), x);
}

template <typename Dtype>
void DeconvolutionLayer<Dtype>::RunOnGpu(Storage<Dtype>& x, const Geometry& in,
                                         Storage<Dtype>& y,
                                         const Geometry& out) {
  const Side side = Side::kGpu;
  const Order order = Order::kChannelsLast;
  const GpuScratch<Dtype> scratch(Gpu().ConvDataGradientScratch(shape_));
  WithProducts<Dtype>(side, [&](auto kind) {
    using Value = decltype(kind);
    const GpuKernels<Value> gpu = GpuOf<Value>();
    const Value* from = x.template data_of<Value>(order, in, side);
    const Value* weights = this->template GpuWeights<Value>(order);
    gpu.ConvDataGradient(gpu.stream, shape_, from, weights, scratch.data(),
                         false,
                         y.template write_data_of<Value>(order, out, side));
  });
  const Dtype* bias = this->bias_or_null(side);
  if (!bias) return;
  WithValues<Dtype>(side, [&](auto kind) {
    using Value = decltype(kind);
    const GpuKernels<Value> gpu = GpuOf<Value>();
    Value* to = y.template mutable_data_of<Value>(order, out, side);
    gpu.ScaleShift(gpu.stream, Broadcast::Channels(out, order), nullptr,
                   nullptr, bias, to, to);
  });
}

template <typename Dtype>
void DeconvolutionLayer<Dtype>::MakeOnHost(const Gradients& g) {
  const Order order = Order::kChannelsLast;
  if (!gradients_) gradients_ = ConvGradients<Dtype>::Create(shape_);
  const Dtype* dy = g.dy.data(order, g.out);
  if (this->learns(0)) {
    gradients_->Weights(g.x.data(order, g.in), dy,
                        this->blobs_[0]->mutable_diff());
  }
  if (g.dx) Convolve(dy, g.dx->write_data(order, g.in));
}

template <typename Dtype>
void DeconvolutionLayer<Dtype>::MakeOnGpu(const Gradients& g) {
  const Side side = Side::kGpu;
  const Order order = Order::kChannelsLast;
  const int64_t scratch =
      std::max(this->learns(0) ? Gpu().ConvWeightGradientScratch(shape_) : 0,
               g.dx ? Gpu().ConvolveScratch(shape_) : 0);
  const GpuScratch<Dtype> memory(scratch);
  WithProducts<Dtype>(side, [&](auto kind) {
    using Value = decltype(kind);
    const GpuKernels<Value> gpu = GpuOf<Value>();
    const Value* dy = g.dy.template data_of<Value>(order, g.out, side);
    if (this->learns(0)) {
      gpu.ConvWeightGradient(
          gpu.stream, shape_, g.x.template data_of<Value>(order, g.in, side),
          dy, memory.data(), true, this->blobs_[0]->mutable_diff(order, side));
    }
    if (!g.dx) return;
    gpu.Convolve(gpu.stream, shape_, dy,
                 this->blobs_[0]->template data_of<Value>(order, side),
                 Epilogue<Dtype>().template As<Value>(nullptr), memory.data(),
                 g.dx->template write_data_of<Value>(order, g.in, side));
  });
}

P3D_REGISTER_LAYER(Deconvolution, DeconvolutionLayer);

}  // namespace p3d
