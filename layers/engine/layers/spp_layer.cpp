#include <vector>

#include "engine/layer.hpp"
#include "kernels/copy_rows.hpp"
#include "kernels/eltwise.hpp"
#include "kernels/pool.hpp"
#include "kernels/random.hpp"
#include "kernels/scratch.hpp"

namespace p3d {

// SPP, spatial pyramid pooling: level i divides every spatial axis into 2^i
// windows of ceil(size / 2^i), padded where that does not fit. top is (N, all
// levels' channels and windows); with one level (N, C, 1...). Any number of
// spatial axes.
template <typename Dtype>
class SPPLayer : public Layer<Dtype> {
 public:
  using Layer<Dtype>::Layer;
  using typename Layer<Dtype>::Blobs;

  BlobCounts counts() const override { return BlobCounts::Exactly(1, 1); }

  void LayerSetUp(const Blobs& bottom, const Blobs& top) override {
    this->CheckNotInPlace(bottom, top);
    const Fields& param = this->Param("spp_param");
    method_ = param.Str("pool");
    levels_ = param.Int("pyramid_height");
    Check(levels_ >= 1, "pyramid_height has to be given and at least 1");
  }

  void Reshape(const Blobs& bottom, const Blobs& top) override {
    const Shape& in = bottom[0]->shape();
    Check(
        in.size() >= 3 && bottom[0]->count() > 0,
        "needs values and an axis behind the channels; the bottom's shape is ",
        ShapeString(in));
    shapes_.clear();
    int64_t features = 0;
    for (int64_t level = 0; level < levels_; ++level) {
      shapes_.push_back(Level(in, level));
      features += in[1] * shapes_.back().out_pixels();
    }
    Shape out = {in[0], features};
    if (levels_ == 1) {
      out[1] = in[1];
      out.resize(in.size(), 1);
    }
    top[0]->Reshape(out);
  }

  void Forward(const Blobs& bottom, const Blobs& top) override {
    const Dtype* x = bottom[0]->data();
    Dtype* y = top[0]->write_data();
    const int64_t features = top[0]->count() / shapes_[0].num;
    masks_.resize(shapes_.size());
    for (size_t i = 0; i < shapes_.size(); ++i) {
      const int64_t width = Width(shapes_[i]);
      const Scratch<Dtype> values(shapes_[i].num * width);
      masks_[i].Reshape({shapes_[i].num, width});
      Pool(shapes_[i], x, values.data(), &masks_[i]);
      CopyRows<Dtype>(shapes_[i].num, width, {values.data(), width},
                      {y, features});
      y += width;
    }
  }

  void Backward(const Blobs& top, const std::vector<bool>& propagate_down,
                const Blobs& bottom) override {
    if (!propagate_down[0]) return;
    const Dtype* dy = top[0]->diff();
    Dtype* dx = bottom[0]->write_diff();
    const int64_t count = bottom[0]->count();
    const int64_t features = top[0]->count() / shapes_[0].num;
    const Scratch<Dtype> part(count);
    for (size_t i = 0; i < shapes_.size(); ++i) {
      const int64_t width = Width(shapes_[i]);
      const Scratch<Dtype> values(shapes_[i].num * width);
      CopyRows<Dtype>(shapes_[i].num, width, {dy, features},
                      {values.data(), width});
      Unpool(shapes_[i], masks_[i], values.data(), i == 0 ? dx : part.data());
      if (i > 0) EltwiseSum<Dtype>({dx, part.data()}, {1.f, 1.f}, count, dx);
      dy += width;
    }
  }

  // Not through STOCHASTIC's expectation.
  bool Differentiable(int) const override {
    return method_ != "STOCHASTIC" || this->phase() == Phase::kTrain;
  }

 private:
  static int64_t Width(const PoolShape& shape) {
    return shape.channels * shape.out_pixels();
  }

  PoolShape Level(const Shape& in, int64_t level) const {
    PoolShape shape;
    shape.num = in[0];
    shape.channels = in[1];
    const int64_t bins = int64_t{1} << std::min<int64_t>(level, 31);
    for (size_t i = 2; i < in.size(); ++i) {
      PoolAxis axis;
      axis.in = in[i];
      axis.kernel = axis.stride = (in[i] + bins - 1) / bins;
      axis.pad = (axis.kernel * bins - in[i] + 1) / 2;
      Check(axis.pad < axis.kernel, "level ", level, " of the pyramid divides ",
            in[i], " elements into ", bins,
            " windows, some of which are empty: use a smaller pyramid_height "
            "or a larger input");
      Check(axis.pad == 0 || method_ != "STOCHASTIC", "cannot divide ", in[i],
            " elements into ", bins, " equal windows for pool: STOCHASTIC");
      shape.axes.push_back(axis);
    }
    SetPoolOutputs(PoolRounding::kCeil, &shape);
    return shape;
  }

  void Pool(const PoolShape& shape, const Dtype* x, Dtype* y,
            Blob<Dtype>* places) const {
    const Order order = Order::kCaffe;
    Dtype* mask = this->needs_backward() && method_ != "AVE"
                      ? places->write_data()
                      : nullptr;
    if (method_ == "MAX") {
      MaxPool(shape, order, x, y, mask);
    } else if (method_ == "AVE") {
      AveragePool(shape, order, x, y);
    } else if (this->phase() == Phase::kTest) {
      StochasticPoolMean(shape, order, x, y);
    } else {
      StochasticPool(shape, order, NextSeed(), x, y, mask);
    }
  }

  void Unpool(const PoolShape& shape, const Blob<Dtype>& places,
              const Dtype* dy, Dtype* dx) const {
    if (method_ == "AVE") {
      AveragePoolBackward(shape, Order::kCaffe, dy, dx);
    } else {
      MaskedPoolBackward(shape, Order::kCaffe, places.data(), dy, dx);
    }
  }

  std::string method_;
  int64_t levels_ = 0;
  std::vector<PoolShape> shapes_;
  std::vector<Blob<Dtype>> masks_;  // of the last Forward
};

P3D_REGISTER_LAYER(SPP, SPPLayer);

}  // namespace p3d
