#include "engine/layer.hpp"
#include "kernels/crop.hpp"

namespace p3d {

// Crop: the part of bottom 0 that has bottom 1's sizes in the axes from `axis`
// (default 2) on, at `offset`: none (0), one for all these axes, or one each.
template <typename Dtype>
class CropLayer : public Layer<Dtype> {
 public:
  using Layer<Dtype>::Layer;
  using typename Layer<Dtype>::Blobs;

  BlobCounts counts() const override { return BlobCounts::Exactly(2, 1); }
  bool HasGpu() const override { return axes_.size() <= cuda::kCropAxes; }
  bool Replayable() const override { return true; }

  void Reshape(const Blobs& bottom, const Blobs& top) override {
    this->CheckNotInPlace(bottom, top);
    const Fields& param = this->Param("crop_param");
    const std::vector<int64_t> offsets = param.Ints("offset");
    const int axis = bottom[0]->CanonicalAxis(param.Int("axis"));
    const int cropped = bottom[0]->num_axes() - axis;
    Check(offsets.size() <= 1 || static_cast<int>(offsets.size()) == cropped,
          "is given ", offsets.size(), " offsets for ", cropped,
          " axes; give none, one for all or one for each");
    Shape shape = bottom[0]->shape();
    axes_.clear();
    for (int i = 0; i < bottom[0]->num_axes(); ++i) {
      CropAxis crop{shape[i], 0, shape[i]};
      if (i >= axis) {
        crop.size = bottom[1]->shape(i);
        if (!offsets.empty()) {
          crop.offset = offsets[offsets.size() == 1 ? 0 : i - axis];
        }
      }
      Check(crop.offset >= 0 && crop.size <= crop.in - crop.offset, "axis ", i,
            " of bottom 0 has the size ", crop.in, ", too small for ",
            crop.size, " from offset ", crop.offset, " on");
      shape[i] = crop.size;
      axes_.push_back(crop);
    }
    top[0]->Reshape(shape);
  }

  void Forward(const Blobs& bottom, const Blobs& top) override {
    const Side side = this->side();
    const bool narrow = bottom[0]->storage().narrow(side);
    WithHeldValues<Dtype>(narrow, side, [&](auto kind) {
      using Value = decltype(kind);
      const Order order = OrderOf<Value>(bottom[0]->order(side));
      RunOn<Value>(side, Crop<Dtype>, &cuda::Kernels<Value>::Crop,
                   AxesIn(order),
                   bottom[0]->template data_of<Value>(order, side),
                   top[0]->template write_data_of<Value>(order, side));
    });
  }

  void Backward(const Blobs& top, const std::vector<bool>& propagate_down,
                const Blobs& bottom) override {
    if (!propagate_down[0]) return;
    const Side side = this->side();
    WithValues<Dtype>(side, [&](auto kind) {
      using Value = decltype(kind);
      const Order order = OrderOf<Value>(top[0]->diff_order(side));
      RunOn<Value>(side, Uncrop<Dtype>, &cuda::Kernels<Value>::Uncrop,
                   AxesIn(order), top[0]->template diff_of<Value>(order, side),
                   bottom[0]->template write_diff_of<Value>(order, side));
    });
  }

  bool Differentiable(int index) const override { return index == 0; }

 private:
  std::vector<CropAxis> AxesIn(Order order) const {
    std::vector<CropAxis> axes = axes_;
    if (order == Order::kChannelsLast && axes.size() > 2) {
      axes.push_back(axes[1]);
      axes.erase(axes.begin() + 1);
    }
    return axes;
  }

  std::vector<CropAxis> axes_;
};

P3D_REGISTER_LAYER(Crop, CropLayer);

}  // namespace p3d
