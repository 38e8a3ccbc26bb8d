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
    const Order order = bottom[0]->order(side);
    std::vector<const Dtype*> values;
    for (Blob<Dtype>* blob : bottom) values.push_back(blob->data(order, side));
    Dtype* y = top[0]->write_data(order, side);
    const int64_t count = top[0]->count();
    if (operation_ == "SUM") {
      Sum(values, coefficients_, count, y);
    } else if (operation_ == "PROD") {
      RunOn<Dtype>(side, EltwiseProd<Dtype>, &Kernels::EltwiseProd, values,
                   count, y);
    } else {
      RunOn<Dtype>(side, EltwiseMax<Dtype>, &Kernels::EltwiseMax, values, count,
                   y);
    }
  }

  void Backward(const Blobs& top, const std::vector<bool>& propagate_down,
                const Blobs& bottom) override {
    const Side side = this->side();
    const Order order = top[0]->diff_order(side);
    const Dtype* dy = top[0]->diff(order, side);
    const int64_t count = top[0]->count();
    std::vector<const Dtype*> values;
    for (size_t i = 0; i < bottom.size() && operation_ != "SUM"; ++i) {
      values.push_back(bottom[i]->data(order, side));
    }
    for (size_t i = 0; i < bottom.size(); ++i) {
      if (!propagate_down[i]) continue;
      Dtype* dx = bottom[i]->write_diff(order, side);
      if (operation_ == "SUM") {
        Sum({dy}, {coefficients_[i]}, count, dx);
      } else if (operation_ == "PROD") {
        RunOn<Dtype>(side, EltwiseProdBackward<Dtype>,
                     &Kernels::EltwiseProdBackward, values, i, dy, count, dx);
      } else {
        RunOn<Dtype>(side, EltwiseMaxBackward<Dtype>,
                     &Kernels::EltwiseMaxBackward, values, i, dy, count, dx);
      }
    }
  }

 private:
  using Kernels = cuda::Kernels<Dtype>;

  void Sum(const std::vector<const Dtype*>& values,
           const std::vector<float>& coefficients, int64_t count, Dtype* y) {
    RunOn<Dtype>(this->side(), EltwiseSum<Dtype>, &Kernels::EltwiseSum, values,
                 coefficients, count, y);
  }

  std::string operation_;
  std::vector<float> coefficients_;
};

P3D_REGISTER_LAYER(Eltwise, EltwiseLayer);

}  // namespace p3d
