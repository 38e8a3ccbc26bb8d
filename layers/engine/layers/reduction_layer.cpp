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
  bool HasGpu() const override { return true; }
  bool Replayable() const override { return true; }

  void Reshape(const Blobs& bottom, const Blobs& top) override {
    this->CheckNotInPlace(bottom, top);
    axis_ =
        bottom[0]->CanonicalAxis(this->Param("reduction_param").Int("axis"));
    const Shape& shape = bottom[0]->shape();
    top[0]->Reshape(Shape(shape.begin(), shape.begin() + axis_));
  }

  void Forward(const Blobs& bottom, const Blobs& top) override {
    const Side side = this->side();
    const int64_t rows = bottom[0]->count(0, axis_);
    const int64_t width = bottom[0]->count(axis_);
    WithValues<Dtype>(side, [&](auto kind) {
      using Value = decltype(kind);
      const Order order = OrderFor<Value>(bottom[0]->order(side));
      const Value* x = bottom[0]->template data_of<Value>(order, side);
      Dtype* y = top[0]->write_data(Order::kCaffe, side);
      if (side == Side::kHost) {
        return detail::HostCall<kNarrow<Value>>::Run(ReduceRows<Dtype>,
                                                     reduction(), rows, width,
                                                     x, Factor(*bottom[0]), y);
      }
      const GpuKernels<Value> gpu = GpuOf<Value>();
      const GpuScratch<double> scratch(Gpu().SumsScratchSize({1, rows, width}));
      gpu.ReduceRows(gpu.stream, reduction(), rows, width, x,
                     Factor(*bottom[0]), scratch.data(), y);
    });
  }

  void Backward(const Blobs& top, const std::vector<bool>& propagate_down,
                const Blobs& bottom) override {
    if (!propagate_down[0]) return;
    const Side side = this->side();
    WithValues<Dtype>(side, [&](auto kind) {
      using Value = decltype(kind);
      const Order order = OrderFor<Value>(bottom[0]->order(side));
      const Value* x = bottom[0]->template data_of<Value>(order, side);
      RunOn<Value>(side, ReduceRowsBackward<Dtype>,
                   &cuda::Kernels<Value>::ReduceRowsBackward, reduction(),
                   bottom[0]->count(0, axis_), bottom[0]->count(axis_), x,
                   Factor(*bottom[0]), top[0]->diff(Order::kCaffe, side),
                   bottom[0]->template write_diff_of<Value>(order, side));
    });
  }

 private:
  // Whole images, and the batch, are rows in any order.
  template <typename Value>
  Order OrderFor(Order held) const {
    return axis_ <= 1 ? OrderOf<Value>(held) : Order::kCaffe;
  }
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
