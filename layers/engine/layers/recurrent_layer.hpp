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
  bool Plannable() const override { return exposed(); }
  void LayerSetUp(const Blobs& bottom, const Blobs& top) override;
  void Reshape(const Blobs& bottom, const Blobs& top) override;
  void Forward(const Blobs& bottom, const Blobs& top) override;
  std::string kernel() const override { return x_.layer->kernel(); }
  int64_t macs() const override;

 protected:
  // An InnerProduct layer inside this one, and its result.
  struct Transform {
    std::unique_ptr<Layer<Dtype>> layer;
    Blob<Dtype> out;

    void SetUp(Blob<Dtype>* in) { layer->SetUp({in}, {&out}); }
    void Reshape(Blob<Dtype>* in) { layer->Reshape({in}, {&out}); }
    const Dtype* Run(Blob<Dtype>* in) {
      layer->Forward({in}, {&out});
      return out.data();
    }
  };

  // Inputs of the nonlinearity per hidden value.
  virtual int64_t gates() const = 0;
  // States that pass from step to step, the hidden values h first.
  virtual int states() const = 0;
  // One step: from the gates (N, gates(), D) and the continuation indicators
  // (N) to the new states; h also goes to `h`.
  virtual void Step(const Dtype* gates, const Dtype* continues,
                    std::vector<Blob<Dtype>>* states, Dtype* h) = 0;
  // From h of all steps, (T, N, D), to the first top; called once per forward.
  virtual void Finish(Blob<Dtype>* h, Blob<Dtype>* top) = 0;

  // A transform with this layer's fillers along `axis`; its blobs join this
  // layer's.
  void Add(Transform* transform, int64_t outputs, bool bias, int axis,
           Blob<Dtype>* in);

  int64_t width() const { return width_; }
  const Shape& hidden_shape() const { return hidden_.shape(); }

 private:
  bool exposed() const {
    return this->Param("recurrent_param").Bool("expose_hidden");
  }
  void CheckBottoms(const Blobs& bottom) const;
  void ShapeStates(const Blobs& bottom);
  // gates_ = W_h (continue * h) + the transformed inputs of step t
  void SumGates(int64_t t, const Dtype* continues, const Dtype* x,
                const Dtype* x_static);

  int64_t width_ = 0;
  bool has_static_ = false;
  Transform x_, static_, h_;
  std::vector<Blob<Dtype>> states_;
  Blob<Dtype> hidden_;     // h of all steps
  Blob<Dtype> continued_;  // continue * h of one step
  Blob<Dtype> gates_;      // of one step
};

}  // namespace p3d

#endif  // P3D_ENGINE_LAYERS_RECURRENT_LAYER_HPP_
