#include <memory>
#include <utility>

#include "engine/filler.hpp"
#include "engine/layer.hpp"
#include "kernels/affine.hpp"
#include "kernels/conv/conv.hpp"
#include "kernels/conv/conv_gradients.hpp"
#include "kernels/conv/conv_reference.hpp"
#include "kernels/order.hpp"
#include "kernels/scratch.hpp"

namespace p3d {

// InnerProduct: top[m, o] = sum over k of bottom[m, k] weight[o, k] + bias[o],
// where m counts the axes before `axis` (default 1) and k the others. Blobs:
// weights (num_output, K), with `transpose` (K, num_output), and biases
// (num_output) unless bias_term is false.
//
// This is a convolution of M pixels with a kernel of one, and is run as such.
template <typename Dtype>
class InnerProductLayer : public Layer<Dtype> {
 public:
  using Layer<Dtype>::Layer;
  using typename Layer<Dtype>::Blobs;

  BlobCounts counts() const override { return BlobCounts::Exactly(1, 1); }
  std::string kernel() const override {
    if (this->side() == Side::kGpu) {
      return transpose_ ? "inner_product_cuda" : NameOnGpu<Dtype>(shape_);
    }
    return conv_ ? conv_->name() : "conv_f64_reference";
  }
  int64_t macs() const override { return shape_.macs(); }
  bool HasGpu() const override { return true; }
  bool Replayable() const override { return true; }

  void LayerSetUp(const Blobs& bottom, const Blobs& top) override {
    this->CheckNotInPlace(bottom, top);
    const Fields& param = this->Param("inner_product_param");
    const int64_t outputs = param.Int("num_output");
    Check(outputs > 0, "num_output has to be given and at least 1");
    axis_ = bottom[0]->CanonicalAxis(param.Int("axis"));
    transpose_ = param.Bool("transpose");
    shape_.axes.resize(1);
    shape_.num_output = outputs;
    shape_.channels = bottom[0]->count(axis_);
    const Shape weights = transpose_ ? Shape{shape_.channels, outputs}
                                     : Shape{outputs, shape_.channels};
    this->blobs_ = {std::make_shared<Blob<Dtype>>(weights)};
    Fill(param.Sub("weight_filler"), this->blobs_[0]);
    if (!param.Bool("bias_term")) return;
    this->blobs_.push_back(std::make_shared<Blob<Dtype>>(Shape{outputs}));
    Fill(param.Sub("bias_filler"), this->blobs_[1]);
  }

  void Reshape(const Blobs& bottom, const Blobs& top) override {
    const Shape& in = bottom[0]->shape();
    Check(bottom[0]->num_axes() > axis_ &&
              bottom[0]->count(axis_) == shape_.channels,
          "the weights are for ", shape_.channels,
          " inputs, the bottom's shape is ", ShapeString(in));
    const int64_t rows = bottom[0]->count(0, axis_);
    rows_ = rows;
    // An empty batch, as Filter makes it, has an empty result.
    if (rows > 0 && (rows != shape_.axes[0].in || !made_)) {
      shape_.axes[0].in = rows;
      Make();
      gradients_.reset();
    }
    Shape out(in.begin(), in.begin() + axis_);
    out.push_back(shape_.num_output);
    top[0]->Reshape(out);
  }

  void Forward(const Blobs& bottom, const Blobs& top) override {
    const Side side = this->side();
    if (side == Side::kGpu && rows_ > 0) {
      return transpose_ ? RunTransposed(*bottom[0], top[0])
                        : RunOnGpu(*bottom[0], top[0]);
    }
    const Dtype* x = bottom[0]->data(Order::kCaffe, side);
    Dtype* y = top[0]->write_data(Order::kCaffe, side);
    if (rows_ > 0) Run(x, y);
  }

  void Backward(const Blobs& top, const std::vector<bool>& propagate_down,
                const Blobs& bottom) override {
    if (rows_ == 0) return;
    if (this->blobs_.size() > 1 && this->learns(1)) AddBiasGradient(*top[0]);
    Blob<Dtype>* below = propagate_down[0] ? bottom[0] : nullptr;
    if (this->side() == Side::kGpu) {
      return transpose_ ? BackwardTransposed(*top[0], *bottom[0], below)
                        : BackwardOnGpu(*top[0], *bottom[0], below);
    }
    const Dtype* dy = top[0]->diff();
    if (this->learns(0)) AddWeightGradient(dy, bottom[0]->data());
    if (below) MakeDataGradient(dy, below->write_diff());
  }

