#include "engine/layer.hpp"
#include "kernels/random.hpp"

namespace p3d {

// Dropout: TRAIN sets each value to 0 with probability dropout_ratio and
// multiplies the others by 1 / (1 - dropout_ratio); TEST changes nothing.
template <typename Dtype>
class DropoutLayer : public Layer<Dtype> {
 public:
  using Layer<Dtype>::Layer;
  using typename Layer<Dtype>::Blobs;

  BlobCounts counts() const override { return BlobCounts::Exactly(1, 1); }
  Role role() const override {
    return this->phase() == Phase::kTest ? Role::kIdentity : Role::kOpaque;
  }

  bool HasGpu() const override { return true; }

  void LayerSetUp(const Blobs&, const Blobs&) override {
    ratio_ = this->Param("dropout_param").Float("dropout_ratio");
    Check(ratio_ >= 0 && ratio_ < 1, "dropout_ratio is ", ratio_,
          "; it has to be from 0 to below 1");
  }

  void Reshape(const Blobs& bottom, const Blobs& top) override {
    if (top[0] == bottom[0]) return;
    top[0]->ReshapeLike(*bottom[0]);
    if (this->phase() == Phase::kTest) {
      top[0]->ShareData(*bottom[0]);
      top[0]->ShareDiff(*bottom[0]);
    }
  }

  void Forward(const Blobs& bottom, const Blobs& top) override {
    if (this->phase() == Phase::kTest) return;
    seed_ = NextSeed();
    const Side side = this->side();
    order_ = bottom[0]->order(side);
    WithValues<Dtype>(side, [&](auto kind) {
      using Value = decltype(kind);
      const Value* x = bottom[0]->template data_of<Value>(order_, side);
      Drop(x, bottom[0]->count(),
           top[0]->template write_data_of<Value>(order_, side));
    });
  }

  void Backward(const Blobs& top, const std::vector<bool>& propagate_down,
                const Blobs& bottom) override {
    if (!propagate_down[0]) return;
    if (this->phase() == Phase::kTest) return;
    const Side side = this->side();
    WithValues<Dtype>(side, [&](auto kind) {
      using Value = decltype(kind);
      const Value* dy = top[0]->template diff_of<Value>(order_, side);
      Drop(dy, top[0]->count(),
           bottom[0]->template write_diff_of<Value>(order_, side));
    });
  }

 private:
  template <typename Value>
  void Drop(const Value* from, int64_t count, Value* to) const {
    RunOn<Value>(this->side(), KeepRandomly<Dtype>,
                 &cuda::Kernels<Value>::KeepRandomly, seed_, 1 - ratio_,
                 1 / (1 - ratio_), count, from, to);
  }

  double ratio_ = 0;
  // The mask of the last Forward: values are drawn again, in the same order.
  uint64_t seed_ = 0;
  Order order_ = Order::kCaffe;
};

P3D_REGISTER_LAYER(Dropout, DropoutLayer);

}  // namespace p3d
