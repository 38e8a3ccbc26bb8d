#include "engine/plan_graph.hpp"

#include <atomic>
#include <set>

#include "kernels/error.hpp"

namespace p3d {
namespace {

using Storages = std::set<Storage<float>*>;

std::atomic<int64_t> the_launches{0};

Storages InputsOf(const Net<float>& net) {
  Storages inputs;
  for (int id : net.source_tops()) inputs.insert(&net.blobs()[id]->storage());
  return inputs;
}

Storages TopsOf(const Net<float>& net, const PlanStep& step) {
  if (step.convolution) return {&step.y->storage()};
  Storages tops;
  for (const Blob<float>* blob : net.top(step.layers[0])) {
    tops.insert(&blob->storage());
  }
  return tops;
}

// Whether one run of the step does what the next will do.
bool Replayable(const Net<float>& net, const PlanStep& step,
                const Storages& inputs) {
  const Layer<float>& layer = *net.layers()[step.layers[0]];
  if (layer.side() != Side::kGpu || !layer.Replayable()) return false;
  // The loss is added up on the host.
  for (int id : net.top_ids(step.layers[0])) {
    if (net.loss_weights()[id] != 0) return false;
  }
  // Written in place, an input is another one in the next run.
  for (Storage<float>* top : TopsOf(net, step)) {
    if (inputs.count(top)) return false;
  }
  return true;
}

}  // namespace

std::unique_ptr<PlanGraph> PlanGraph::Make(const Net<float>& net,
                                           const std::vector<PlanStep>& steps) {
  const Storages inputs = InputsOf(net);
  for (const PlanStep& step : steps) {
    if (!Replayable(net, step, inputs)) return nullptr;
  }
  return std::unique_ptr<PlanGraph>(new PlanGraph(net, steps));
}

PlanGraph::PlanGraph(const Net<float>& net,
                     const std::vector<PlanStep>& steps) {
  Storages params, tops;
  for (const PlanStep& step : steps) {
    for (int i : step.layers) {
      for (const auto& blob : net.layers()[i]->blobs()) {
        params.insert(&blob->storage());
      }
    }
    for (Storage<float>* top : TopsOf(net, step)) tops.insert(top);
  }
  for (Storage<float>* storage : InputsOf(net))
    inputs_.push_back({storage, 0, {}});
  for (Storage<float>* storage : params) params_.push_back({storage, 0, {}});
  for (Storage<float>* storage : tops) tops_.push_back({storage, 0, {}});
}

int64_t PlanGraph::launches() { return the_launches; }

void PlanGraph::Run(const std::function<void()>& steps) {
  if (!refusal_.empty() || !Ready()) return RunSteps(steps);
  if (!graph_ && !Capture(steps)) return RunSteps(steps);
  Gpu().LaunchGraph(graph_.get());
  ++the_launches;
  for (const Values& top : tops_) top.storage->WroteOnGpu(top.on_gpu);
}

bool PlanGraph::Ready() {
  if (!known_) return false;
  for (const Values& param : params_) {
    if (param.storage->version() != param.version) return false;
  }
  for (const auto* all : {&inputs_, &params_}) {
    for (const Values& values : *all) {
      values.storage->BringToGpu(values.on_gpu);
    }
  }
  for (const auto* all : {&inputs_, &params_, &tops_}) {
    for (const Values& values : *all) {
      if (!values.storage->on_gpu().SameMemory(values.on_gpu)) return false;
    }
  }
  return true;
}

void PlanGraph::Look(std::vector<Values>* all) {
  for (Values& values : *all) {
    values.version = values.storage->version();
    values.on_gpu = values.storage->on_gpu();
  }
}

void PlanGraph::RunSteps(const std::function<void()>& steps) {
  graph_.reset();
  known_ = false;
  steps();
  for (auto* all : {&inputs_, &params_, &tops_}) Look(all);
  known_ = true;
}

// What the kernels read is true before them, what they made behind them.
bool PlanGraph::Capture(const std::function<void()>& steps) {
  for (auto* all : {&inputs_, &params_}) Look(all);
  try {
    graph_.reset(Gpu().CaptureGraph(steps));
  } catch (const Error& error) {
    refusal_ = error.what();
    return false;
  }
  Look(&tops_);
  return true;
}

}  // namespace p3d
