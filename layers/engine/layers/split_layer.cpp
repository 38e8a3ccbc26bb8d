#include "engine/layer.hpp"

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

  void Reshape(const Blobs& bottom, const Blobs& top) override {
    for (Blob<Dtype>* blob : top) {
      blob->ReshapeLike(*bottom[0]);
      blob->ShareData(*bottom[0]);
    }
  }

  void Forward(const Blobs&, const Blobs&) override {}
};

P3D_REGISTER_LAYER(Split, SplitLayer);

}  // namespace p3d
