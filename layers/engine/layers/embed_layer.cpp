#include "engine/filler.hpp"
#include "engine/layer.hpp"
#include "engine/layers/wrong_rows.hpp"
#include "kernels/affine.hpp"
#include "kernels/embed.hpp"

namespace p3d {

// Embed: row bottom[i] of a learned table in place of each value; top has one
// axis more. Blobs: the table (input_dim, num_output), and biases (num_output)
// unless bias_term is false.
template <typename Dtype>
class EmbedLayer : public Layer<Dtype> {
 public:
  using Layer<Dtype>::Layer;
  using typename Layer<Dtype>::Blobs;

  BlobCounts counts() const override { return BlobCounts::Exactly(1, 1); }
  bool HasGpu() const override { return true; }
  bool Replayable() const override { return true; }

  void LayerSetUp(const Blobs& bottom, const Blobs& top) override {
    this->CheckNotInPlace(bottom, top);
    const Fields& param = this->Param("embed_param");
    outputs_ = param.Int("num_output");
    inputs_ = param.Int("input_dim");
    Check(outputs_ > 0 && inputs_ > 0,
          "num_output and input_dim have to be given and at least 1");
    this->blobs_ = {std::make_shared<Blob<Dtype>>(Shape{inputs_, outputs_})};
    Fill(param.Sub("weight_filler"), this->blobs_[0]);
    if (!param.Bool("bias_term")) return;
    this->blobs_.push_back(std::make_shared<Blob<Dtype>>(Shape{outputs_}));
    Fill(param.Sub("bias_filler"), this->blobs_[1]);
  }

  void Reshape(const Blobs& bottom, const Blobs& top) override {
    Shape shape = bottom[0]->shape();
    shape.push_back(outputs_);
    top[0]->Reshape(shape);
  }

  void Forward(const Blobs& bottom, const Blobs& top) override {
    const Side side = this->side();
    const Order order = Order::kCaffe;
    const Dtype* bias =
        this->blobs_.size() > 1 ? this->blobs_[1]->data(order, side) : nullptr;
    const Dtype* weights = this->blobs_[0]->data(order, side);
    const Dtype* x = bottom[0]->data(order, side);
    const int64_t count = bottom[0]->count();
    if (side == Side::kHost) {
      return Embed(count, inputs_, outputs_, x, weights, bias,
                   top[0]->write_data());
    }
    const RowIndex<Dtype> index = EmbedIndex(x, inputs_);
    wrong_.Check(index, count);
    WithValues<Dtype>(side, [&](auto kind) {
      using Value = decltype(kind);
      const GpuKernels<Value> gpu = GpuOf<Value>();
      gpu.Embed(gpu.stream, index, count, outputs_, weights, bias,
                top[0]->template write_data_of<Value>(order, side));
    });
  }
  void Verify() override {
    const cuda::WrongRow wrong = wrong_.Found();
    if (wrong.place >= 0) RefuseEmbedIndex(wrong.value, inputs_);
  }

  void Backward(const Blobs& top, const std::vector<bool>&,
                const Blobs& bottom) override {
    const Side side = this->side();
    const Order order = Order::kCaffe;
    const int64_t count = bottom[0]->count();
    WithValues<Dtype>(side, [&](auto kind) {
      using Value = decltype(kind);
      const Value* dy = top[0]->template diff_of<Value>(order, side);
      if (this->learns(0)) {
        AddTableGradient(side, count, bottom[0]->data(order, side), dy);
      }
      if (this->blobs_.size() > 1 && this->learns(1)) {
        AddScaleShiftGradients<Value, Dtype>(
            side, {count, outputs_, 1}, nullptr, dy, nullptr,
            this->blobs_[1]->mutable_diff(order, side));
      }
    });
  }

  bool Differentiable(int) const override { return false; }

 private:
  template <typename Value>
  void AddTableGradient(Side side, int64_t count, const Dtype* x,
                        const Value* dy) {
    Dtype* gradient = this->blobs_[0]->mutable_diff(Order::kCaffe, side);
    if (side == Side::kHost) {
      return detail::HostCall<kNarrow<Value>>::Run(
          EmbedBackward<Dtype>, count, inputs_, outputs_, x, dy, gradient);
    }
    const GpuKernels<Value> gpu = GpuOf<Value>();
    const GpuScratch<int64_t> scratch(inputs_ + count);
    gpu.EmbedBackward(gpu.stream, EmbedIndex(x, inputs_), count, outputs_, dy,
                      scratch.data(), gradient);
  }

  int64_t inputs_ = 0;
  int64_t outputs_ = 0;
  WrongRows<Dtype> wrong_;
};

P3D_REGISTER_LAYER(Embed, EmbedLayer);

}  // namespace p3d
