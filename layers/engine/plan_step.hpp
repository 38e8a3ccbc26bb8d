#ifndef P3D_ENGINE_PLAN_STEP_HPP_
#define P3D_ENGINE_PLAN_STEP_HPP_

#include <memory>
#include <vector>

#include "engine/net.hpp"
#include "kernels/conv/conv.hpp"

namespace p3d {

template <typename Dtype>
class ConvolutionLayer;

struct PlanStep;

// A plan cannot go on: a layer gave a blob another shape while it ran.
class ShapesChanged : public Error {
 public:
  ShapesChanged(const std::string& text, int last) : Error(text), ran(last) {}
  // Layers 0..ran need not run again for what they made: the last is that
  // layer, if it changed its own tops alone, else -1.
  int ran;
};

// Scratch memory for any of the steps, where their layers run now.
class PlanWorkspace {
 public:
  explicit PlanWorkspace(const std::vector<PlanStep>& steps);
  // Null where no step on this side needs any.
  float* on(Side side) const {
    const auto& buffer = side == Side::kHost ? host_ : gpu_;
    return buffer ? static_cast<float*>(buffer->data()) : nullptr;
  }

 private:
  std::unique_ptr<SideBuffer>& buffer(Side side) {
    return side == Side::kHost ? host_ : gpu_;
  }
  std::unique_ptr<SideBuffer> host_, gpu_;
};

// What a plan runs at once: a convolution with the affine layers, ReLUs and
// sums behind it folded into its epilogue, or any other layer as it is.
struct PlanStep {
  std::vector<int> layers;  // in the net's order; only a convolution has many
  // For a convolution:
  ConvolutionLayer<float>* convolution = nullptr;
  Blob<float>* x = nullptr;
  Blob<float>* y = nullptr;
  Blob<float>* residual = nullptr;
  int sum = -1;             // the layer that adds the residual, ...
  int residual_bottom = 0;  // ... which is this bottom of it
  std::vector<int> affine;  // the layers behind scale and shift
  std::vector<float> scale, shift;
  uint64_t affine_version = 0;
  std::unique_ptr<GpuBuffer> gpu_affine;  // scale and shift on the GPU
  ConvEpilogue epilogue;
  // No layer but convolutions, and the sums in their epilogues, reads y: it may
  // be of 16 bits where they multiply such.
  bool narrow = false;

  // Runs the step, where the layer's side() is, and returns the weighted loss
  // of a layer; `next`, weights to fetch meanwhile, are for the host.
  float Run(Net<float>* net, const PlanWorkspace& memory,
            const NextWeights& next = NextWeights());
  // Behind a run, either way: throws ShapesChanged where a Foreign layer left
  // other shapes of the net's blobs.
  void CheckShapes(const Net<float>& net,
                   const std::vector<Shape>& shapes) const;
  // See Layer: of the step, and what there is to be done for it.
  bool Replayable(const Net<float>& net) const;
  void Refresh(Net<float>* net);
  void Verify(Net<float>* net);
  StepTime Describe(const Net<float>& net) const;

 private:
  int64_t Values(const Net<float>& net) const;
  // From x and residual to y.
  void Convolve(const Net<float>& net, const PlanWorkspace& memory,
                const NextWeights& next);
  uint64_t AffineVersion(const Net<float>& net) const;
  void FoldAffine(const Net<float>& net);
  void PlaceAffine();
};

}  // namespace p3d

#endif  // P3D_ENGINE_PLAN_STEP_HPP_
