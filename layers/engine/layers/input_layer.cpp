#include "engine/layer.hpp"

namespace p3d {

// Input: tops that the user fills, of the shapes that input_param states (one
// shape per top, or one for all).
template <typename Dtype>
class InputLayer : public Layer<Dtype> {
 public:
  using Layer<Dtype>::Layer;
  using typename Layer<Dtype>::Blobs;

  BlobCounts counts() const override { return {0, 0, 1, -1, false}; }
  bool Source() const override { return true; }

  void LayerSetUp(const Blobs&, const Blobs& top) override {
    const std::vector<Fields>& shapes =
        this->Param("input_param").Subs("shape");
    Check(shapes.size() <= 1 || shapes.size() == top.size(),
          "input_param gives ", shapes.size(), " shapes for ", top.size(),
          " tops; give one per top or one for all");
    for (size_t i = 0; i < top.size() && !shapes.empty(); ++i) {
      top[i]->Reshape(shapes[shapes.size() == 1 ? 0 : i].Ints("dim"));
    }
  }

  void Reshape(const Blobs&, const Blobs&) override {}
  void Forward(const Blobs&, const Blobs&) override {}
};

P3D_REGISTER_LAYER(Input, InputLayer);

}  // namespace p3d
