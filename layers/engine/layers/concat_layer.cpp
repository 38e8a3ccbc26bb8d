#include "engine/layer.hpp"
#include "engine/layers/parts.hpp"

namespace p3d {

// Concat: the bottoms behind each other along one axis (default 1); their other
// axes agree.
template <typename Dtype>
class ConcatLayer : public Layer<Dtype> {
 public:
  using Layer<Dtype>::Layer;
  using typename Layer<Dtype>::Blobs;

  BlobCounts counts() const override { return {1, -1, 1, 1, false}; }
  Role role() const override {
    return this->spec_.bottom.size() == 1 ? Role::kIdentity : Role::kOpaque;
  }
  bool HasGpu() const override { return true; }
  bool Replayable() const override { return true; }

  void Reshape(const Blobs& bottom, const Blobs& top) override {
    this->CheckNotInPlace(bottom, top);
    axis_ = PartsAxis(this->Param("concat_param"), "concat_dim", *bottom[0]);
    Shape shape = bottom[0]->shape();
    for (size_t i = 1; i < bottom.size(); ++i) {
      Shape expected = bottom[i]->shape();
      Check(expected.size() == shape.size(),
            "needs bottoms with equally many "
            "axes; bottom 0 is ",
            ShapeString(bottom[0]->shape()), ", bottom ", i, " is ",
            ShapeString(expected));
      const int64_t length = expected[axis_];
      expected[axis_] = shape[axis_];
      Check(expected == shape, "needs bottoms that agree in all axes but axis ",
            axis_, "; bottom 0 is ", ShapeString(bottom[0]->shape()),
            ", bottom ", i, " is ", ShapeString(bottom[i]->shape()));
      shape[axis_] += length;
    }
    top[0]->Reshape(shape);
    if (bottom.size() == 1) {
      top[0]->ShareData(*bottom[0]);
      top[0]->ShareDiff(*bottom[0]);
    }
  }

  void Forward(const Blobs& bottom, const Blobs& top) override {
    if (bottom.size() == 1) return;
    JoinParts<Dtype>(bottom, axis_, &Blob<Dtype>::storage, this->side(),
                     *top[0]);
  }

  void Backward(const Blobs& top, const std::vector<bool>& propagate_down,
                const Blobs& bottom) override {
    if (bottom.size() == 1) return;
    CutParts<Dtype>(*top[0], axis_, &Blob<Dtype>::diff_storage, this->side(),
                    propagate_down, bottom);
  }

 private:
  int axis_ = 1;
};

P3D_REGISTER_LAYER(Concat, ConcatLayer);

}  // namespace p3d
