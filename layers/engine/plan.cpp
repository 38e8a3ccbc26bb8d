#include "engine/plan.hpp"

#include <algorithm>
#include <chrono>
#include <map>
#include <set>

#include "engine/layers/convolution_layer.hpp"
#include "engine/plan_builder.hpp"
#include "kernels/error.hpp"

namespace p3d {

std::unique_ptr<Plan> Plan::Make(Net<float>* net, int last,
                                 const std::vector<bool>& keep,
                                 const std::vector<bool>& runs) {
  std::unique_ptr<Plan> plan(new Plan(net, last));
  plan->shapes_ = net->Shapes();
  plan->steps_ = MakePlanSteps(net, last, keep, runs, false);
  plan->workspace_.reset(new PlanWorkspace(plan->steps_));
  plan->PlaceInArena(keep);
  plan->PrepareRun();
  return plan;
}

size_t Plan::ArenaBytes(Net<float>* net, int last,
                        const std::vector<bool>& keep) {
  Plan plan(net, last);
  plan.steps_ = MakePlanSteps(net, last, keep, {}, false);
  return plan.Layout(keep).Solve() * BytesOf(KindOfValues(true));
}

std::set<const Storage<float>*> Plan::Staying(
    const std::vector<bool>& keep) const {
  std::set<const Storage<float>*> stay;
  for (size_t id = 0; id < keep.size(); ++id) {
    if (keep[id]) stay.insert(&net_->blobs()[id]->storage());
  }
  for (int id : net_->source_tops()) {
    stay.insert(&net_->blobs()[id]->storage());
  }
  return stay;
}

ArenaLayout Plan::Layout(const std::vector<bool>& keep) const {
  const std::set<const Storage<float>*> stay = Staying(keep);
  ArenaLayout layout;
  for (size_t s = 0; s < steps_.size(); ++s) {
    const PlanStep& step = steps_[s];
    const auto use = [&](const Blob<float>* blob) {
      if (!blob || stay.count(&blob->storage())) return;
      layout.Use(&blob->storage(), blob->count(), static_cast<int>(s));
    };
    if (step.convolution) {
      use(step.x);
      use(step.residual);
      use(step.y);
      // A sum in place: one blob less passes through the caches.
      if (step.residual && &step.residual->storage() != &step.x->storage()) {
        layout.Inherit(&step.y->storage(), &step.residual->storage(),
                       static_cast<int>(s));
      }
    } else {
      for (Blob<float>* blob : net_->bottom(step.layers[0])) use(blob);
      for (Blob<float>* blob : net_->top(step.layers[0])) use(blob);
    }
  }
  return layout;
}

void Plan::PlaceInArena(const std::vector<bool>& keep) {
  const std::set<const Storage<float>*> stay = Staying(keep);
  std::set<int> made;
  for (int i = 0; i <= last_; ++i) {
    for (int id : net_->top_ids(i)) made.insert(id);
  }
  for (int id : made) {
    Storage<float>* storage = &net_->blobs()[id]->storage();
    if (keep[id]) {
      kept_.push_back(id);
      for (Side side : {Side::kHost, Side::kGpu}) {
        storage->Bind(nullptr, side);
        storage->BindNarrow(nullptr, side);
      }
    }
    if (!stay.count(storage)) lost_.push_back(id);
  }
  ArenaLayout layout = Layout(keep);
  arena_.reset(new PlanArena(&layout, KindOfValues(true)));
}

// The weights of the first convolution behind `step`, packed. Not where both
// share theirs: packing them for the next would free what this one is about to
// read. Nor on the GPU, where packed ones would take the place of its own.
NextWeights Plan::WeightsBehind(const PlanStep* step) const {
  if (!step->convolution || arena_->side() == Side::kGpu) return NextWeights();
  const PlanStep* const end = steps_.data() + steps_.size();
  const Storage<float>* own = &step->convolution->blobs()[0]->storage();
  do {
    if (++step == end) return NextWeights();
  } while (!step->convolution);
  if (&step->convolution->blobs()[0]->storage() == own) return NextWeights();
  return {step->convolution->packed_weights().get(),
          step->convolution->packed_size()};
}

void Plan::PrepareRun() {
  std::vector<PlanAction> actions;
  for (PlanStep& step : steps_) {
    PlanStep* const s = &step;
    actions.push_back(
        {[=] { RunStep(s); }, s->Replayable(*net_), [=] { s->Refresh(net_); }});
  }
  run_.reset(new PlanRun(std::move(actions), &stack_));
}

float Plan::Run(const Poll& poll, std::vector<StepTime>* times) {
  // However the run ends, no blob may go on pointing into the arena.
  struct Ending {
    ~Ending() { plan->LoseOthers(); }
    Plan* plan;
  } ending{this};
  arena_->Bind();
  loss_ = 0;
  if (times) {
    TimeSteps(poll, times);
  } else {
    run_->Run(poll);
  }
  for (PlanStep& step : steps_) step.Verify(net_);
  WidenKept();
  return loss_;
}

void Plan::RunStep(PlanStep* step) {
  loss_ += step->Run(net_, *workspace_, WeightsBehind(step));
  step->CheckShapes(*net_, shapes_);
}

void Plan::TimeSteps(const Poll& poll, std::vector<StepTime>* times) {
  using Clock = std::chrono::steady_clock;
  for (PlanStep& step : steps_) {
    if (poll) poll();
    const Clock::time_point start = Clock::now();
    RunStep(&step);
    Finish();
    times->push_back(step.Describe(*net_));
    times->back().milliseconds =
        std::chrono::duration<double, std::milli>(Clock::now() - start).count();
  }
}

// Whoever asks for them wants floats.
void Plan::WidenKept() {
  const Side side = arena_->side();
  for (int id : kept_) {
    const Blob<float>& blob = *net_->blobs()[id];
    if (blob.storage().narrow(side)) blob.data(blob.order(side), side);
  }
}

void Plan::LoseOthers() {
  arena_->Unbind();
  Net<float>* net = net_;
  for (int id : lost_) {
    net->blobs()[id]->storage().SetSource([net, id] { net->Recompute(id); });
  }
}

}  // namespace p3d
