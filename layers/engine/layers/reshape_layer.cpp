#include "engine/layer.hpp"

namespace p3d {

// Reshape: the axes [axis, axis + num_axes) of the bottom (by default all)
// replaced by the sizes of `shape`, of which 0 copies the bottom's size at the
// same place and one -1 stands for what is left. Nothing is copied.
template <typename Dtype>
class ReshapeLayer : public Layer<Dtype> {
 public:
  using Layer<Dtype>::Layer;
  using typename Layer<Dtype>::Blobs;

  BlobCounts counts() const override { return BlobCounts::Exactly(1, 1); }
  Role role() const override { return Role::kIdentity; }

  void LayerSetUp(const Blobs&, const Blobs&) override {
    sizes_ = this->Param("reshape_param").Sub("shape").Ints("dim");
    int inferred = 0;
    for (int64_t size : sizes_) {
      Check(size >= -1 && size <= INT32_MAX, "cannot make an axis of size ",
            size, "; 0 copies the bottom's, -1 stands for what is left");
      inferred += size == -1;
    }
    Check(inferred <= 1, "can infer one -1 only, the shape has ", inferred);
  }

  void Reshape(const Blobs& bottom, const Blobs& top) override {
    this->CheckNotInPlace(bottom, top);
    const Shape shape = TopShape(*bottom[0]);
    // Not of a top that has the bottom's values, which would lose them.
    Check(Blob<Dtype>(shape).count() == bottom[0]->count(),
          "cannot give the bottom, ", ShapeString(bottom[0]->shape()),
          ", the shape ", ShapeString(shape),
          "; sizes 0 and -1 in the prototxt follow the input's size");
    top[0]->Reshape(shape);
    top[0]->ShareData(*bottom[0]);
    top[0]->ShareDiff(*bottom[0]);
  }

  void Forward(const Blobs&, const Blobs&) override {}
  // Nothing to do: the diffs are shared as the data are.
  void Backward(const Blobs&, const std::vector<bool>&, const Blobs&) override {
  }

 private:
  Shape TopShape(const Blob<Dtype>& bottom) const {
    const Fields& param = this->Param("reshape_param");
    const int64_t axes = bottom.num_axes();
    const int64_t axis = param.Int("axis");
    const int64_t begin = axis >= 0 ? axis : axes + axis + 1;
    Check(begin >= 0 && begin <= axes, "axis ", axis,
          " is out of range for a bottom of ", axes, " axes");
    const int64_t num_axes = param.Int("num_axes");
    const int64_t end = num_axes == -1 ? axes : begin + num_axes;
    Check(num_axes >= -1 && end <= axes, "num_axes ", num_axes, " from axis ",
          begin, " on is out of range for a bottom of ", axes, " axes");

    const Shape& from = bottom.shape();
    Shape shape(from.begin(), from.begin() + begin);
    for (size_t i = 0; i < sizes_.size(); ++i) {
      if (sizes_[i] == 0) {
        Check(begin + static_cast<int64_t>(i) < axes, "size ", i,
              " of the new shape is 0, but the bottom has no axis ", begin + i,
              " to copy");
      }
      shape.push_back(sizes_[i] == 0 ? from[begin + i] : sizes_[i]);
    }
    shape.insert(shape.end(), from.begin() + end, from.end());
    for (int64_t& size : shape) {
      if (size == -1) size = Infer(from, shape);
    }
    return shape;
  }

  // What is left for the -1 in `shape`. Empty axes count as 1 on both sides, so
  // that an empty batch can be reshaped like any other.
  static int64_t Infer(const Shape& from, const Shape& shape) {
    int64_t count = 1;
    int64_t known = 1;
    for (int64_t size : from) count *= size == 0 ? 1 : size;
    for (int64_t size : shape) {
      if (size <= 0) continue;
      Check(known <= count / size && count % (known * size) == 0,
            "cannot infer the -1 of the new shape: the bottom, ",
            ShapeString(from), ", does not divide into the other sizes");
      known *= size;
    }
    return count / known;
  }

  std::vector<int64_t> sizes_;
};

P3D_REGISTER_LAYER(Reshape, ReshapeLayer);

}  // namespace p3d
