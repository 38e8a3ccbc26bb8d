#include "engine/layers/convolution_layer.hpp"

#include <algorithm>
#include <memory>
#include <type_traits>

#include "kernels/affine.hpp"
#include "kernels/conv/conv_reference.hpp"
#include "kernels/narrow_copies.hpp"
#include "kernels/scratch.hpp"

namespace p3d {
namespace {

bool SameInputs(const ConvShape& a, const ConvShape& b) {
  if (a.num != b.num || a.axes.size() != b.axes.size()) return false;
  for (size_t i = 0; i < a.axes.size(); ++i) {
    if (a.axes[i].in != b.axes[i].in) return false;
  }
  return true;
}

// The host's values of a blob as a kernel reads them: channels last, and
// rounded if need be, for as long as this is.
template <typename Value>
class ValuesAs {
 public:
  ValuesAs(Storage<Value>& values, const Geometry& geometry)
      : data_(values.data(Order::kChannelsLast, geometry)) {}
  const Value* data() const { return data_; }

 private:
  const Value* const data_;
};
template <>
class ValuesAs<Bf16> {
 public:
  ValuesAs(Storage<float>& values, const Geometry& geometry) {
    const Order order = Order::kChannelsLast;
    if (values.narrow(Side::kHost)) {
      data_ = values.data_of<Bf16>(order, geometry, Side::kHost);
      return;
    }
    rounded_.reset(new Scratch<Bf16>(values.count()));
    Narrow(values.data(order, geometry), values.count(), rounded_->data());
    data_ = rounded_->data();
  }
  const Bf16* data() const { return data_; }

