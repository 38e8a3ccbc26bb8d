#ifndef P3D_ENGINE_LAYERS_LOSS_LAYER_HPP_
#define P3D_ENGINE_LAYERS_LOSS_LAYER_HPP_

#include <algorithm>
#include <string>
#include <vector>

#include "engine/layer.hpp"
#include "kernels/labels.hpp"
#include "kernels/losses.hpp"

namespace p3d {

// What losses have in common: predictions and labels of equally many items, one
// number as top (made up where the prototxt names none) with loss weight 1.
template <typename Dtype>
class LossLayer : public Layer<Dtype> {
 public:
  using Layer<Dtype>::Layer;
  using typename Layer<Dtype>::Blobs;

  BlobCounts counts() const override { return BlobCounts::Exactly(2, 1); }
  bool AutoTopBlobs() const override { return true; }
  bool HasGpu() const override { return true; }
  float DefaultLossWeight(int index) const override {
    return index == 0 ? 1.f : 0.f;
  }

  void Reshape(const Blobs& bottom, const Blobs& top) override {
    this->CheckNotInPlace(bottom, top);
    Check(bottom[0]->shape(0) == bottom[1]->shape(0), "bottom 0 has ",
          bottom[0]->shape(0), " items, bottom 1 has ", bottom[1]->shape(0),
          "; they must be as many");
    top[0]->Reshape({});
  }

  // To the predictions alone, not to the labels.
  bool Differentiable(int index) const override { return index == 0; }

 protected:
  // The loss is sum / divisor.
  void SetLoss(double sum, double divisor, const Blobs& top) {
    divisor_ = divisor;
    top[0]->write_data()[0] = static_cast<Dtype>(sum / divisor);
  }
  // A sum of losses.hpp, host(args...), or on the GPU of losses_cuda.hpp, where
  // `count` losses are added up: gpu.*kernel(stream, args..., parts). `labels`
  // may be none.
  template <typename Host, typename Kernel, typename AnyLabels,
            typename... Args>
  LossSum Sum(Host host, Kernel cuda::Kernels<Dtype>::* kernel, int64_t count,
              const AnyLabels& labels, const Args&... args) const {
    if (this->side() == Side::kHost) return host(args...);
    std::vector<cuda::LabelledSum> parts(cuda::LossParts(count));
    const GpuScratch<cuda::LabelledSum> on_gpu(parts.size());
    const GpuKernels<Dtype> gpu = GpuOf<Dtype>();
    (gpu.*kernel)(gpu.stream, args..., on_gpu.data());
    Gpu().CopyToHost(parts.data(), on_gpu.data(),
                     parts.size() * sizeof(parts[0]));
    return cuda::FinishLoss(labels, parts);
  }

  // What Backward multiplies the sum's gradient by.
  double Factor(const Blobs& top) const { return top[0]->diff()[0] / divisor_; }

  static void CheckSameSize(const Blobs& bottom) {
    Check(bottom[0]->count() == bottom[1]->count(),
          "needs bottoms of one size; bottom 0 is ",
          ShapeString(bottom[0]->shape()), ", bottom 1 is ",
          ShapeString(bottom[1]->shape()));
  }

  // One label for each position of `view`.
  static void CheckLabelCount(const AxisView& view, const Blob<Dtype>& labels) {
    Check(labels.count() == view.outer * view.inner,
          "needs one label for each "
          "of the ",
          view.outer * view.inner, " predictions, not ",
          ShapeString(labels.shape()));
  }

  // loss_param's normalization; `fallback` where it says nothing. `normalize`
  // is the older way to say VALID or BATCH_SIZE.
  std::string Normalization(const std::string& fallback) const {
    const Fields& param = this->Param("loss_param");
    if (param.Has("normalization")) return param.Str("normalization");
    if (!param.Has("normalize")) return fallback;
    return param.Bool("normalize") ? "VALID" : "BATCH_SIZE";
  }

  // What a sum over (outer, inner) positions is divided by, at least 1 so that
  // a batch of ignored labels has the loss 0.
  static double Divisor(const std::string& normalization, const AxisView& view,
                        int64_t valid) {
    double divisor = 1;  // NONE
    if (normalization == "FULL") {
      divisor = static_cast<double>(view.outer * view.inner);
    } else if (normalization == "VALID") {
      divisor = static_cast<double>(valid);
    } else if (normalization == "BATCH_SIZE") {
      divisor = static_cast<double>(view.outer);
    }
    return std::max(1., divisor);
  }

 private:
  double divisor_ = 1;  // of the last Forward
};

}  // namespace p3d

#endif  // P3D_ENGINE_LAYERS_LOSS_LAYER_HPP_
