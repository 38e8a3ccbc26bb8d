#include "engine/layer.hpp"

namespace p3d {

// Silence: takes bottoms and gives nothing, so that they are no outputs of the
// net.
template <typename Dtype>
class SilenceLayer : public Layer<Dtype> {
 public:
  using Layer<Dtype>::Layer;
  using typename Layer<Dtype>::Blobs;

  BlobCounts counts() const override { return {1, -1, 0, 0, false}; }
  // Nothing is as well done there.
  bool HasGpu() const override { return true; }
  bool Replayable() const override { return true; }
  void Reshape(const Blobs&, const Blobs&) override {}
  void Forward(const Blobs&, const Blobs&) override {}
  bool Differentiable(int) const override { return false; }
};

P3D_REGISTER_LAYER(Silence, SilenceLayer);

}  // namespace p3d