 private:
  std::unique_ptr<Scratch<Bf16>> rounded_;
  const Bf16* data_;
};

std::shared_ptr<const Conv> MakeConv(const ConvShape& shape, Isa isa, float) {
  return Conv::Create(shape, isa);
}
std::shared_ptr<const Conv> MakeConv(const ConvShape&, Isa, double) {
  return nullptr;
}

}  // namespace

template <typename Dtype>
bool ConvolutionLayer<Dtype>::rounds(Phase phase) const {
  return std::is_same<Dtype, float>::value && mode() == Side::kHost &&
         precision() == Precision::kBf16 && this->phase() == phase &&
         shape_.num > 0;
}

template <typename Dtype>
const Bf16Conv* ConvolutionLayer<Dtype>::bf16() const {
  return rounds(Phase::kTest) ? bf16_.get(shape_, isa_) : nullptr;
}

template <typename Dtype>
const Bf16ConvTo<float>* ConvolutionLayer<Dtype>::bf16_sums() const {
  return rounds(Phase::kTrain) ? bf16_sums_.get(shape_, isa_) : nullptr;
}

template <typename Dtype>
const ConvGradients<Bf16>* ConvolutionLayer<Dtype>::bf16_gradients() const {
  return rounds(Phase::kTrain) ? bf16_gradients_.get(shape_, isa_) : nullptr;
}

template <>
int64_t ConvolutionLayer<float>::packed_size() const {
  const Bf16Conv* const conv = bf16();
  return conv ? conv->packed_size() : conv_->packed_size();
}

// Rounded ones: the floats stay.
template <>
template <typename Kernel>
std::shared_ptr<const float> ConvolutionLayer<float>::PackedFor(
    const Kernel& kernel) {
  const auto pack = [&](const float* from, float* to) {
    kernel.Pack(from, to);
  };
  return this->blobs_[0]->storage().Packed(
      kernel.pack_key(), kernel.packed_size(), pack, nullptr, false);
}

template <>
std::shared_ptr<const float> ConvolutionLayer<float>::packed_weights() {
  if (const auto* conv = bf16()) return PackedFor(*conv);
  const std::shared_ptr<const Conv> conv = conv_;
  return this->blobs_[0]->storage().Packed(
      conv->pack_key(), conv->packed_size(),
      [conv](const float* from, float* to) { conv->Pack(from, to); },
      // Outlives this layer where weights are shared, and the next Reshape.
      [conv](const float* from, float* to) { conv->Unpack(from, to); },
      this->phase() == Phase::kTest);
}

template <typename Dtype>
int64_t ConvolutionLayer<Dtype>::workspace_size(Side side) const {
  if (shape_.num == 0) return 0;
  if (side == Side::kGpu) return Gpu().ConvolveScratch(shape_);
  if (const Bf16Conv* bf16_conv = bf16()) return bf16_conv->workspace_size();
  return conv_ ? conv_->workspace_size() : 0;
}

template <typename Dtype>
void ConvolutionLayer<Dtype>::RunOnGpu(const Blob<Dtype>& x,
                                       const Epilogue<Dtype>& epilogue,
                                       const Blob<Dtype>* residual,
                                       Dtype* workspace, Blob<Dtype>* y) {
  const Side side = Side::kGpu;
  const Order order = Order::kChannelsLast;
  const Geometry in = params_.GeometryOf(x.shape());
  const Geometry out = params_.GeometryOf(y->shape());
  WithProducts<Dtype>(side, [&](auto kind) {
    using Value = decltype(kind);
    const GpuKernels<Value> gpu = GpuOf<Value>();
    const Value* from = x.storage().template data_of<Value>(order, in, side);
    const Value* weights = this->template GpuWeights<Value>(order);
    const Value* other = nullptr;
    if (residual) {
      other = residual->storage().template data_of<Value>(order, out, side);
    }
    gpu.Convolve(gpu.stream, shape_, from, weights,
                 epilogue.template As<Value>(other), workspace,
                 y->storage().template write_data_of<Value>(order, out, side));
  });
}

template <>
void ConvolutionLayer<float>::RunOnHost(const Blob<float>& x,
                                        const ConvEpilogue& epilogue,
                                        const Blob<float>* residual,
                                        bool narrow, float* workspace,
                                        const NextWeights& next,
                                        Blob<float>* y) {
  const Side side = Side::kHost;
  const Order order = Order::kChannelsLast;
  const Geometry in = params_.GeometryOf(x.shape());
  const Geometry out = params_.GeometryOf(y->shape());
  const auto run = [&](const auto& conv, const auto* from, const float* packed,
                       float* memory, auto kind) {
    using Out = decltype(kind);
    const Out* other = nullptr;
    if (residual) other = residual->storage().data_of<Out>(order, out, side);
    Out* to = y->storage().write_data_of<Out>(order, out, side);
    conv.Run(from, packed, epilogue.As<Out>(other), to, memory, next);
  };
  // With scratch memory of its own: a plan for training serves all precisions.
  const auto run_rounded = [&](const auto& conv, auto kind) {
    const std::shared_ptr<const float> weights = PackedFor(conv);
    const ValuesAs<Bf16> from(x.storage(), in);
    const Scratch<float> memory(conv.workspace_size());
    run(conv, from.data(), weights.get(), memory.data(), kind);
  };
  if (const auto* sums = bf16_sums()) {
    if (!narrow) return run_rounded(*sums, float());
    return run_rounded(*bf16_.get(shape_, isa_), Bf16());
  }
  const std::shared_ptr<const float> weights = packed_weights();
  if (const Bf16Conv* conv = bf16()) {
    const Bf16* from = x.storage().data_of<Bf16>(order, in, side);
    return run(*conv, from, weights.get(), workspace, Bf16());
  }
  const float* from = x.storage().data(order, in, side);
  run(*conv_, from, weights.get(), workspace, float());
}

template <>
void ConvolutionLayer<double>::RunOnHost(const Blob<double>& x,
                                         const Epilogue<double>&,
                                         const Blob<double>*, bool, double*,
                                         const NextWeights&, Blob<double>* y) {
  const Order order = Order::kChannelsLast;
  double* to = y->storage().write_data(order, params_.GeometryOf(y->shape()));
  ConvReference(
      shape_, BlobStrides::ChannelsLast(shape_.channels, shape_.in_sizes()),
      x.storage().data(order, params_.GeometryOf(x.shape())),
      this->blobs_[0]->data(),
      BlobStrides::ChannelsLast(shape_.num_output, shape_.out_sizes()), to);
  if (!this->bias_or_null()) return;
  const Broadcast rows = {shape_.num * shape_.out_pixels(), shape_.num_output,
                          1};
  ScaleShift<double>(rows, nullptr, nullptr, this->bias_or_null(), to, to);
}

template <typename Dtype>
Role ConvolutionLayer<Dtype>::role() const {
  const bool simple =
      this->spec_.bottom.size() == 1 && params_.channel_axis == 1;
  return simple && shape_.num > 0 ? Role::kConvolution : Role::kOpaque;
}

template <typename Dtype>
std::string ConvolutionLayer<Dtype>::kernel() const {
  if (this->side() == Side::kGpu) return NameOnGpu<Dtype>(shape_);
  if (!conv_) return "conv_f64_reference";
  if (const auto* conv = bf16()) return conv->name();
  if (const auto* conv = bf16_sums()) return conv->name();
  return conv_->name();
}

template <typename Dtype>
void ConvolutionLayer<Dtype>::Reshape(const Blobs& bottom, const Blobs& top) {
  const Shape& in = bottom[0]->shape();
  this->CheckSameShapes(bottom);
  ConvShape shape = shape_;
  shape.axes = params_.WindowAxesOf(in);
  shape.num = this->InputGeometry(in).num;
  if (!SameInputs(shape, shape_)) {
    // An empty batch, as Filter makes it, is no reason to complain.
    ConvShape some = shape;
    some.num = std::max<int64_t>(1, shape.num);
    CheckConvShape(some);
    isa_ = ActiveIsa();
    conv_ = MakeConv(some, isa_, Dtype());
    bf16_ = {};
    bf16_sums_ = {};
    bf16_gradients_ = {};
    gradients_ = {};
    shape_ = shape;
  }
  const Shape out = params_.With(in, shape_.num_output, shape_.out_sizes());
  for (Blob<Dtype>* blob : top) blob->Reshape(out);
}

template <typename Dtype>
void ConvolutionLayer<Dtype>::Forward(const Blobs& bottom, const Blobs& top) {
  const Side side = this->side();
  if (shape_.num == 0) {
    for (Blob<Dtype>* blob : top) blob->write_data(Order::kCaffe, side);
    return;
  }
  Epilogue<Dtype> epilogue;
  epilogue.shift = this->bias_or_null(side);
  if (side == Side::kGpu) {
    const GpuScratch<Dtype> workspace(workspace_size(side));
    for (size_t i = 0; i < bottom.size(); ++i) {
      RunOnGpu(*bottom[i], epilogue, nullptr, workspace.data(), top[i]);
    }
    return;
  }
  const Scratch<Dtype> workspace(workspace_size(side));
  for (size_t i = 0; i < bottom.size(); ++i) {
    RunOnHost(*bottom[i], epilogue, nullptr, false, workspace.data(),
              NextWeights(), top[i]);
  }
}

template <typename Dtype>
void ConvolutionLayer<Dtype>::Backward(const Blobs& top,
                                       const std::vector<bool>& propagate_down,
                                       const Blobs& bottom) {
  for (size_t i = 0; i < bottom.size(); ++i) {
    MakeGradients(top[i]->diff_storage(), *top[i], *bottom[i],
                  propagate_down[i] ? &bottom[i]->diff_storage() : nullptr,
                  false);
  }
}

template <typename Dtype>
void ConvolutionLayer<Dtype>::MakeGradients(Storage<Dtype>& dy,
                                            const Blob<Dtype>& y,
                                            const Blob<Dtype>& x,
                                            Storage<Dtype>* dx, bool add) {
  if (shape_.num == 0) return;
  const Geometry in = params_.GeometryOf(x.shape());
  const Geometry out = params_.GeometryOf(y.shape());
  this->AddBiasGradient(dy, out);
  if (!this->learns(0) && !dx) return;
  const Gradients g = {dy, out, x.storage(), in, dx};
  if (this->side() == Side::kHost) {
    MakeOnHost(g, add);
  } else {
    MakeOnGpu(g, add);
  }
}

template <typename Dtype>
Dtype* ConvolutionLayer<Dtype>::WeightDiff(Order order, Side side, bool* more) {
  Blob<Dtype>* blob = this->blobs_[0].get();
  *more = blob->diff_storage().has_values();
  return *more ? blob->mutable_diff(order, side)
               : blob->write_diff(order, side);
}

template <>
void ConvolutionLayer<float>::MakeOnHost(const Gradients& g, bool add) {
  if (const ConvGradients<Bf16>* kernel = bf16_gradients()) {
    return MakeOnHost(*kernel, g, add);
  }
  MakeOnHost(*gradients_.get(shape_, isa_), g, add);
}

template <>
void ConvolutionLayer<double>::MakeOnHost(const Gradients& g, bool add) {
  MakeOnHost(*gradients_.get(shape_, isa_), g, add);
}

template <typename Dtype>
template <typename Value>
void ConvolutionLayer<Dtype>::MakeOnHost(const ConvGradients<Value>& kernel,
                                         const Gradients& g, bool add) {
  const Order order = Order::kChannelsLast;
  const ValuesAs<Value> dy(g.dy, g.out);
  if (this->learns(0)) {
    bool more = false;
    Dtype* dw = WeightDiff(Order::kCaffe, Side::kHost, &more);
    const ValuesAs<Value> x(g.x, g.in);
    kernel.Weights(dy.data(), x.data(), dw, more);
  }
  if (!g.dx) return;
  Dtype* dx =
      add ? g.dx->mutable_data(order, g.in) : g.dx->write_data(order, g.in);
  kernel.Data(dy.data(), this->blobs_[0]->data(), dx, add);
}

template <typename Dtype>
void ConvolutionLayer<Dtype>::MakeOnGpu(const Gradients& g, bool add) {
  const Side side = Side::kGpu;
  const Order order = Order::kChannelsLast;
  const int64_t scratch =
      std::max(this->learns(0) ? Gpu().ConvWeightGradientScratch(shape_) : 0,
               g.dx ? Gpu().ConvDataGradientScratch(shape_) : 0);
  const GpuScratch<Dtype> memory(scratch);
  WithProducts<Dtype>(side, [&](auto kind) {
    using Value = decltype(kind);
    const GpuKernels<Value> gpu = GpuOf<Value>();
    const Value* dy = g.dy.template data_of<Value>(order, g.out, side);
    if (this->learns(0)) {
      bool more = false;
      Dtype* dw = WeightDiff(order, side, &more);
      gpu.ConvWeightGradient(gpu.stream, shape_, dy,
                             g.x.template data_of<Value>(order, g.in, side),
                             memory.data(), more, dw);
    }
    if (!g.dx) return;
    Value* dx = add ? g.dx->template mutable_data_of<Value>(order, g.in, side)
                    : g.dx->template write_data_of<Value>(order, g.in, side);
    gpu.ConvDataGradient(gpu.stream, shape_, dy,
                         this->blobs_[0]->template data_of<Value>(order, side),
                         memory.data(), add, dx);
  });
}

template class ConvolutionLayer<float>;
template class ConvolutionLayer<double>;

P3D_REGISTER_LAYER(Convolution, ConvolutionLayer);
P3D_REGISTER_LAYER(Convolution3D, ConvolutionLayer);

}  // namespace p3d
