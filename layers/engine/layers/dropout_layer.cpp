#include "engine/layer.hpp"
#include "kernels/random.hpp"

namespace p3d {

// Dropout: TRAIN sets each value to 0 with probability dropout_ratio and
// multiplies the others by 1 / (1 - dropout_ratio); TEST changes nothing. A top
// that is another blob is a copy: layers may work on it in place.
template <typename Dtype>
class DropoutLayer : public Layer<Dtype> {
 public:
  using Layer<Dtype>::Layer;
  using typename Layer<Dtype>::Blobs;

  BlobCounts counts() const override { return BlobCounts::Exactly(1, 1); }
  Role role() const override {
    return identity() ? Role::kIdentity : Role::kOpaque;
  }

  bool HasGpu() const override { return true; }
  bool Replayable() const override { return tests(); }

  void LayerSetUp(const Blobs&, const Blobs&) override {
    ratio_ = this->Param("dropout_param").Float("dropout_ratio");
    Check(ratio_ >= 0 && ratio_ < 1, "dropout_ratio is ", ratio_,
          "; it has to be from 0 to below 1");
  }

  void Reshape(const Blobs& bottom, const Blobs& top) override {
    in_place_ = top[0] == bottom[0];
    if (!in_place_) top[0]->ReshapeLike(*bottom[0]);
  }

  void Forward(const Blobs& bottom, const Blobs& top) override {
    if (identity()) return;
    const Side side = this->side();
    order_ = bottom[0]->order(side);
    if (!tests()) seed_ = NextSeed();
    WithValues<Dtype>(side, [&](auto kind) {
      using Value = decltype(kind);
      if (tests()) {
        return top[0]->template CopyFrom<Value>(*bottom[0], order_, side);
      }
      const Value* x = bottom[0]->template data_of<Value>(order_, side);
      Drop(x, bottom[0]->count(),
           top[0]->template write_data_of<Value>(order_, side));
    });
  }

  void Backward(const Blobs& top, const std::vector<bool>& propagate_down,
                const Blobs& bottom) override {
    if (!propagate_down[0] || identity()) return;
    const Side side = this->side();
    WithValues<Dtype>(side, [&](auto kind) {
      using Value = decltype(kind);
      const Value* dy = top[0]->template diff_of<Value>(order_, side);
      Drop(dy, top[0]->count(),
           bottom[0]->template write_diff_of<Value>(order_, side));
    });
  }

 private:
  bool tests() const { return this->phase() == Phase::kTest; }
  bool identity() const { return tests() && in_place_; }

  template <typename Value>
  void Drop(const Value* from, int64_t count, Value* to) const {
    const double kept = tests() ? 1 : 1 - ratio_;
    RunOn<Value>(this->side(), KeepRandomly<Dtype>,
                 &cuda::Kernels<Value>::KeepRandomly, seed_, kept, 1 / kept,
                 count, from, to);
  }

  double ratio_ = 0;
  bool in_place_ = false;
  // The mask of the last Forward: values are drawn again, in the same order.
  uint64_t seed_ = 0;
  Order order_ = Order::kCaffe;
};

P3D_REGISTER_LAYER(Dropout, DropoutLayer);

}  // namespace p3d
