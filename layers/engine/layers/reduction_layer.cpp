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
    const Fields& param = this->Param("reduction_param");
    const std::string& operation = param.Str("operation");
    Dtype factor = static_cast<Dtype>(param.Float("coeff"));
    if (operation == "MEAN") factor /= bottom[0]->count(axis_);
    const Reduction reduction = operation == "ASUM"    ? Reduction::kAbsSum
                                : operation == "SUMSQ" ? Reduction::kSquareSum
                                                       : Reduction::kSum;
    const Dtype* x = bottom[0]->data();
    ReduceRows(reduction, bottom[0]->count(0, axis_), bottom[0]->count(axis_),
               x, factor, top[0]->write_data());
  }

 private:
  int axis_ = 0;
};

P3D_REGISTER_LAYER(Reduction, ReductionLayer);

}  // namespace p3d
