#ifndef P3D_ENGINE_LAYERS_RECURRENT_LAYER_HPP_
#define P3D_ENGINE_LAYERS_RECURRENT_LAYER_HPP_

#include <memory>
#include <string>
#include <vector>

#include "engine/layer.hpp"

namespace p3d {

// What LSTM and RNN have in common: T time steps of N independent streams with
// D = num_output hidden values each.
//
// Bottoms: x (T, N, ...); continuation indicators (T, N), 0 where a sequence
// begins, else 1; optionally an input (N, ...) that stays the same over time;
// with expose_hidden the first states, each (1, N, D).
// Tops: (T, N, D); with expose_hidden the last states, each (1, N, D).
//
// Without expose_hidden the first states are the last ones of the forward
// before, at first 0. Each step joins
//
//   gates = W_h (continue * h) + W_x x + b_x + W_static x_static
//
// of shape (N, gates() * D). The blobs are W_x, b_x, W_static if there is such
// a bottom, W_h, then what the derived layer adds.
template <typename Dtype>
class RecurrentLayer : public Layer<Dtype> {
 public:
  using Layer<Dtype>::Layer;
  using typename Layer<Dtype>::Blobs;

  BlobCounts counts() const override;
  bool HasGpu() const override { return true; }
  bool Replayable() const override { return true; }
  bool Plannable() const override { return exposed(); }
  std::vector<std::shared_ptr<Blob<Dtype>>> Carried() const override;
  void LayerSetUp(const Blobs& bottom, const Blobs& top) override;
  void Reshape(const Blobs& bottom, const Blobs& top) override;
  void Forward(const Blobs& bottom, const Blobs& top) override;
  // Back through all steps of the last Forward, not into the one before.
  void Backward(const Blobs& top, const std::vector<bool>& propagate_down,
                const Blobs& bottom) override;
  // Not to the continuation indicators.
  bool Differentiable(int index) const override { return index != 1; }
  std::string kernel() const override { return x_.layer->kernel(); }
  int64_t macs() const override;

 protected:
  // An InnerProduct layer inside this one, and its result.
  struct Transform {
    std::unique_ptr<Layer<Dtype>> layer;
    Blob<Dtype> out;
    size_t first_blob = 0;  // of the recurrent layer's

    void SetUp(Blob<Dtype>* in) { layer->SetUp({in}, {&out}); }
    void Reshape(Blob<Dtype>* in) { layer->Reshape({in}, {&out}); }
    const Dtype* Run(Blob<Dtype>* in, Side side) {
      layer->Forward({in}, {&out});
      return out.data(Order::kCaffe, side);
    }
  };

  // Inputs of the nonlinearity per hidden value.
  virtual int64_t gates() const = 0;
  // States that pass from step to step, the hidden values h first.
  virtual int states() const = 0;
  // One array (N, D) for each state, on side() as all that follow.
  using States = std::vector<Dtype*>;
  // One step: from the gates (N, gates(), D) and the continuation indicators
  // (N) to the new states.
  virtual void Step(const Dtype* gates, const Dtype* continues,
                    const States& before, const States& after) = 0;
  // Its gradients: `diffs`, of the states after it, become those of the states
  // before it, without what h gives to the gates.
  virtual void StepBackward(const Dtype* gates, const Dtype* continues,
                            const States& before, const States& after,
                            const States& diffs, Dtype* dgates) = 0;
  // From h of all steps, (T, N, D), to the first top; called once per forward.
  virtual void Finish(Blob<Dtype>* h, Blob<Dtype>* top) = 0;
  // From the top's diff to h's.
  virtual void FinishBackward(Blob<Dtype>* top, Blob<Dtype>* h) = 0;

  // A transform with this layer's fillers along `axis`; its blobs join this
  // layer's.
  void Add(Transform* transform, int64_t outputs, bool bias, int axis,
           Blob<Dtype>* in);

  // From the diff of the transform's result to those of its blobs that learn
  // and, if wanted, of `in`.
  void RunBackward(Transform* transform, bool wanted, Blob<Dtype>* in);

  int64_t width() const { return width_; }
  // Values of one state.
  int64_t state_count() const { return continued_.count(); }
  const Shape& hidden_shape() const { return hidden_.shape(); }

 private:
  bool exposed() const {
    return this->Param("recurrent_param").Bool("expose_hidden");
  }
  void CheckBottoms(const Blobs& bottom) const;
  void ShapeStates(const Blobs& bottom);
  // The states before step t, and behind the last.
  States StatesAt(int64_t t);
  // continued = continue * h
  void Continue(const Dtype* continues, const Dtype* h, Dtype* continued);
  void Sum(const std::vector<const Dtype*>& parts, int64_t count, Dtype* sum);
  // The gradients of the states behind the last step.
  States LastDiffs(const Blobs& top);
  // Through W_h: diffs of the gates of a step to that of h before it.
  void ContinueBackward(const Dtype* continues, const Dtype* dgates, Dtype* dh);
  void SumStaticDiffs(const Dtype* dgates);

  int64_t width_ = 0;
  bool has_static_ = false;
  Transform x_, static_, h_;
  // That the next forward begins with.
  std::vector<std::shared_ptr<Blob<Dtype>>> states_;
  std::vector<Blob<Dtype>> paths_;  // each state before every step and at last
  Blob<Dtype> gates_;               // of all steps
  Blob<Dtype> hidden_;              // h of all steps
  Blob<Dtype> continued_;           // continue * h of one step
  std::vector<Blob<Dtype>> diffs_;  // of each state, at one step
};

}  // namespace p3d

#endif  // P3D_ENGINE_LAYERS_RECURRENT_LAYER_HPP_
