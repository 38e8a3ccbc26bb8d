#ifndef P3D_ENGINE_TRAINING_PLAN_HPP_
#define P3D_ENGINE_TRAINING_PLAN_HPP_

#include <functional>
#include <map>
#include <memory>
#include <set>
#include <utility>
#include <vector>

#include "engine/net.hpp"
#include "engine/plan_arena.hpp"
#include "engine/plan_run.hpp"
#include "engine/plan_step.hpp"
#include "kernels/buffer.hpp"

namespace p3d {

// How a net runs forward and backward at once: in the steps of PlanStep. What a
// step makes is kept for the way back, what it folds away exists nowhere.
// Gradients of blobs lie in one arena in which those that are not alive at the
// same time share memory; readers of one blob add to one gradient.
//
// Blobs and gradients without values get `net` as their source: a blob is made
// again by its step, gradients by a whole Backward; both with the weights of
// that moment.
//
// On the GPU both ways are graphs, around the steps that draw random numbers or
// add up a loss (see PlanRun).
class TrainingPlan {
 public:
  using Poll = std::function<void()>;

  // All layers have their shapes. `keep` says of every blob whether it has to
  // have its values after a run. Null where a loss is read by other layers: its
  // weight then is one of several gradients.
  static std::unique_ptr<TrainingPlan> Make(Net<float>* net,
                                            const std::vector<bool>& keep);

  // Runs all layers but the sources and returns the weighted loss.
  float Forward(const Poll& poll);
  // Adds to the gradients of the parameters; follows a Forward.
  void Backward(const Poll& poll);

  // Whether it was made for the present mode, precision and shapes.
  bool current() const {
    return arena_->current(KindOfValues(false)) && net_->HasShapes(shapes_);
  }
  // Its memory on the GPU, and what a plan that is not made needs for gradients
  // and for the values that it keeps; 0 where none can be made.
  size_t gpu_bytes() const { return arena_->gpu_bytes() + stack_.bytes(); }
  static size_t Bytes(Net<float>* net, const std::vector<bool>& keep);

 private:
  explicit TrainingPlan(Net<float>* net) : net_(net) {}
  bool FindRoots();
  void FindLost(const std::vector<bool>& keep);
  ArenaLayout Layout() const;
  void PlaceInArena();
  void PrepareRuns();
  bool active(const PlanStep& step) const;
  bool convolves_back(const PlanStep& step) const;
  bool residual_back(const PlanStep& step) const;
  // Where readers of one value add up its gradient.
  Storage<float>& bottom_gradient(int layer, size_t bottom) const;
  Storage<float>& y_gradient(const PlanStep& step) const;
  Storage<float>& x_gradient(const PlanStep& step) const;
  Storage<float>& residual_gradient(const PlanStep& step) const;
  void BackwardStep(PlanStep* step);
  void BackwardConvolution(PlanStep* step);
  template <typename Value>
  struct EpilogueGradients;
  template <typename Value>
  EpilogueGradients<Value> GradientsOf(const PlanStep& step) const;
  void BackwardEpilogue(const PlanStep& step);
  void BackwardLayer(int layer);
  void Add(const Blob<float>& blob, Storage<float>* sum);
  void Bind();
  void LoseGradients();

  Net<float>* net_;
  std::vector<Shape> shapes_;  // of all blobs
  std::vector<PlanStep> steps_;
  std::unique_ptr<PlanArena> arena_;
  std::unique_ptr<PlanWorkspace> workspace_;
  // Of each layer's bottoms and tops the blobs whose gradients they share:
  // those of splits and reshapes have none of their own.
  std::vector<std::vector<Blob<float>*>> bottom_roots_, top_roots_;
  // Blobs without values after a run, and their steps.
  std::vector<std::pair<int, size_t>> lost_;
  // All gradients that a Backward of the net makes.
  std::set<Storage<float>*> gradients_;
  float loss_ = 0;  // of the forward so far
  GpuStack stack_;
  std::unique_ptr<PlanRun> forward_, backward_;
};

}  // namespace p3d

#endif  // P3D_ENGINE_TRAINING_PLAN_HPP_
