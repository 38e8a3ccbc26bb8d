#ifndef P3D_ENGINE_PLAN_HPP_
#define P3D_ENGINE_PLAN_HPP_

#include <functional>
#include <memory>
#include <set>
#include <vector>

#include "engine/net.hpp"
#include "engine/plan_arena.hpp"
#include "engine/plan_run.hpp"
#include "engine/plan_step.hpp"
#include "kernels/buffer.hpp"

namespace p3d {

// How a net runs in inference: as a list of steps (see PlanStep). Blobs between
// steps lie in one arena in which blobs
// that are not alive at the same time share memory; blobs inside a step exist
// nowhere. Blobs to keep have memory of their own and are never folded away.
class Plan {
 public:
  using Poll = std::function<void()>;

  // A plan for layers 0..last without sources, which have run by then, and
  // without those that `runs` leaves out, see MakePlanSteps; all have their
  // shapes. `keep` says of every blob whether it has to have its values after a
  // run.
  static std::unique_ptr<Plan> Make(Net<float>* net, int last,
                                    const std::vector<bool>& keep,
                                    const std::vector<bool>& runs = {});

  // Runs all steps and returns the weighted loss; `times`, if given, gets one
  // entry per step. On the GPU, where nobody takes the time, this may be one
  // launch (see PlanRun). Blobs that were not kept get `net` as the source of
  // their values.
  float Run(const Poll& poll, std::vector<StepTime>* times);

  int last() const { return last_; }
  // Whether it was made for the present mode, precision and shapes.
  bool current() const {
    return arena_->current(KindOfValues(true)) && net_->HasShapes(shapes_);
  }
  // Its memory on the GPU, and how much a plan takes for blobs that is not
  // made.
  size_t gpu_bytes() const { return arena_->gpu_bytes() + stack_.bytes(); }
  static size_t ArenaBytes(Net<float>* net, int last,
                           const std::vector<bool>& keep);
  const PlanRun& plan_run() const { return *run_; }

 private:
  explicit Plan(Net<float>* net, int last) : net_(net), last_(last) {}
  void PrepareRun();
  void RunStep(PlanStep* step);
  void TimeSteps(const Poll& poll, std::vector<StepTime>* times);
  // What has memory of its own, and how all else lies.
  std::set<const Storage<float>*> Staying(const std::vector<bool>& keep) const;
  ArenaLayout Layout(const std::vector<bool>& keep) const;
  void PlaceInArena(const std::vector<bool>& keep);
  NextWeights WeightsBehind(const PlanStep* step) const;
  void WidenKept();
  void LoseOthers();

  Net<float>* net_;
  int last_;
  std::vector<Shape> shapes_;  // of all blobs
  std::vector<PlanStep> steps_;
  std::unique_ptr<PlanArena> arena_;
  std::unique_ptr<PlanWorkspace> workspace_;
  std::vector<int> lost_;  // blobs without values after a run
  std::vector<int> kept_;  // and those with
  float loss_ = 0;         // of the run so far
  GpuStack stack_;
  std::unique_ptr<PlanRun> run_;
};

}  // namespace p3d

#endif  // P3D_ENGINE_PLAN_HPP_
