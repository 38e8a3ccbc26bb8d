#ifndef P3D_ENGINE_UPDATER_HPP_
#define P3D_ENGINE_UPDATER_HPP_

#include <memory>
#include <vector>

#include "engine/net.hpp"
#include "kernels/update.hpp"

namespace p3d {

// A parameter blob that a solver updates, or that its layer keeps fixed.
struct LearnableParam {
  int layer = 0;
  int blob = 0;
  float lr_mult = 1.f;
  float decay_mult = 1.f;
};

// The arithmetic of a solver on the parameters of a net: those that layers
// share count once.
template <typename Dtype>
class Updater {
 public:
  Updater(std::shared_ptr<Net<Dtype>> net, UpdateRule rule);

  // In the order of the layers, as in Caffe.
  const std::vector<LearnableParam>& params() const { return params_; }
  // The moments of the rule: one blob per parameter, and where the rule has a
  // second moment another one per parameter after these.
  const std::vector<std::shared_ptr<Blob<Dtype>>>& history() const {
    return history_;
  }

  // With a GPU, where this process is one of several ranks (see
  // kernels/cuda/nccl_cuda.hpp), of which all call these. All gradients go in
  // one launch and from where they lie, which takes no second buffer of the
  // size of all weights. Overlap with the backward, layer by layer, would only
  // pay where links are slow; nobody has measured it.
  //
  // Gradients of what learns become their mean over the ranks,
  void AverageOverRanks();
  // and weights, of what does not learn too, those of rank 0.
  void CopyFromRank0();

  // By parameter: the sum of the squares of its gradient; NaN or infinite where
  // the gradient is. 0 for those whose lr_mult is 0.
  std::vector<double> GradientSquares();
  // Updates every parameter whose lr_mult is not 0. In `step` gain, decay and
  // shrink are for an lr_mult and decay_mult of 1. Returns the index of a
  // parameter that is no longer finite, else -1.
  int Apply(UpdateStep step);

 private:
  // Weights, gradient and moments of a parameter; b may be null.
  struct Arrays {
    Dtype *w, *g, *a, *b;
  };
  Arrays ArraysOf(size_t i, Order order, Side side);
  // `step` for this parameter.
  UpdateStep StepOf(UpdateStep step, size_t i) const;
  std::vector<double> SquaresOnGpu();
  int ApplyOnGpu(const UpdateStep& step);

  std::shared_ptr<Net<Dtype>> net_;
  UpdateRule rule_;
  std::vector<LearnableParam> params_;
  std::vector<std::shared_ptr<Blob<Dtype>>> blobs_;
  std::vector<std::shared_ptr<Blob<Dtype>>> history_;
};

}  // namespace p3d

#endif  // P3D_ENGINE_UPDATER_HPP_
