#include "engine/layers/convolution_layer.hpp"

#include <algorithm>

#include "kernels/affine.hpp"
#include "kernels/conv_reference.hpp"
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

std::shared_ptr<const Conv> MakeConv(const ConvShape& shape, Isa isa, float) {
  return Conv::Create(shape, isa);
}
std::shared_ptr<const Conv> MakeConv(const ConvShape&, Isa, double) {
  return nullptr;
}

}  // namespace

template <>
const Bf16Conv* ConvolutionLayer<float>::bf16() const {
  const Precision kind = KindOfValues(this->phase() == Phase::kTest);
  if (mode() == Side::kGpu || kind != Precision::kBf16 || shape_.num == 0) {
    return nullptr;
  }
  if (!asked_for_bf16_) bf16_ = Bf16Conv::Create(shape_, isa_);
  asked_for_bf16_ = true;
  return bf16_.get();
}

template <>
const Bf16Conv* ConvolutionLayer<double>::bf16() const {
  return nullptr;
}

template <>
int64_t ConvolutionLayer<float>::packed_size() const {
  const Bf16Conv* const bf16_conv = bf16();
  return bf16_conv ? bf16_conv->packed_size() : conv_->packed_size();
}

// Those of bfloat16 are rounded: the floats stay.
template <>
std::shared_ptr<const float> ConvolutionLayer<float>::packed_weights() {
  Storage<float>& weights = this->blobs_[0]->storage();
  if (const Bf16Conv* bf16_conv = bf16()) {
    const auto pack = [=](const float* from, float* to) {
      bf16_conv->Pack(from, to);
    };
    return weights.Packed(bf16_conv->pack_key(), packed_size(), pack, nullptr,
                          false);
  }
  const std::shared_ptr<const Conv> conv = conv_;
  return weights.Packed(
      conv->pack_key(), conv->packed_size(),
      [conv](const float* from, float* to) { conv->Pack(from, to); },
      // Outlives this layer where weights are shared, and the next Reshape.
      [conv](const float* from, float* to) { conv->Unpack(from, to); },
      this->phase() == Phase::kTest);
}

template <typename Dtype>
const Dtype* ConvolutionLayer<Dtype>::bias_or_null(Side side) const {
  if (this->blobs_.size() < 2) return nullptr;
  return this->blobs_[1]->data(Order::kCaffe, side);
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
    const Value* weights =
        this->blobs_[0]->template data_of<Value>(order, side);
    if (kNarrow<Value> && this->phase() == Phase::kTest)
      this->blobs_[0]->storage().DropWide();
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
                                        float* workspace,
                                        const NextWeights& next,
                                        Blob<float>* y) {
  const Side side = Side::kHost;
  const Order order = Order::kChannelsLast;
  const Geometry in = params_.GeometryOf(x.shape());
  const Geometry out = params_.GeometryOf(y->shape());
  const std::shared_ptr<const float> weights = packed_weights();
  const auto run = [&](const auto& conv, auto kind) {
    using Value = decltype(kind);
    const Value* from = x.storage().data_of<Value>(order, in, side);
    const Value* other = nullptr;
    if (residual) other = residual->storage().data_of<Value>(order, out, side);
    Value* to = y->storage().write_data_of<Value>(order, out, side);
    conv.Run(from, weights.get(), epilogue.As<Value>(other), to, workspace,
             next);
  };
  if (const Bf16Conv* bf16_conv = bf16()) return run(*bf16_conv, Bf16());
  run(*conv_, float());
}

template <>
void ConvolutionLayer<double>::RunOnHost(const Blob<double>& x,
                                         const Epilogue<double>&,
                                         const Blob<double>*, double*,
                                         const NextWeights&, Blob<double>* y) {
  const Order order = Order::kChannelsLast;
  double* to = y->storage().write_data(order, params_.GeometryOf(y->shape()));
  ConvReference(
      shape_, BlobStrides::ChannelsLast(shape_.channels, shape_.in_sizes()),
      x.storage().data(order, params_.GeometryOf(x.shape())),
      this->blobs_[0]->data(),
      BlobStrides::ChannelsLast(shape_.num_output, shape_.out_sizes()), to);
  if (!bias_or_null()) return;
  const Broadcast rows = {shape_.num * shape_.out_pixels(), shape_.num_output,
                          1};
  ScaleShift<double>(rows, nullptr, nullptr, bias_or_null(), to, to);
}

template <typename Dtype>
Role ConvolutionLayer<Dtype>::role() const {
  return simple_ && shape_.num > 0 ? Role::kConvolution : Role::kOpaque;
}

template <typename Dtype>
std::string ConvolutionLayer<Dtype>::kernel() const {
  if (this->side() == Side::kGpu) return NameOnGpu<Dtype>(shape_);
  if (const Bf16Conv* bf16_conv = bf16()) return bf16_conv->name();
  return conv_ ? conv_->name() : "conv_f64_reference";
}

template <typename Dtype>
int64_t ConvolutionLayer<Dtype>::macs() const {
  return shape_.macs() * static_cast<int64_t>(this->spec_.bottom.size());
}

template <typename Dtype>
void ConvolutionLayer<Dtype>::LayerSetUp(const Blobs& bottom,
                                         const Blobs& top) {
  this->CheckNotInPlace(bottom, top);
  const Fields& fields = this->Param("convolution_param");
  const Shape& shape = bottom[0]->shape();
  params_ = ReadConvParams(fields, shape, true);
  simple_ = bottom.size() == 1 && params_.channel_axis == 1;

  shape_.channels = shape[params_.channel_axis];
  shape_.num_output = params_.num_output;
  shape_.group = params_.group;
  shape_.pad_mode = params_.pad_mode;

  this->blobs_ =
      MakeConvBlobs<Dtype>(fields, params_, shape_.num_output, shape_.channels);
}

