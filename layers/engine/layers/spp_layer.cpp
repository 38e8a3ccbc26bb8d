#include <vector>

#include "engine/layer.hpp"
#include "kernels/copy_rows.hpp"
#include "kernels/eltwise.hpp"
#include "kernels/pool.hpp"
#include "kernels/random.hpp"
#include "kernels/scratch.hpp"

namespace p3d {
namespace {

constexpr Order kOrder = Order::kCaffe;

}  // namespace

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
  bool HasGpu() const override {
    return shapes_.empty() || shapes_[0].axes.size() <= 3;
  }
  // STOCHASTIC in training draws.
  bool Replayable() const override {
    return method_ != "STOCHASTIC" || this->phase() == Phase::kTest;
  }

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
    const Side side = this->side();
    WithPooled(side, [&](auto kind) {
      using Value = decltype(kind);
      if (side == Side::kHost) {
        PoolLevels<Scratch, Value>(side, *bottom[0], top[0]);
      } else {
        PoolLevels<GpuScratch, Value>(side, *bottom[0], top[0]);
      }
    });
  }

  void Backward(const Blobs& top, const std::vector<bool>& propagate_down,
                const Blobs& bottom) override {
    if (!propagate_down[0]) return;
    const Side side = this->side();
    WithPooled(side, [&](auto kind) {
      using Value = decltype(kind);
      if (side == Side::kHost) {
        UnpoolLevels<Scratch, Value>(side, *top[0], bottom[0]);
      } else {
        UnpoolLevels<GpuScratch, Value>(side, *top[0], bottom[0]);
      }
    });
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

  // Only Dtypes are drawn of.
  template <typename Body>
  void WithPooled(Side side, const Body& body) const {
    if (method_ == "STOCHASTIC") return body(Dtype());
    WithValues<Dtype>(side, body);
  }

  template <template <typename> class Memory, typename Value>
  void PoolLevels(Side side, const Blob<Dtype>& bottom, Blob<Dtype>* top) {
    const Value* x = bottom.template data_of<Value>(kOrder, side);
    Value* y = top->template write_data_of<Value>(kOrder, side);
    const int64_t features = top->count() / shapes_[0].num;
    masks_.resize(shapes_.size());
    for (size_t i = 0; i < shapes_.size(); ++i) {
      const int64_t width = Width(shapes_[i]);
      const Memory<Value> values(shapes_[i].num * width);
      masks_[i].Reshape({shapes_[i].num, width});
      Dtype* mask = nullptr;
      if (this->needs_backward() && method_ != "AVE")
        mask = masks_[i].write_data(kOrder, side);
      Pool(side, shapes_[i], x, values.data(), mask);
      Copy<Value>(side, shapes_[i].num, width, {values.data(), width},
                  {y, features});
      y += width;
    }
  }

  template <template <typename> class Memory, typename Value>
  void UnpoolLevels(Side side, const Blob<Dtype>& top, Blob<Dtype>* bottom) {
    const Value* dy = top.template diff_of<Value>(kOrder, side);
    Value* dx = bottom->template write_diff_of<Value>(kOrder, side);
    const int64_t count = bottom->count();
    const int64_t features = top.count() / shapes_[0].num;
    const Memory<Value> part(count);
    for (size_t i = 0; i < shapes_.size(); ++i) {
      const int64_t width = Width(shapes_[i]);
      const Memory<Value> values(shapes_[i].num * width);
      Copy<Value>(side, shapes_[i].num, width, {dy, features},
                  {values.data(), width});
      const Value* level = values.data();
      Unpool(side, shapes_[i], masks_[i], level, i == 0 ? dx : part.data());
      if (i > 0) {
        const std::vector<const Value*> parts = {dx, part.data()};
        RunOn<Value>(side, EltwiseSum<Dtype>, &cuda::Kernels<Value>::EltwiseSum,
                     parts, std::vector<float>{1.f, 1.f}, count, dx);
      }
      dy += width;
    }
  }

  template <typename Value>
  static void Copy(Side side, int64_t rows, int64_t width,
                   Rows<const Value> from, Rows<Value> to) {
    RunOn<Value>(side, CopyRows<Dtype>, &cuda::Kernels<Value>::CopyRows, rows,
                 width, from, to);
  }

  template <typename Value>
  void Pool(Side side, const PoolShape& shape, const Value* x, Value* y,
            Dtype* mask) const {
    using Kernels = cuda::Kernels<Value>;
    if (method_ == "MAX") {
      RunOn<Value>(side, MaxPool<Dtype>, &Kernels::MaxPool, shape, kOrder, x, y,
                   mask);
    } else if (method_ == "AVE") {
      RunOn<Value>(side, AveragePool<Dtype>, &Kernels::AveragePool, shape,
                   kOrder, x, y);
    } else {
      PoolStochastic(side, shape, x, y, mask);
    }
  }

  void PoolStochastic(Side side, const PoolShape& shape, const Dtype* x,
                      Dtype* y, Dtype* mask) const {
    using Kernels = cuda::Kernels<Dtype>;
    if (this->phase() == Phase::kTest) {
      RunOn<Dtype>(side, StochasticPoolMean<Dtype>,
                   &Kernels::StochasticPoolMean, shape, kOrder, x, y);
    } else {
      RunOn<Dtype>(side, StochasticPool<Dtype>, &Kernels::StochasticPool, shape,
                   kOrder, NextSeed(), x, y, mask);
    }
  }
  template <typename Narrow>
  void PoolStochastic(Side, const PoolShape&, const Narrow*, Narrow*,
                      Dtype*) const {}  // see WithPooled

  template <typename Value>
  void Unpool(Side side, const PoolShape& shape, const Blob<Dtype>& places,
              const Value* dy, Value* dx) const {
    using Kernels = cuda::Kernels<Value>;
    if (method_ == "AVE") {
      RunOn<Value>(side, AveragePoolBackward<Dtype>,
                   &Kernels::AveragePoolBackward, shape, kOrder, dy, dx);
    } else {
      RunOn<Value>(side, MaskedPoolBackward<Dtype>,
                   &Kernels::MaskedPoolBackward, shape, kOrder,
                   places.data(kOrder, side), dy, dx);
    }
  }

  std::string method_;
  int64_t levels_ = 0;
  std::vector<PoolShape> shapes_;
  std::vector<Blob<Dtype>> masks_;  // of the last Forward
};

P3D_REGISTER_LAYER(SPP, SPPLayer);

}  // namespace p3d
