#include <cmath>
#include <vector>

#include "engine/layer.hpp"
#include "engine/layers/saved_input.hpp"
#include "kernels/bn.hpp"

namespace p3d {

// MVN: every image's channels, or with across_channels whole images, minus
// their mean and, unless normalize_variance is false, divided by their standard
// deviation + eps. Any number of spatial axes; top has at least four axes, as
// in upstream, or in place those of the bottom.
template <typename Dtype>
class MVNLayer : public Layer<Dtype> {
 public:
  using Layer<Dtype>::Layer;
  using typename Layer<Dtype>::Blobs;

  BlobCounts counts() const override { return BlobCounts::Exactly(1, 1); }
  bool HasGpu() const override { return true; }
  bool Replayable() const override { return true; }
  void Refresh() override { side_ = this->side(); }

  void LayerSetUp(const Blobs&, const Blobs&) override {
    const Fields& param = this->Param("mvn_param");
    variance_ = param.Bool("normalize_variance");
    across_ = param.Bool("across_channels");
    eps_ = param.Float("eps");
  }

  void Reshape(const Blobs& bottom, const Blobs& top) override {
    Check(bottom[0]->count() > 0, "the bottom has no values; its shape is ",
          ShapeString(bottom[0]->shape()));
    Shape shape = bottom[0]->shape();
    // In place the layer before needs the shape that it gave.
    if (shape.size() < 4 && top[0] != bottom[0]) shape.resize(4, 1);
    top[0]->Reshape(shape);
  }

  void Forward(const Blobs& bottom, const Blobs& top) override {
    side_ = this->side();
    if (side_ == Side::kGpu) {
      return WithValues<Dtype>(side_, [&](auto kind) {
        ForwardGpu<decltype(kind)>(bottom[0], top[0]);
      });
    }
    if (this->needs_backward()) input_.Save(*bottom[0], *top[0]);
    const Geometry rows = Rows(*bottom[0]);
    const Dtype* x = bottom[0]->data();
    mean_.resize(rows.channels);
    deviation_.resize(rows.channels);
    ChannelStatistics(rows, Order::kCaffe, x, mean_.data(), deviation_.data());
    for (double& value : deviation_) {
      value = variance_ ? std::sqrt(value) + eps_ : 1;
    }
    Normalize<Dtype>(rows, Order::kCaffe, mean_.data(), deviation_.data(),
                     nullptr, nullptr, x, top[0]->write_data());
  }

  void Backward(const Blobs& top, const std::vector<bool>& propagate_down,
                const Blobs& bottom) override {
    if (!propagate_down[0]) return;
    if (side_ == Side::kGpu) {
      return WithValues<Dtype>(side_, [&](auto kind) {
        BackwardGpu<decltype(kind)>(*top[0], bottom[0]);
      });
    }
    const Geometry rows = Rows(*bottom[0]);
    const Dtype* x = input_.of(*bottom[0]).data();
    const Dtype* dy = top[0]->diff();
    Dtype* dx = bottom[0]->write_diff();
    if (variance_) {
      NormalizeBackward<Dtype>(rows, Order::kCaffe, mean_.data(),
                               deviation_.data(), nullptr, x, dy, nullptr,
                               nullptr, dx);
      return;
    }
    std::vector<double> mean(rows.channels), unused(rows.channels);
    ChannelStatistics(rows, Order::kCaffe, dy, mean.data(), unused.data());
    Normalize<Dtype>(rows, Order::kCaffe, mean.data(), deviation_.data(),
                     nullptr, nullptr, dy, dx);
  }

 private:
  template <typename Value>
  void ForwardGpu(Blob<Dtype>* bottom, Blob<Dtype>* top) {
    if (this->needs_backward()) {
      input_.template Save<Value>(*bottom, *top, side_);
    }
    const GpuKernels<Value> gpu = GpuOf<Value>();
    const Geometry images = Images(*bottom);
    const Order order = OrderOf<Value>(bottom->order(side_));
    const GpuScratch<double> scratch(Gpu().MvnScratchSize(images, order));
    const int64_t rows = images.num * images.channels;
    double* const mean = moments_.Hold(2 * rows);
    const Value* x = bottom->template data_of<Value>(order, side_);
    gpu.MvnNormalize(gpu.stream, images, order, variance_, eps_, x,
                     scratch.data(), mean, mean + rows,
                     top->template write_data_of<Value>(order, side_));
  }

  template <typename Value>
  void BackwardGpu(const Blob<Dtype>& top, Blob<Dtype>* bottom) {
    const Blob<Dtype>& input = input_.of(*bottom);
    const GpuKernels<Value> gpu = GpuOf<Value>();
    const Geometry images = Images(*bottom);
    const Order order = OrderOf<Value>(input.order(side_));
    const GpuScratch<double> scratch(Gpu().MvnScratchSize(images, order));
    const double* mean = moments_.data();
    const Value* x = input.template data_of<Value>(order, side_);
    const Value* dy = top.template diff_of<Value>(order, side_);
    gpu.MvnBackward(gpu.stream, images, order, variance_, mean,
                    mean + images.num * images.channels, x, dy, scratch.data(),
                    bottom->template write_diff_of<Value>(order, side_));
  }

  // Each channel of an image is normalised by itself.
  Geometry Images(const Blob<Dtype>& blob) const {
    const Geometry g = blob.geometry();
    if (across_) return {g.num, 1, g.channels * g.pixels};
    return g;
  }

  // What is normalised together as the pixels of one channel.
  Geometry Rows(const Blob<Dtype>& blob) const {
    Geometry rows = blob.geometry();
    rows.channels = across_ ? rows.num : rows.num * rows.channels;
    rows.num = 1;
    rows.pixels = blob.count() / rows.channels;
    return rows;
  }

  bool variance_ = true;
  bool across_ = false;
  double eps_ = 0;
  // Of the last Forward: where it ran, and the moments there.
  Side side_ = Side::kHost;
  std::vector<double> mean_, deviation_;
  GpuMemory<double> moments_;
  SavedInput<Dtype> input_;
};

P3D_REGISTER_LAYER(MVN, MVNLayer);

}  // namespace p3d
