#include "engine/layers/pool_layer.hpp"

#include <algorithm>

#include "kernels/pool_bf16.hpp"
#include "kernels/random.hpp"

namespace p3d {
namespace {

// One of kernel, stride and pad for every axis; `rest` for those before h and w
// where a pair is given.
std::vector<int64_t> ReadPerAxis(const Fields& fields,
                                 const std::string& single,
                                 const std::string& pair, int64_t rest,
                                 size_t count) {
  const std::string h = pair + "_h", w = pair + "_w";
  if (!fields.Has(h) && !fields.Has(w)) {
    return std::vector<int64_t>(count, fields.Int(single));
  }
  Check(fields.Has(h) && fields.Has(w) && !fields.Has(single), "give either ",
        single, " or both ", h, " and ", w);
  Check(count >= 2, h, " and ", w, " need two spatial axes; use ", single);
  std::vector<int64_t> values(count, rest);
  values[count - 2] = fields.Int(h);
  values[count - 1] = fields.Int(w);
  return values;
}

void CheckGlobal(const std::vector<PoolAxis>& windows) {
  for (const PoolAxis& window : windows) {
    Check(window.pad == 0 && window.stride == 1,
          "global_pooling takes neither pad nor stride");
  }
}

void MaxPoolBf16(const PoolShape& shape, const Blob<float>& bottom,
                 Blob<float>* top) {
  const Order order = Order::kChannelsLast;
  const Bf16* x = bottom.data_of<Bf16>(order, Side::kHost);
  Bf16* y = top->write_data_of<Bf16>(order, Side::kHost);
  MaxPoolBf16(shape, x, y);
}
void MaxPoolBf16(const PoolShape&, const Blob<double>&, Blob<double>*) {
  Fail("doubles are not rounded to 16 bits");
}

}  // namespace

std::vector<PoolAxis> ReadPoolWindows(const Fields& fields, size_t count) {
  const bool kernel_pair = fields.Has("kernel_h") || fields.Has("kernel_w");
  const bool given = kernel_pair || fields.Has("kernel_size");
  const bool global = fields.Bool("global_pooling");
  Check(!global || !given,
        "global_pooling takes no kernel size; leave out one of them");
  Check(global || given,
        "the window's size is missing: give kernel_size or kernel_h and "
        "kernel_w");
  std::vector<PoolAxis> windows(count);
  const auto strides = ReadPerAxis(fields, "stride", "stride", 1, count);
  const auto pads = ReadPerAxis(fields, "pad", "pad", 0, count);
  std::vector<int64_t> kernels(count, 0);
  if (given) kernels = ReadPerAxis(fields, "kernel_size", "kernel", 1, count);
  for (size_t i = 0; i < count; ++i) {
    windows[i].kernel = kernels[i];
    if (kernel_pair && i + 2 < count) continue;
    windows[i].stride = strides[i];
    windows[i].pad = pads[i];
  }
  if (global) CheckGlobal(windows);
  return windows;
}

template <typename Dtype>
void PoolLayer<Dtype>::LayerSetUp(const Blobs& bottom, const Blobs& top) {
  this->CheckNotInPlace(bottom, top);
  const Fields& param = fields();
  Check(bottom[0]->num_axes() >= 3, "needs at least one axis behind the ",
        "channels; the bottom's shape is ", ShapeString(bottom[0]->shape()));
  windows_ = Windows(bottom[0]->num_axes() - 2);
  method_ = param.Str("pool");
  global_ = param.Bool("global_pooling");
  if (param.Str("round_mode") == "FLOOR") rounding_ = PoolRounding::kFloor;
  Check(top.size() == 1 || method_ == "MAX",
        "has a second top (the places of the maxima) for pool: MAX only");
  for (const PoolAxis& window : windows_) {
    Check(global_ || (window.kernel > 0 && window.stride > 0),
          "kernel and stride of the window have to be at least 1, not ",
          window.kernel, " and ", window.stride);
    Check(window.pad == 0 || method_ != "STOCHASTIC",
          "cannot pad for pool: STOCHASTIC");
  }
}

template <typename Dtype>
void PoolLayer<Dtype>::Reshape(const Blobs& bottom, const Blobs& top) {
  const Shape& in = bottom[0]->shape();
  Check(in.size() == windows_.size() + 2,
        "the bottom's number of axes may not change: it was ",
        windows_.size() + 2, ", the shape now is ", ShapeString(in));
  shape_.num = in[0];
  shape_.channels = in[1];
  shape_.axes = windows_;
  for (size_t i = 0; i < windows_.size(); ++i) {
    shape_.axes[i].in = in[i + 2];
    if (global_) shape_.axes[i].kernel = in[i + 2];
  }
  SetPoolOutputs(rounding_, &shape_);
  Shape out = {in[0], in[1]};
  for (const PoolAxis& axis : shape_.axes) out.push_back(axis.out);
  for (Blob<Dtype>* blob : top) blob->Reshape(out);
}

template <typename Dtype>
void PoolLayer<Dtype>::Forward(const Blobs& bottom, const Blobs& top) {
  const Side side = this->side();
  if (this->needs_backward() && method_ != "AVE") mask_.ReshapeLike(*top[0]);
  if (method_ == "STOCHASTIC") return ForwardStochastic(bottom[0], top[0]);
  const Order order = Order::kChannelsLast;
  Dtype* mask = nullptr;
  if (method_ == "MAX" && top.size() > 1) {
    mask = top[1]->write_data(order, side);
  } else if (method_ == "MAX" && this->needs_backward()) {
    mask = mask_.write_data(order, side);
  }
  // Where there are no others: a maximum needs no more digits than the values
  // have.
  if (method_ == "MAX" && !mask && side == Side::kHost &&
      bottom[0]->storage().narrow(side)) {
    return MaxPoolBf16(shape_, *bottom[0], top[0]);
  }
  WithValues<Dtype>(side, [&](auto kind) {
    using Value = decltype(kind);
    using Kernels = cuda::Kernels<Value>;
    const Value* x = bottom[0]->template data_of<Value>(order, side);
    Value* y = top[0]->template write_data_of<Value>(order, side);
    if (method_ == "MAX") {
      RunOn<Value>(side, MaxPool<Dtype>, &Kernels::MaxPool, shape_, order, x, y,
                   mask);
    } else {
      RunOn<Value>(side, AveragePool<Dtype>, &Kernels::AveragePool, shape_,
                   order, x, y);
    }
  });
  if (mask && top.size() > 1 && this->needs_backward()) {
    mask_.CopyFrom(*top[1], order, side);
  }
}

template <typename Dtype>
void PoolLayer<Dtype>::ForwardStochastic(Blob<Dtype>* bottom,
                                         Blob<Dtype>* top) {
  using Kernels = cuda::Kernels<Dtype>;
  const Side side = this->side();
  const Order order = Order::kChannelsLast;
  const Dtype* x = bottom->data(order, side);
  Dtype* y = top->write_data(order, side);
  if (this->phase() == Phase::kTest) {
    return RunOn<Dtype>(side, StochasticPoolMean<Dtype>,
                        &Kernels::StochasticPoolMean, shape_, order, x, y);
  }
  Dtype* mask =
      this->needs_backward() ? mask_.write_data(order, side) : nullptr;
  RunOn<Dtype>(side, StochasticPool<Dtype>, &Kernels::StochasticPool, shape_,
               order, NextSeed(), x, y, mask);
}

template <typename Dtype>
void PoolLayer<Dtype>::Backward(const Blobs& top,
                                const std::vector<bool>& propagate_down,
                                const Blobs& bottom) {
  if (!propagate_down[0]) return;
  const Side side = this->side();
  const Order order = Order::kChannelsLast;
  WithValues<Dtype>(side, [&](auto kind) {
    using Value = decltype(kind);
    using Kernels = cuda::Kernels<Value>;
    const Value* dy = top[0]->template diff_of<Value>(order, side);
    Value* dx = bottom[0]->template write_diff_of<Value>(order, side);
    if (method_ == "AVE") {
      RunOn<Value>(side, AveragePoolBackward<Dtype>,
                   &Kernels::AveragePoolBackward, shape_, order, dy, dx);
    } else {
      RunOn<Value>(side, MaskedPoolBackward<Dtype>,
                   &Kernels::MaskedPoolBackward, shape_, order,
                   mask_.data(order, side), dy, dx);
    }
  });
}

template class PoolLayer<float>;
template class PoolLayer<double>;

}  // namespace p3d
