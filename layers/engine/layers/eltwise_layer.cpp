#include "engine/layer.hpp"
#include "kernels/eltwise.hpp"

namespace p3d {

// Eltwise: bottoms of one shape joined value by value: SUM (with one
// coefficient per bottom, 1 by default), PROD or MAX.
template <typename Dtype>
class EltwiseLayer : public Layer<Dtype> {
 public:
  using Layer<Dtype>::Layer;
  using typename Layer<Dtype>::Blobs;

  BlobCounts counts() const override { return {2, -1, 1, 1, false}; }
  Role role() const override {
    return operation_ == "SUM" ? Role::kSum : Role::kOpaque;
  }
  bool HasGpu() const override { return coefficients_.size() <= 16; }
  bool Replayable() const override { return true; }
  std::vector<float> Coefficients(int) const override { return coefficients_; }

  void LayerSetUp(const Blobs& bottom, const Blobs&) override {
    const Fields& param = this->Param("eltwise_param");
    operation_ = param.Str("operation");
    const std::vector<double> given = param.Floats("coeff");
    Check(given.empty() || operation_ == "SUM",
          "takes coefficients for operation SUM only, not for ", operation_);
    Check(given.empty() || given.size() == bottom.size(), "is given ",
          given.size(), " coefficients for ", bottom.size(),
          " bottoms; give one per bottom or none");
    coefficients_.assign(bottom.size(), 1.f);
    for (size_t i = 0; i < given.size(); ++i) {
      coefficients_[i] = static_cast<float>(given[i]);
    }
  }

  void Reshape(const Blobs& bottom, const Blobs& top) override {
    for (size_t i = 1; i < bottom.size(); ++i) {
      Check(bottom[i]->shape() == bottom[0]->shape(),
            "needs bottoms of one shape; bottom 0 is ",
            ShapeString(bottom[0]->shape()), ", bottom ", i, " is ",
            ShapeString(bottom[i]->shape()));
    }
    top[0]->ReshapeLike(*bottom[0]);
  }

  void Forward(const Blobs& bottom, const Blobs& top) override {
    const Side side = this->side();
    WithValues<Dtype>(side, [&](auto kind) {
      using Value = decltype(kind);
      using Kernels = cuda::Kernels<Value>;
      const Order order = OrderOf<Value>(bottom[0]->order(side));
      std::vector<const Value*> values;
      for (Blob<Dtype>* blob : bottom) {
        values.push_back(blob->template data_of<Value>(order, side));
      }
      Value* y = top[0]->template write_data_of<Value>(order, side);
      const int64_t count = top[0]->count();
      if (operation_ == "SUM") {
        Sum(values, coefficients_, count, y);
      } else if (operation_ == "PROD") {
        RunOn<Value>(side, EltwiseProd<Dtype>, &Kernels::EltwiseProd, values,
                     count, y);
      } else {
        RunOn<Value>(side, EltwiseMax<Dtype>, &Kernels::EltwiseMax, values,
                     count, y);
      }
    });
  }

  void Backward(const Blobs& top, const std::vector<bool>& propagate_down,
                const Blobs& bottom) override {
    WithValues<Dtype>(this->side(), [&](auto kind) {
      BackwardAs(kind, top, propagate_down, bottom);
    });
  }

 private:
  template <typename Value>
  void BackwardAs(Value, const Blobs& top,
                  const std::vector<bool>& propagate_down,
                  const Blobs& bottom) {
    using Kernels = cuda::Kernels<Value>;
    const Side side = this->side();
    const Order order = OrderOf<Value>(top[0]->diff_order(side));
    const Value* dy = top[0]->template diff_of<Value>(order, side);
    const int64_t count = top[0]->count();
    std::vector<const Value*> values;
    for (size_t i = 0; i < bottom.size() && operation_ != "SUM"; ++i) {
      values.push_back(bottom[i]->template data_of<Value>(order, side));
    }
    for (size_t i = 0; i < bottom.size(); ++i) {
      if (!propagate_down[i]) continue;
      Value* dx = bottom[i]->template write_diff_of<Value>(order, side);
      if (operation_ == "SUM") {
        Sum<Value>({dy}, {coefficients_[i]}, count, dx);
      } else if (operation_ == "PROD") {
        RunOn<Value>(side, EltwiseProdBackward<Dtype>,
                     &Kernels::EltwiseProdBackward, values, i, dy, count, dx);
      } else {
        RunOn<Value>(side, EltwiseMaxBackward<Dtype>,
                     &Kernels::EltwiseMaxBackward, values, i, dy, count, dx);
      }
    }
  }

  template <typename Value>
  void Sum(const std::vector<const Value*>& values,
           const std::vector<float>& coefficients, int64_t count, Value* y) {
    RunOn<Value>(this->side(), EltwiseSum<Dtype>,
                 &cuda::Kernels<Value>::EltwiseSum, values, coefficients, count,
                 y);
  }

  std::string operation_;
  std::vector<float> coefficients_;
};

P3D_REGISTER_LAYER(Eltwise, EltwiseLayer);

}  // namespace p3d
