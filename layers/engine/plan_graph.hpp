#ifndef P3D_ENGINE_PLAN_GRAPH_HPP_
#define P3D_ENGINE_PLAN_GRAPH_HPP_

#include <cstdint>
#include <functional>
#include <list>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "engine/gpu.hpp"
#include "engine/storage_log.hpp"

namespace p3d {

// What a plan does at a time.
struct PlanAction {
  std::function<void()> run;
  // Whether, once it was done, it only launches kernels, see Layer::Replayable.
  bool replayable = false;
  // What the host has to do before a graph runs it, see Layer::Refresh.
  std::function<void()> refresh;
};

// Replayable actions in a row as CUDA graphs: a run is one launch then instead
// of hundreds. A graph knows nothing but addresses and numbers. So a first run
// goes step by step, which brings the weights to the GPU and finds room for all
// there is; the second is captured, with what was true of every array that it
// asked for: where it lies, and which of its copies hold (see StorageLog). For
// as long as that is so again a run is a launch, and leaves said what the steps
// would leave said. If not, it goes step by step, and the next is captured too:
// the first of several batches whose gradients add up is another one than those
// that follow. Where no graph can be captured, all runs go step by step.
class PlanGraph {
 public:
  using Poll = std::function<void()>;

  // Scratch memory of the actions is on `stack`, which outlives this.
  PlanGraph(std::vector<PlanAction> actions, GpuStack* stack)
      : actions_(std::move(actions)), stack_(stack) {}

  // `poll` is called between actions, or before a launch.
  void Run(const Poll& poll);

  // Whether there is a graph for runs like one that was.
  bool captured() const { return !graphs_.empty(); }
  // Why no graph can be captured, "" where one can or nobody tried.
  std::string refusal() const { return given_up() ? refusal_ : ""; }

  // Of all graphs so far.
  static int64_t launches();

 private:
  using Places = Storage<float>::Places;
  struct Release {
    void operator()(CUgraphExec_st* graph) const { Gpu().ReleaseGraph(graph); }
  };
  struct Array {
    StorageLog::Entry entry;
    Places after;
    bool written;
    bool changed() const { return written || !after.SameOnGpu(entry.before); }
  };
  struct Graph {
    std::unique_ptr<CUgraphExec_st, Release> graph;
    std::vector<Array> arrays;
    const void* stack;  // its memory
  };

  static std::vector<Array> Arrays(const StorageLog& log);
  bool given_up() const { return failures_ >= kMostFailures; }
  // Brings to the GPU what a step would bring there.
  void Bring() const;
  const Graph* Find() const;
  // Null where it fails: then it is as if nobody had tried.
  const Graph* Capture();
  static void Launch(const Graph& graph);
  void RunSteps(const Poll& poll);
  // The same, from which a Capture knows what it needs.
  void RunNoted(const Poll& poll);

  static constexpr int kMostFailures = 2;  // in a row
  static constexpr size_t kMostGraphs = 4;

  const std::vector<PlanAction> actions_;
  GpuStack* const stack_;
  std::list<Graph> graphs_;    // the newest last
  std::vector<Array> arrays_;  // of the last run step by step
  bool stepped_ = false;       // there was one since the last capture
  int failures_ = 0;
  std::string refusal_;
};

}  // namespace p3d

#endif  // P3D_ENGINE_PLAN_GRAPH_HPP_
