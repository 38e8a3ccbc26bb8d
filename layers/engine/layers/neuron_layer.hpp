#ifndef P3D_ENGINE_LAYERS_NEURON_LAYER_HPP_
#define P3D_ENGINE_LAYERS_NEURON_LAYER_HPP_

#include "engine/layer.hpp"
#include "engine/layers/saved_input.hpp"

namespace p3d {

// A layer that maps every value on its own: one bottom, one top of its shape,
// in place if wanted, in whichever order the bottom lies. `Derived<Dtype>` has,
// for any kind of values on side(),
//
//   template <typename Value>
//   void Map(const Value* x, int64_t count, Value* y) const;
//
// y[i] = f(x[i]) for i < count, y may be x, and unless it has no gradient
//
//   template <typename Value>
//   void MapBackward(const Value* x, const Value* y, const Value* dy,
//                    int64_t count, Value* dx) const;
//
// dx[i] = dy[i] f'(x[i]), where dx may be dy, and x is y unless
// SlopeNeedsInput.
template <typename Dtype, template <typename> class Derived>
class NeuronLayer : public Layer<Dtype> {
 public:
  using Layer<Dtype>::Layer;
  using typename Layer<Dtype>::Blobs;

  BlobCounts counts() const override { return BlobCounts::Exactly(1, 1); }

  bool HasGpu() const override { return true; }
  bool Replayable() const override { return true; }

  void Reshape(const Blobs& bottom, const Blobs& top) override {
    top[0]->ReshapeLike(*bottom[0]);
  }

  void Forward(const Blobs& bottom, const Blobs& top) override {
    const Side side = this->side();
    WithValues<Dtype>(side, [&](auto kind) {
      using Value = decltype(kind);
      if (this->needs_backward() && SlopeNeedsInput()) {
        input_.template Save<Value>(*bottom[0], *top[0], side);
      }
      const Order order = OrderOf<Value>(bottom[0]->order(side));
      const Value* x = bottom[0]->template data_of<Value>(order, side);
      derived().Map(x, bottom[0]->count(),
                    top[0]->template write_data_of<Value>(order, side));
    });
  }

  void Backward(const Blobs& top, const std::vector<bool>& propagate_down,
                const Blobs& bottom) override {
    if (!propagate_down[0]) return;
    const Side side = this->side();
    WithValues<Dtype>(side, [&](auto kind) {
      using Value = decltype(kind);
      const Order order = OrderOf<Value>(top[0]->order(side));
      const Value* y = top[0]->template data_of<Value>(order, side);
      const Value* x = y;
      if (SlopeNeedsInput()) {
        x = input_.of(*bottom[0]).template data_of<Value>(order, side);
      }
      const Value* dy = top[0]->template diff_of<Value>(order, side);
      derived().MapBackward(
          x, y, dy, top[0]->count(),
          bottom[0]->template write_diff_of<Value>(order, side));
    });
  }

  template <typename Value>
  void MapBackward(const Value*, const Value*, const Value*, int64_t,
                   Value*) const {
    Fail("has no gradient");
  }

 protected:
  // Whether y does not say f'(x).
  virtual bool SlopeNeedsInput() const { return false; }

  Dtype Number(const std::string& message, const std::string& field) const {
    return static_cast<Dtype>(this->Param(message).Float(field));
  }

 private:
  const Derived<Dtype>& derived() const {
    return static_cast<const Derived<Dtype>&>(*this);
  }

  SavedInput<Dtype> input_;
};

}  // namespace p3d

#endif  // P3D_ENGINE_LAYERS_NEURON_LAYER_HPP_
