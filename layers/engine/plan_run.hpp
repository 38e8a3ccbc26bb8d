#ifndef P3D_ENGINE_PLAN_RUN_HPP_
#define P3D_ENGINE_PLAN_RUN_HPP_

#include <string>
#include <vector>

#include "engine/plan_graph.hpp"

namespace p3d {

// Runs the actions of a plan in their order: those in a row that are replayable
// as a PlanGraph, the others one by one; all where the environment says
// P3D_GRAPHS=0 when it is made.
class PlanRun {
 public:
  using Poll = PlanGraph::Poll;

  // See PlanGraph.
  PlanRun(std::vector<PlanAction> actions, GpuStack* stack);

  void Run(const Poll& poll);

  // Whether a run can be one launch.
  bool one_graph() const {
    return parts_.size() == 1 && parts_[0].graph && parts_[0].graph->captured();
  }
  // How many graphs there are.
  int graphs() const;
  // Why a part that should be a graph cannot, or "".
  std::string refusal() const;

 private:
  struct Part {
    std::unique_ptr<PlanGraph> graph;
    PlanAction action;  // where that is null
  };
  std::vector<Part> parts_;
};

}  // namespace p3d

#endif  // P3D_ENGINE_PLAN_RUN_HPP_
