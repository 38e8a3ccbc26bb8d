#include "engine/plan_graph.hpp"

#include <algorithm>
#include <atomic>
#include <exception>

#include "kernels/error.hpp"

namespace p3d {
namespace {

std::atomic<int64_t> the_launches{0};

}  // namespace

constexpr int PlanGraph::kMostFailures;
constexpr size_t PlanGraph::kMostGraphs;

int64_t PlanGraph::launches() { return the_launches; }

void PlanGraph::Run(const Poll& poll) {
  if (given_up()) return RunSteps(poll);
  if (poll) poll();
  for (const PlanAction& action : actions_) {
    if (action.refresh) action.refresh();
  }
  Bring();
  const Graph* graph = Find();
  if (!graph && stepped_) graph = Capture();
  if (!graph) return RunNoted(poll);
  Launch(*graph);
}

void PlanGraph::Bring() const {
  for (const Array& array : arrays_) {
    if (!array.entry.made) array.entry.storage->BringToGpu(array.after);
  }
}

const PlanGraph::Graph* PlanGraph::Find() const {
  const auto same = [](const Array& array) {
    const Places now = array.entry.storage->places();
    return array.entry.made ? now.SameMemory(array.entry.before)
                            : now.SameOnGpu(array.entry.before);
  };
  for (const Graph& graph : graphs_) {
    if (graph.stack == stack_->memory() &&
        std::all_of(graph.arrays.begin(), graph.arrays.end(), same)) {
      return &graph;
    }
  }
  return nullptr;
}

const PlanGraph::Graph* PlanGraph::Capture() {
  stepped_ = false;
  const StorageLog log;
  Graph graph;
  graph.stack = stack_->memory();
  try {
    const GpuStack::Use use(stack_);
    graph.graph.reset(Gpu().CaptureGraph([this] {
      for (const PlanAction& action : actions_) action.run();
    }));
    graph.arrays = Arrays(log);
    for (const Array& array : graph.arrays) {
      Check(array.after.SameMemory(array.entry.before),
            "a graph would read memory that is released");
    }
  } catch (const std::exception& error) {
    for (const StorageLog::Entry& entry : log.entries()) {
      entry.storage->Restore(entry.before);
    }
    refusal_ = error.what();
    ++failures_;
    return nullptr;
  }
  failures_ = 0;
  graphs_.push_back(std::move(graph));
  if (graphs_.size() > kMostGraphs) graphs_.pop_front();
  return &graphs_.back();
}

void PlanGraph::Launch(const Graph& graph) {
  Gpu().LaunchGraph(graph.graph.get());
  ++the_launches;
  for (const Array& array : graph.arrays) {
    if (array.changed()) {
      array.entry.storage->Replayed(array.after, array.written);
    }
  }
}

void PlanGraph::RunSteps(const Poll& poll) {
  const GpuStack::Use use(stack_);
  for (const PlanAction& action : actions_) {
    if (poll) poll();
    action.run();
  }
}

void PlanGraph::RunNoted(const Poll& poll) {
  if (given_up()) return RunSteps(poll);  // since just now
  const StorageLog log;
  RunSteps(poll);
  arrays_ = Arrays(log);
  stepped_ = true;
  try {
    stack_->Grow();
  } catch (const cuda::OutOfMemory& error) {
    refusal_ = error.what();
    failures_ = kMostFailures;
  }
}

std::vector<PlanGraph::Array> PlanGraph::Arrays(const StorageLog& log) {
  std::vector<Array> arrays;
  for (const StorageLog::Entry& entry : log.entries()) {
    arrays.push_back({entry, entry.storage->places(),
                      entry.storage->version() != entry.version});
  }
  return arrays;
}

}  // namespace p3d
