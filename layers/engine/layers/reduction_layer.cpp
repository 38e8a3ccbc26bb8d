#include "engine/layer.hpp"
#include "kernels/reduction.hpp"

namespace p3d {

// Reduction: the axes from `axis` (default 0) on become one number: `coeff`
// times their SUM, ASUM (of absolute values), SUMSQ (of squares) or MEAN.
template <typename Dtype>
class ReductionLayer : public Layer<Dtype> {
 public:
  using Layer<Dtype>::Layer;
  using typename Layer<Dtype>::Blobs;

  BlobCounts counts() const override { return BlobCounts::Exactly(1, 1); }

  void Reshape(const Blobs& bottom, const Blobs& top) override {
    this->CheckNotInPlace(bottom, top);
    axis_ =
        bottom[0]->CanonicalAxis(this->Param("reduction_param").Int("axis"));
    const Shape& shape = bottom[0]->shape();
    top[0]->Reshape(Shape(shape.begin(), shape.begin() + axis_));
  }

  void Forward(const Blobs& bottom, const Blobs& top) override {
    const Dtype* x = bottom[0]->data();
    ReduceRows(reduction(), bottom[0]->count(0, axis_), bottom[0]->count(axis_),
               x, Factor(*bottom[0]), top[0]->write_data());
  }

  void Backward(const Blobs& top, const std::vector<bool>& propagate_down,
                const Blobs& bottom) override {
    if (!propagate_down[0]) return;
    ReduceRowsBackward(reduction(), bottom[0]->count(0, axis_),
                       bottom[0]->count(axis_), bottom[0]->data(),
                       Factor(*bottom[0]), top[0]->diff(),
                       bottom[0]->write_diff());
  }

 private:
  Reduction reduction() const {
    const std::string& name = this->Param("reduction_param").Str("operation");
    return name == "ASUM"    ? Reduction::kAbsSum
           : name == "SUMSQ" ? Reduction::kSquareSum
                             : Reduction::kSum;
  }
  Dtype Factor(const Blob<Dtype>& bottom) const {
    const Fields& param = this->Param("reduction_param");
    const Dtype factor = static_cast<Dtype>(param.Float("coeff"));
    return param.Str("operation") == "MEAN" ? factor / bottom.count(axis_)
                                            : factor;
  }

  int axis_ = 0;
};

P3D_REGISTER_LAYER(Reduction, ReductionLayer);

}  // namespace p3d