template <typename Dtype>
void ConvolutionLayer<Dtype>::Reshape(const Blobs& bottom, const Blobs& top) {
  const Shape& in = bottom[0]->shape();
  for (const Blob<Dtype>* other : bottom) {
    Check(other->shape() == in, "all bottoms need the same shape, not ",
          ShapeString(in), " and ", ShapeString(other->shape()));
  }
  ConvShape shape = shape_;
  shape.axes = params_.AxesOf(in);
  const Geometry geometry = params_.GeometryOf(in);
  Check(geometry.channels == shape_.channels, "the weights are for ",
        shape_.channels, " input channels, the bottom has ", geometry.channels);
  shape.num = geometry.num;
  if (!SameInputs(shape, shape_)) {
    // An empty batch, as Filter makes it, is no reason to complain.
    ConvShape some = shape;
    some.num = std::max<int64_t>(1, shape.num);
    CheckConvShape(some);
    isa_ = ActiveIsa();
    conv_ = MakeConv(some, isa_, Dtype());
    bf16_.reset();
    asked_for_bf16_ = false;
    gradients_.reset();
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
  epilogue.shift = bias_or_null(side);
  if (side == Side::kGpu) {
    const GpuScratch<Dtype> workspace(workspace_size(side));
    for (size_t i = 0; i < bottom.size(); ++i) {
      RunOnGpu(*bottom[i], epilogue, nullptr, workspace.data(), top[i]);
    }
    return;
  }
  const Scratch<Dtype> workspace(workspace_size(side));
  for (size_t i = 0; i < bottom.size(); ++i) {
    RunOnHost(*bottom[i], epilogue, nullptr, workspace.data(), NextWeights(),
              top[i]);
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
  if (this->blobs_.size() > 1 && this->learns(1)) AddBiasGradient(dy, out);
  if (this->learns(0)) AddWeightGradient(dy, out, x.storage(), in);
  if (dx) MakeDataGradient(dy, out, add, dx, in);
}

template <typename Dtype>
void ConvolutionLayer<Dtype>::AddBiasGradient(Storage<Dtype>& dy,
                                              const Geometry& out) {
  const Side side = this->side();
  const Broadcast channels = {shape_.num * shape_.out_pixels(),
                              shape_.num_output, 1};
  Dtype* db = this->blobs_[1]->mutable_diff(Order::kCaffe, side);
  WithValues<Dtype>(side, [&](auto kind) {
    using Value = decltype(kind);
    const Value* from =
        dy.template data_of<Value>(Order::kChannelsLast, out, side);
    AddScaleShiftGradients<Value, Dtype>(side, channels, nullptr, from, nullptr,
                                         db);
  });
}

template <typename Dtype>
void ConvolutionLayer<Dtype>::AddWeightGradient(Storage<Dtype>& dy,
                                                const Geometry& out,
                                                Storage<Dtype>& x,
                                                const Geometry& in) {
  const Side side = this->side();
  const Order last = Order::kChannelsLast;
  const Order order = side == Side::kHost ? Order::kCaffe : last;
  Blob<Dtype>* blob = this->blobs_[0].get();
  const bool more = blob->diff_storage().has_values();
  Dtype* dw =
      more ? blob->mutable_diff(order, side) : blob->write_diff(order, side);
  if (side == Side::kHost) {
    return gradients().Weights(dy.data(last, out), x.data(last, in), dw, more);
  }
  const GpuScratch<Dtype> scratch(Gpu().ConvWeightGradientScratch(shape_));
  WithProducts<Dtype>(side, [&](auto kind) {
    using Value = decltype(kind);
    const GpuKernels<Value> gpu = GpuOf<Value>();
    gpu.ConvWeightGradient(
        gpu.stream, shape_, dy.template data_of<Value>(last, out, side),
        x.template data_of<Value>(last, in, side), scratch.data(), more, dw);
  });
}

template <typename Dtype>
void ConvolutionLayer<Dtype>::MakeDataGradient(Storage<Dtype>& dy,
                                               const Geometry& out, bool add,
                                               Storage<Dtype>* dx,
                                               const Geometry& in) {
  const Side side = this->side();
  const Order order = Order::kChannelsLast;
  const Blob<Dtype>& weights = *this->blobs_[0];
  if (side == Side::kHost) {
    Dtype* to = add ? dx->mutable_data(order, in) : dx->write_data(order, in);
    return gradients().Data(dy.data(order, out), weights.data(), to, add);
  }
  const GpuScratch<Dtype> scratch(Gpu().ConvDataGradientScratch(shape_));
  WithProducts<Dtype>(side, [&](auto kind) {
    using Value = decltype(kind);
    const GpuKernels<Value> gpu = GpuOf<Value>();
    Value* to = add ? dx->template mutable_data_of<Value>(order, in, side)
                    : dx->template write_data_of<Value>(order, in, side);
    gpu.ConvDataGradient(
        gpu.stream, shape_, dy.template data_of<Value>(order, out, side),
        weights.template data_of<Value>(order, side), scratch.data(), add, to);
  });
}

template class ConvolutionLayer<float>;
template class ConvolutionLayer<double>;

P3D_REGISTER_LAYER(Convolution, ConvolutionLayer);
P3D_REGISTER_LAYER(Convolution3D, ConvolutionLayer);

}  // namespace p3d
