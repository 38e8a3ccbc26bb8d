#include "engine/plan_run.hpp"

#include <algorithm>
#include <cstdlib>
#include <cstring>

namespace p3d {
namespace {

bool GraphsWanted() {
  const char* text = std::getenv("P3D_GRAPHS");
  return !text || std::strcmp(text, "0") != 0;
}

}  // namespace

PlanRun::PlanRun(std::vector<PlanAction> actions, GpuStack* stack) {
  const bool graphs = GraphsWanted();
  std::vector<PlanAction> row;
  const auto end_row = [&] {
    if (row.empty()) return;
    parts_.emplace_back();
    parts_.back().graph.reset(new PlanGraph(std::move(row), stack));
    row.clear();
  };
  for (PlanAction& action : actions) {
    if (action.replayable && graphs) {
      row.push_back(std::move(action));
      continue;
    }
    end_row();
    parts_.emplace_back();
    parts_.back().action = std::move(action);
  }
  end_row();
}

void PlanRun::Run(const Poll& poll) {
  for (const Part& part : parts_) {
    if (part.graph) {
      part.graph->Run(poll);
      continue;
    }
    if (poll) poll();
    part.action.run();
  }
}

int PlanRun::graphs() const {
  return static_cast<int>(std::count_if(
      parts_.begin(), parts_.end(),
      [](const Part& part) { return part.graph && part.graph->captured(); }));
}

std::string PlanRun::refusal() const {
  for (const Part& part : parts_) {
    if (part.graph && !part.graph->refusal().empty()) {
      return part.graph->refusal();
    }
  }
  return "";
}

}  // namespace p3d
