#ifndef P3D_ENGINE_LAYERS_NEURON_LAYER_HPP_
#define P3D_ENGINE_LAYERS_NEURON_LAYER_HPP_

#include "engine/layer.hpp"
#include "engine/layers/saved_input.hpp"

namespace p3d {

// A layer that maps every value on its own: one bottom, one top of its shape,
// in place if wanted, in whichever order the bottom lies.
template <typename Dtype>
class NeuronLayer : public Layer<Dtype> {
 public:
  using Layer<Dtype>::Layer;
  using typename Layer<Dtype>::Blobs;

  BlobCounts counts() const override { return BlobCounts::Exactly(1, 1); }

  bool HasGpu() const override { return true; }
  // Otherwise its input may be copied.
  bool Replayable() const override {
    return !(this->needs_backward() && SlopeNeedsInput());
  }

  void Reshape(const Blobs& bottom, const Blobs& top) override {
    top[0]->ReshapeLike(*bottom[0]);
  }

  void Forward(const Blobs& bottom, const Blobs& top) override {
    const Side side = this->side();
    if (this->needs_backward() && SlopeNeedsInput()) {
      input_.Save(*bottom[0], *top[0], side);
    }
    const Order order = bottom[0]->order(side);
    const Dtype* x = bottom[0]->data(order, side);
    Map(x, bottom[0]->count(), top[0]->write_data(order, side));
  }

  void Backward(const Blobs& top, const std::vector<bool>& propagate_down,
                const Blobs& bottom) override {
    if (!propagate_down[0]) return;
    const Side side = this->side();
    const Order order = top[0]->order(side);
    const Dtype* x = input_.of(*bottom[0]).data(order, side);
    const Dtype* y = top[0]->data(order, side);
    const Dtype* dy = top[0]->diff(order, side);
    MapBackward(x, y, dy, top[0]->count(), bottom[0]->write_diff(order, side));
  }

 protected:
  // y[i] = f(x[i]) for i < count; y may be x. Arrays lie on side().
  virtual void Map(const Dtype* x, int64_t count, Dtype* y) const = 0;
  // dx[i] = dy[i] f'(x[i]); dx may be dy. In place x is y unless
  // SlopeNeedsInput.
  virtual void MapBackward(const Dtype* /*x*/, const Dtype* /*y*/,
                           const Dtype* /*dy*/, int64_t /*count*/,
                           Dtype* /*dx*/) const {
    Fail("has no gradient");
  }
  // Whether y does not say f'(x).
  virtual bool SlopeNeedsInput() const { return false; }

  Dtype Number(const std::string& message, const std::string& field) const {
    return static_cast<Dtype>(this->Param(message).Float(field));
  }

 private:
  SavedInput<Dtype> input_;
};

}  // namespace p3d

#endif  // P3D_ENGINE_LAYERS_NEURON_LAYER_HPP_
