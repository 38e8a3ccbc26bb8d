#include <vector>

#include "engine/layer.hpp"
#include "kernels/eltwise.hpp"

namespace p3d {

// Split: every top is the bottom. Nets insert it where a blob has several
// readers, as in Caffe; nothing is copied.
template <typename Dtype>
class SplitLayer : public Layer<Dtype> {
 public:
  using Layer<Dtype>::Layer;
  using typename Layer<Dtype>::Blobs;

  BlobCounts counts() const override { return {1, 1, 1, -1, false}; }
  Role role() const override { return Role::kIdentity; }

  bool HasGpu() const override { return true; }

  void Reshape(const Blobs& bottom, const Blobs& top) override {
    this->CheckNotInPlace(bottom, top);
    for (Blob<Dtype>* blob : top) {
      blob->ReshapeLike(*bottom[0]);
      blob->ShareData(*bottom[0]);
    }
  }

  void Forward(const Blobs&, const Blobs&) override {}

  // A reader that passes no gradient down has left its diff without values.
  void Backward(const Blobs& top, const std::vector<bool>& propagate_down,
                const Blobs& bottom) override {
    if (!propagate_down[0]) return;
    const Side side = this->side();
    WithValues<Dtype>(side, [&](auto kind) {
      using Value = decltype(kind);
      const Order order = OrderOf<Value>(top[0]->diff_order(side));
      std::vector<const Value*> diffs;
      for (const Blob<Dtype>* blob : top) {
        if (!blob->diff_storage().has_values()) continue;
        diffs.push_back(blob->template diff_of<Value>(order, side));
      }
      if (diffs.empty()) {
        diffs.push_back(top[0]->template diff_of<Value>(order, side));
      }
      const std::vector<float> ones(diffs.size(), 1.f);
      RunOn<Value>(side, EltwiseSum<Dtype>, &cuda::Kernels<Value>::EltwiseSum,
                   diffs, ones, bottom[0]->count(),
                   bottom[0]->template write_diff_of<Value>(order, side));
    });
  }
};

P3D_REGISTER_LAYER(Split, SplitLayer);

}  // namespace p3d
