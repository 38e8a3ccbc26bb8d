#include "engine/layer.hpp"

namespace p3d {

// Flatten: the axes from `axis` (default 1) to `end_axis` (default the last),
// both included, become one; where end_axis is the axis before, there is none
// of them, and an axis of size 1 comes in. Nothing is copied.
template <typename Dtype>
class FlattenLayer : public Layer<Dtype> {
 public:
  using Layer<Dtype>::Layer;
  using typename Layer<Dtype>::Blobs;

  BlobCounts counts() const override { return BlobCounts::Exactly(1, 1); }
  Role role() const override { return Role::kIdentity; }

  void Reshape(const Blobs& bottom, const Blobs& top) override {
    this->CheckNotInPlace(bottom, top);
    const Fields& param = this->Param("flatten_param");
    const int begin = bottom[0]->CanonicalAxis(param.Int("axis"));
    const int end = bottom[0]->CanonicalAxis(param.Int("end_axis")) + 1;
    Check(begin <= end, "axis ", begin, " lies behind end_axis ", end - 1);
    const Shape& from = bottom[0]->shape();
    Shape shape(from.begin(), from.begin() + begin);
    shape.push_back(bottom[0]->count(begin, end));
    shape.insert(shape.end(), from.begin() + end, from.end());
    top[0]->Reshape(shape);
    top[0]->ShareData(*bottom[0]);
    top[0]->ShareDiff(*bottom[0]);
  }

  void Forward(const Blobs&, const Blobs&) override {}
  // Nothing to do: the diffs are shared as the data are.
  void Backward(const Blobs&, const std::vector<bool>&, const Blobs&) override {
  }
};

P3D_REGISTER_LAYER(Flatten, FlattenLayer);

}  // namespace p3d
