#include "engine/layer.hpp"
#include "engine/layers/parts.hpp"

namespace p3d {

// Slice: the bottom cut along one axis (default 1) into tops: at the slice
// points, or into equal parts.
template <typename Dtype>
class SliceLayer : public Layer<Dtype> {
 public:
  using Layer<Dtype>::Layer;
  using typename Layer<Dtype>::Blobs;

  BlobCounts counts() const override { return {1, 1, 1, -1, false}; }
  Role role() const override {
    return this->spec_.top.size() == 1 ? Role::kIdentity : Role::kOpaque;
  }
  bool HasGpu() const override { return true; }
  bool Replayable() const override { return true; }

  void Reshape(const Blobs& bottom, const Blobs& top) override {
    this->CheckNotInPlace(bottom, top);
    axis_ = PartsAxis(this->Param("slice_param"), "slice_dim", *bottom[0]);
    Shape shape = bottom[0]->shape();
    const std::vector<int64_t> ends =
        Ends(shape[axis_], static_cast<int64_t>(top.size()));
    for (size_t i = 0; i < top.size(); ++i) {
      shape[axis_] = ends[i] - (i == 0 ? 0 : ends[i - 1]);
      top[i]->Reshape(shape);
    }
    if (top.size() == 1) {
      top[0]->ShareData(*bottom[0]);
      top[0]->ShareDiff(*bottom[0]);
    }
  }

  void Forward(const Blobs& bottom, const Blobs& top) override {
    if (top.size() == 1) return;
    const std::vector<bool> all(top.size(), true);
    CutParts<Dtype>(*bottom[0], axis_, &Blob<Dtype>::storage, this->side(), all,
                    top);
  }

  void Backward(const Blobs& top, const std::vector<bool>& propagate_down,
                const Blobs& bottom) override {
    if (top.size() == 1 || !propagate_down[0]) return;
    JoinParts<Dtype>(top, axis_, &Blob<Dtype>::diff_storage, this->side(),
                     *bottom[0]);
  }

 private:
  // Where each top ends along the axis.
  std::vector<int64_t> Ends(int64_t length, int64_t tops) const {
    std::vector<int64_t> ends = this->Param("slice_param").Ints("slice_point");
    if (ends.empty()) {
      Check(length % tops == 0, "cannot cut ", length, " along axis ", axis_,
            " into ", tops, " equal parts; give slice points");
      for (int64_t i = 1; i < tops; ++i) ends.push_back(i * (length / tops));
    } else {
      CheckPoints(ends, length, tops);
    }
    ends.push_back(length);
    return ends;
  }

  void CheckPoints(const std::vector<int64_t>& points, int64_t length,
                   int64_t tops) const {
    Check(static_cast<int64_t>(points.size()) == tops - 1, "is given ",
          points.size(), " slice points for ", tops, " tops; it needs ",
          tops - 1);
    int64_t previous = 0;
    for (int64_t point : points) {
      Check(point > previous && point < length, "slice point ", point,
            " is out of place: they ascend between 0 and the ", length,
            " of axis ", axis_);
      previous = point;
    }
  }

  int axis_ = 1;
};

P3D_REGISTER_LAYER(Slice, SliceLayer);

}  // namespace p3d
