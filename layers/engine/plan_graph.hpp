#ifndef P3D_ENGINE_PLAN_GRAPH_HPP_
#define P3D_ENGINE_PLAN_GRAPH_HPP_

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "engine/gpu.hpp"
#include "engine/plan_step.hpp"

namespace p3d {

// A plan's steps on the GPU as one CUDA graph: a forward is one launch then
// instead of hundreds. A graph knows nothing but addresses and numbers. So a
// first run goes step by step, which brings the weights to the GPU and finds
// room for all there is; the second is captured; and that is launched for as
// long as the weights are the same ones and everything lies where it lay. If
// not, a run goes step by step again. Where no graph can be captured, all do.
class PlanGraph {
 public:
  // Null where a step does more than launch kernels (see Layer::Replayable).
  static std::unique_ptr<PlanGraph> Make(const Net<float>& net,
                                         const std::vector<PlanStep>& steps);

  // Does what `steps` does, which runs all steps.
  void Run(const std::function<void()>& steps);

  // Whether the next run can be one launch.
  bool captured() const { return graph_ != nullptr; }
  // Why no graph can be captured, "" where one can or nobody tried.
  const std::string& refusal() const { return refusal_; }

  // Of all graphs so far.
  static int64_t launches();

 private:
  struct Values {
    Storage<float>* storage;
    uint64_t version;
    Storage<float>::OnGpu on_gpu;
  };
  struct Release {
    void operator()(CUgraphExec_st* graph) const { Gpu().ReleaseGraph(graph); }
  };

  PlanGraph(const Net<float>& net, const std::vector<PlanStep>& steps);
  // Brings to the GPU what has to be there; false where the graph, or one that
  // is captured now, would not do what the steps do.
  bool Ready();
  static void Look(std::vector<Values>* all);
  void RunSteps(const std::function<void()>& steps);
  bool Capture(const std::function<void()>& steps);

  // As they were after the last run step by step, or around the capture.
  std::vector<Values> inputs_, params_, tops_;
  bool known_ = false;  // they are
  std::string refusal_;
  std::unique_ptr<CUgraphExec_st, Release> graph_;
};

}  // namespace p3d

#endif  // P3D_ENGINE_PLAN_GRAPH_HPP_
