#include "engine/layers/neuron_layer.hpp"
#include "kernels/pointwise.hpp"

namespace p3d {

// ReLU: top = max(bottom, 0) + negative_slope * min(bottom, 0).
template <typename Dtype>
class ReLULayer : public NeuronLayer<Dtype> {
 public:
  using NeuronLayer<Dtype>::NeuronLayer;
  using typename NeuronLayer<Dtype>::Blobs;

  Role role() const override {
    return negative_slope_ == 0 ? Role::kRelu : Role::kOpaque;
  }

  void Forward(const Blobs& bottom, const Blobs& top) override {
    if (SlopeNeedsInput()) return NeuronLayer<Dtype>::Forward(bottom, top);
    WithValues<Dtype>(this->side(),
                      [&](auto kind) { ForwardAs(kind, bottom, top); });
  }
  void Backward(const Blobs& top, const std::vector<bool>& propagate_down,
                const Blobs& bottom) override {
    if (SlopeNeedsInput() || !propagate_down[0]) {
      return NeuronLayer<Dtype>::Backward(top, propagate_down, bottom);
    }
    WithValues<Dtype>(this->side(),
                      [&](auto kind) { BackwardAs(kind, top, bottom); });
  }

  void LayerSetUp(const Blobs&, const Blobs&) override {
    negative_slope_ = this->Number("relu_param", "negative_slope");
  }

 protected:
  void Map(const Dtype* x, int64_t count, Dtype* y) const override {
    RunOn<Dtype>(this->side(), Relu<Dtype>, &cuda::Kernels<Dtype>::Relu, x,
                 count, negative_slope_, y);
  }
  void MapBackward(const Dtype* x, const Dtype*, const Dtype* dy, int64_t count,
                   Dtype* dx) const override {
    RunOn<Dtype>(this->side(), ReluBackward<Dtype>,
                 &cuda::Kernels<Dtype>::ReluBackward, x, dy, count,
                 negative_slope_, dx);
  }
  bool SlopeNeedsInput() const override { return negative_slope_ < 0; }

 private:
  void ForwardAs(Dtype, const Blobs& bottom, const Blobs& top) {
    NeuronLayer<Dtype>::Forward(bottom, top);
  }
  void BackwardAs(Dtype, const Blobs& top, const Blobs& bottom) {
    NeuronLayer<Dtype>::Backward(top, {true}, bottom);
  }
  // Of 16 bits, on the GPU.
  template <typename Value>
  void ForwardAs(Value, const Blobs& bottom, const Blobs& top) {
    const Side side = Side::kGpu;
    const Order order = Order::kChannelsLast;
    const GpuKernels<Value> gpu = GpuOf<Value>();
    const Value* x = bottom[0]->template data_of<Value>(order, side);
    gpu.Relu(gpu.stream, x, top[0]->count(), negative_slope_,
             top[0]->template write_data_of<Value>(order, side));
  }
  template <typename Value>
  void BackwardAs(Value, const Blobs& top, const Blobs& bottom) {
    const Side side = Side::kGpu;
    const Order order = Order::kChannelsLast;
    const GpuKernels<Value> gpu = GpuOf<Value>();
    const Value* y = top[0]->template data_of<Value>(order, side);
    const Value* dy = top[0]->template diff_of<Value>(order, side);
    gpu.ReluBackward(gpu.stream, y, dy, top[0]->count(), negative_slope_,
                     bottom[0]->template write_diff_of<Value>(order, side));
  }

  Dtype negative_slope_ = 0;
};

P3D_REGISTER_LAYER(ReLU, ReLULayer);

}  // namespace p3d
