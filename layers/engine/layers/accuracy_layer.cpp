#include "engine/layer.hpp"
#include "kernels/accuracy.hpp"

namespace p3d {

// Accuracy: the share of labels (bottom 1) that are among the top_k scores
// (bottom 0) along `axis`, a tie counting against the label; ignored labels do
// not count. A second top gets the same per class, 0 for a class without
// labels.
template <typename Dtype>
class AccuracyLayer : public Layer<Dtype> {
 public:
  using Layer<Dtype>::Layer;
  using typename Layer<Dtype>::Blobs;

  BlobCounts counts() const override { return {2, 2, 1, 2, false}; }
  bool Differentiable(int) const override { return false; }

  bool HasGpu() const override { return true; }

  void Reshape(const Blobs& bottom, const Blobs& top) override {
    this->CheckNotInPlace(bottom, top);
    const Fields& param = this->Param("accuracy_param");
    view_ = bottom[0]->around(bottom[0]->CanonicalAxis(param.Int("axis")));
    Check(bottom[1]->count() == view_.outer * view_.inner,
          "needs one label for each of the ", view_.outer * view_.inner,
          " predictions, not ", ShapeString(bottom[1]->shape()));
    Check(param.Int("top_k") <= view_.channels, "top_k is ", param.Int("top_k"),
          ", but there are only ", view_.channels, " classes");
    top[0]->Reshape({});
    if (top.size() == 2) top[1]->Reshape({view_.channels});
  }

  void Forward(const Blobs& bottom, const Blobs& top) override {
    const Fields& param = this->Param("accuracy_param");
    const Side side = this->side();
    const Dtype* score = bottom[0]->data(Order::kCaffe, side);
    const Labels<Dtype> labels{bottom[1]->data(Order::kCaffe, side),
                               view_.channels, param.Has("ignore_label"),
                               param.Int("ignore_label")};
    const int64_t top_k = param.Int("top_k");
    const Hits hits = side == Side::kHost
                          ? CountHits(view_, score, labels, top_k)
                          : HitsOnGpu(score, labels, top_k);
    int64_t all = 0;
    int64_t found = 0;
    Dtype* per_class = top.size() == 2 ? top[1]->write_data() : nullptr;
    for (int64_t c = 0; c < view_.channels; ++c) {
      all += hits.all[c];
      found += hits.found[c];
      if (per_class) per_class[c] = Share(hits.found[c], hits.all[c]);
    }
    top[0]->write_data()[0] = Share(found, all);
  }

 private:
  Hits HitsOnGpu(const Dtype* score, const Labels<Dtype>& labels,
                 int64_t top_k) const {
    std::vector<cuda::LabelledSum> classes(view_.channels);
    const GpuScratch<cuda::LabelledSum> on_gpu(view_.channels);
    const GpuKernels<Dtype> gpu = GpuOf<Dtype>();
    gpu.CountHits(gpu.stream, view_, score, labels, top_k, on_gpu.data());
    Gpu().CopyToHost(classes.data(), on_gpu.data(),
                     classes.size() * sizeof(classes[0]));
    return cuda::FinishHits(labels, classes);
  }

  static Dtype Share(int64_t part, int64_t all) {
    return all == 0 ? 0 : static_cast<Dtype>(part) / all;
  }

  AxisView view_;
};

P3D_REGISTER_LAYER(Accuracy, AccuracyLayer);

}  // namespace p3d