 private:
  void RunOnGpu(const Blob<Dtype>& bottom, Blob<Dtype>* top) {
    const Side side = Side::kGpu;
    const Order order = Order::kCaffe;
    Epilogue<Dtype> epilogue;
    epilogue.shift = bias_or_null(side);
    Dtype* const workspace = workspace_.Hold(Gpu().ConvolveScratch(shape_));
    WithProducts<Dtype>(side, [&](auto kind) {
      using Value = decltype(kind);
      const GpuKernels<Value> gpu = GpuOf<Value>();
      const Value* x = bottom.template data_of<Value>(order, side);
      const Value* weights = this->template GpuWeights<Value>(order);
      gpu.Convolve(gpu.stream, shape_, x, weights,
                   epilogue.template As<Value>(nullptr), workspace,
                   top->template write_data_of<Value>(order, side));
    });
  }

  void BackwardOnGpu(const Blob<Dtype>& top, const Blob<Dtype>& bottom,
                     Blob<Dtype>* below) {
    const Side side = Side::kGpu;
    const Order order = Order::kCaffe;
    const Blob<Dtype>& weights = *this->blobs_[0];
    WithProducts<Dtype>(side, [&](auto kind) {
      using Value = decltype(kind);
      const GpuKernels<Value> gpu = GpuOf<Value>();
      const Value* dy = top.template diff_of<Value>(order, side);
      if (this->learns(0)) {
        const GpuScratch<Dtype> scratch(
            Gpu().ConvWeightGradientScratch(shape_));
        gpu.ConvWeightGradient(
            gpu.stream, shape_, dy, bottom.template data_of<Value>(order, side),
            scratch.data(), true, this->blobs_[0]->mutable_diff(order, side));
      }
      if (!below) return;
      const GpuScratch<Dtype> scratch(Gpu().ConvDataGradientScratch(shape_));
      gpu.ConvDataGradient(gpu.stream, shape_, dy,
                           weights.template data_of<Value>(order, side),
                           scratch.data(), false,
                           below->template write_diff_of<Value>(order, side));
    });
  }

  // The convolution whose transposition this is with transposed weights: its
  // gradient is forward here, and the other way round.
  ConvShape Transposed() const {
    ConvShape shape = shape_;
    std::swap(shape.channels, shape.num_output);
    return shape;
  }

  void RunTransposed(const Blob<Dtype>& bottom, Blob<Dtype>* top) {
    const Side side = Side::kGpu;
    const Order order = Order::kCaffe;
    const ConvShape shape = Transposed();
    const GpuScratch<Dtype> scratch(Gpu().ConvDataGradientScratch(shape));
    WithProducts<Dtype>(side, [&](auto kind) {
      using Value = decltype(kind);
      const GpuKernels<Value> gpu = GpuOf<Value>();
      const Value* x = bottom.template data_of<Value>(order, side);
      const Value* weights = this->template GpuWeights<Value>(order);
      gpu.ConvDataGradient(gpu.stream, shape, x, weights, scratch.data(), false,
                           top->template write_data_of<Value>(order, side));
    });
    const Dtype* bias = bias_or_null(side);
    if (!bias) return;
    WithValues<Dtype>(side, [&](auto kind) {
      using Value = decltype(kind);
      const GpuKernels<Value> gpu = GpuOf<Value>();
      Value* y = top->storage().template mutable_data_of<Value>(
          order, top->geometry(), side);
      gpu.ScaleShift(gpu.stream, {rows_, shape_.num_output, 1}, nullptr,
                     nullptr, bias, y, y);
    });
  }

  void BackwardTransposed(const Blob<Dtype>& top, const Blob<Dtype>& bottom,
                          Blob<Dtype>* below) {
    const Side side = Side::kGpu;
    const Order order = Order::kCaffe;
    const ConvShape shape = Transposed();
    Blob<Dtype>& weights = *this->blobs_[0];
    WithProducts<Dtype>(side, [&](auto kind) {
      using Value = decltype(kind);
      const GpuKernels<Value> gpu = GpuOf<Value>();
      const Value* dy = top.template diff_of<Value>(order, side);
      if (this->learns(0)) {
        const GpuScratch<Dtype> scratch(Gpu().ConvWeightGradientScratch(shape));
        gpu.ConvWeightGradient(
            gpu.stream, shape, bottom.template data_of<Value>(order, side), dy,
            scratch.data(), true, weights.mutable_diff(order, side));
      }
      if (!below) return;
      const GpuScratch<Dtype> scratch(Gpu().ConvolveScratch(shape));
      gpu.Convolve(
          gpu.stream, shape, dy, weights.template data_of<Value>(order, side),
          Epilogue<Dtype>().template As<Value>(nullptr), scratch.data(),
          below->template write_diff_of<Value>(order, side));
    });
  }

