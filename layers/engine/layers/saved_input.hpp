#ifndef P3D_ENGINE_LAYERS_SAVED_INPUT_HPP_
#define P3D_ENGINE_LAYERS_SAVED_INPUT_HPP_

#include "engine/blob.hpp"

namespace p3d {

// A layer's bottom as it was before the layer worked in place, for a Backward
// that needs it.
template <typename Dtype>
class SavedInput {
 public:
  // In Forward, before the top is written, for a layer that takes Values:
  // copies only where top is bottom.
  template <typename Value = Dtype>
  void Save(const Blob<Dtype>& bottom, const Blob<Dtype>& top,
            Side side = Side::kHost) {
    saved_ = &bottom == &top;
    if (!saved_) return;
    copy_.ReshapeLike(bottom);
    copy_.template CopyFrom<Value>(bottom, OrderOf<Value>(bottom.order(side)),
                                   side);
  }

  // The bottom, or the copy.
  const Blob<Dtype>& of(const Blob<Dtype>& bottom) const {
    return saved_ ? copy_ : bottom;
  }

 private:
  bool saved_ = false;
  Blob<Dtype> copy_;
};

}  // namespace p3d

#endif  // P3D_ENGINE_LAYERS_SAVED_INPUT_HPP_