  void AddBiasGradient(const Blob<Dtype>& top) {
    const Side side = this->side();
    const Broadcast outputs = {rows_, shape_.num_output, 1};
    Dtype* db = this->blobs_[1]->mutable_diff(Order::kCaffe, side);
    WithValues<Dtype>(side, [&](auto kind) {
      using Value = decltype(kind);
      const Value* dy = top.template diff_of<Value>(Order::kCaffe, side);
      AddScaleShiftGradients<Value, Dtype>(side, outputs, nullptr, dy, nullptr,
                                           db);
    });
  }

  void AddWeightGradient(const Dtype* dy, const Dtype* x) {
    Dtype* gradient = this->blobs_[0]->mutable_diff();
    if (!transpose_) return gradients().Weights(dy, x, gradient);
    // Turned, added to and turned back.
    const Scratch<Dtype> rows(transposition().count());
    ToChannelsLast(transposition(), gradient, rows.data());
    gradients().Weights(dy, x, rows.data());
    ToCaffeOrder(transposition(), rows.data(), gradient);
  }

  void MakeDataGradient(const Dtype* dy, Dtype* dx) {
    const Dtype* weights = this->blobs_[0]->data();
    if (!transpose_) return gradients().Data(dy, weights, dx);
    const Scratch<Dtype> rows(transposition().count());
    ToChannelsLast(transposition(), weights, rows.data());
    gradients().Data(dy, rows.data(), dx);
  }

  const ConvGradients<Dtype>& gradients() {
    if (!gradients_) gradients_ = ConvGradients<Dtype>::Create(shape_);
    return *gradients_;
  }

  void Make();
  void Run(const Dtype* x, Dtype* y);
  std::shared_ptr<const Dtype> PackedWeights();
  const Dtype* bias_or_null(Side side = Side::kHost) const {
    if (this->blobs_.size() < 2) return nullptr;
    return this->blobs_[1]->data(Order::kCaffe, side);
  }
  // The matrix whose transposition the weights' blob holds.
  Geometry transposition() const {
    return {1, shape_.channels, shape_.num_output};
  }

  int axis_ = 1;
  int64_t rows_ = 0;
  bool transpose_ = false;
  bool made_ = false;
  ConvShape shape_;
  std::shared_ptr<const Conv> conv_;
  std::unique_ptr<const ConvGradients<Dtype>> gradients_;  // when first used
  GpuMemory<Dtype> workspace_;
};

template <>
void InnerProductLayer<float>::Make() {
  conv_ = Conv::Create(shape_);
  made_ = true;
}

template <>
void InnerProductLayer<double>::Make() {
  CheckConvShape(shape_);
  made_ = true;
}

template <>
std::shared_ptr<const float> InnerProductLayer<float>::PackedWeights() {
  const std::shared_ptr<const Conv> conv = conv_;
  const bool transpose = transpose_;
  const Geometry matrix = transposition();
  const auto pack = [=](const float* from, float* to) {
    if (!transpose) return conv->Pack(from, to);
    const Buffer rows(static_cast<size_t>(matrix.count()) * sizeof(float));
    float* weights = static_cast<float*>(rows.data());
    ToChannelsLast(matrix, from, weights);
    conv->Pack(weights, to);
  };
  const auto unpack = [=](const float* from, float* to) {
    if (!transpose) return conv->Unpack(from, to);
    const Buffer rows(static_cast<size_t>(matrix.count()) * sizeof(float));
    float* weights = static_cast<float*>(rows.data());
    conv->Unpack(from, weights);
    ToCaffeOrder(matrix, weights, to);
  };
  return this->blobs_[0]->storage().Packed(
      conv->pack_key() ^ (transpose ? 0x7261707365 : 0), conv->packed_size(),
      pack, unpack, this->phase() == Phase::kTest);
}

template <>
void InnerProductLayer<float>::Run(const float* x, float* y) {
  ConvEpilogue epilogue;
  epilogue.shift = bias_or_null();
  const Scratch<float> workspace(conv_->workspace_size());
  const std::shared_ptr<const float> weights = PackedWeights();
  conv_->Run(x, weights.get(), epilogue, y, workspace.data());
}

template <>
void InnerProductLayer<double>::Run(const double* x, double* y) {
  const double* weights = this->blobs_[0]->data();
  const Scratch<double> rows(transpose_ ? transposition().count() : 0);
  if (transpose_) {
    ToChannelsLast(transposition(), weights, rows.data());
    weights = rows.data();
  }
  const std::vector<int64_t> axes = {shape_.axes[0].in};
  ConvReference(shape_, BlobStrides::ChannelsLast(shape_.channels, axes), x,
                weights, BlobStrides::ChannelsLast(shape_.num_output, axes), y);
  if (!bias_or_null()) return;
  ScaleShift<double>({axes[0], shape_.num_output, 1}, nullptr, nullptr,
                     bias_or_null(), y, y);
}

P3D_REGISTER_LAYER(InnerProduct, InnerProductLayer);

}  // namespace p3d
