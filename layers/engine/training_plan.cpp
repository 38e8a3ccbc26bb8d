#include "engine/training_plan.hpp"

#include <algorithm>

#include "engine/layers/convolution_layer.hpp"
#include "engine/plan_builder.hpp"
#include "kernels/eltwise.hpp"
#include "kernels/epilogue_backward.hpp"

namespace p3d {

std::unique_ptr<TrainingPlan> TrainingPlan::Make(
    Net<float>* net, const std::vector<bool>& keep) {
  std::unique_ptr<TrainingPlan> plan(new TrainingPlan(net));
  if (!plan->FindRoots()) return nullptr;
  plan->shapes_ = net->Shapes();
  const int last = static_cast<int>(net->layers().size()) - 1;
  plan->steps_ = MakePlanSteps(net, last, keep, {}, true);
  plan->workspace_.reset(new PlanWorkspace(plan->steps_));
  plan->FindLost(keep);
  plan->PlaceInArena();
  plan->PrepareRuns();
  return plan;
}

// An in-place layer makes another value of a blob: those who read it from then
// on share nothing with whatever the one before was shared with.
bool TrainingPlan::FindRoots() {
  std::map<Blob<float>*, Blob<float>*> roots;
  const auto root_of = [&](Blob<float>* blob) {
    return roots.emplace(blob, blob).first->second;
  };
  const int layers = static_cast<int>(net_->layers().size());
  bottom_roots_.resize(layers);
  top_roots_.resize(layers);
  for (int i = 0; i < layers; ++i) {
    for (Blob<float>* bottom : net_->bottom(i)) {
      bottom_roots_[i].push_back(root_of(bottom));
    }
    const bool shares = net_->layers()[i]->role() == Role::kIdentity;
    for (Blob<float>* top : net_->top(i)) {
      roots[top] = shares ? bottom_roots_[i][0] : top;
      top_roots_[i].push_back(roots[top]);
    }
    for (int id : net_->top_ids(i)) {
      const bool same = shares || net_->InPlace(i, id);
      if (same && net_->loss_weights()[id] != 0) return false;
    }
  }
  return true;
}

void TrainingPlan::FindLost(const std::vector<bool>& keep) {
  for (size_t s = 0; s < steps_.size(); ++s) {
    if (!steps_[s].convolution) continue;
    for (int i : steps_[s].layers) {
      const int id = net_->top_ids(i)[0];
      // A blob behind a reshape of the same shape has the storage of the
      // former.
      const Storage<float>& made = steps_[s].y->storage();
      if (&net_->blobs()[id]->storage() == &made || keep[id]) continue;
      lost_.emplace_back(id, s);
    }
  }
}

bool TrainingPlan::active(const PlanStep& step) const {
  return net_->layer_needs_backward_[step.layers.back()];
}

bool TrainingPlan::convolves_back(const PlanStep& step) const {
  return net_->layer_needs_backward_[step.layers[0]];
}

bool TrainingPlan::residual_back(const PlanStep& step) const {
  return step.residual &&
         net_->bottom_needs_backward_[step.sum][step.residual_bottom];
}

Storage<float>& TrainingPlan::bottom_gradient(int layer, size_t bottom) const {
  return bottom_roots_[layer][bottom]->diff_storage();
}

Storage<float>& TrainingPlan::y_gradient(const PlanStep& step) const {
  return top_roots_[step.layers.back()][0]->diff_storage();
}

Storage<float>& TrainingPlan::x_gradient(const PlanStep& step) const {
  return bottom_gradient(step.layers[0], 0);
}

Storage<float>& TrainingPlan::residual_gradient(const PlanStep& step) const {
  return bottom_gradient(step.sum, step.residual_bottom);
}

size_t TrainingPlan::Bytes(Net<float>* net, const std::vector<bool>& keep) {
  TrainingPlan plan(net);
  if (!plan.FindRoots()) return 0;
  const int last = static_cast<int>(net->layers().size()) - 1;
  plan.steps_ = MakePlanSteps(net, last, keep, {}, true);
  std::map<const Storage<float>*, int64_t> kept;
  for (const PlanStep& step : plan.steps_) {
    if (step.convolution) {
      kept[&step.y->storage()] = step.y->count();
      continue;
    }
    for (const Blob<float>* top : net->top(step.layers[0])) {
      kept[&top->storage()] = top->count();
    }
  }
  int64_t count = plan.Layout().Solve();
  for (const auto& values : kept) count += values.second;
  return count * BytesOf(KindOfValues(false));
}

ArenaLayout TrainingPlan::Layout() const {
  ArenaLayout layout;
  int time = 0;
  const auto use = [&](const Blob<float>* blob, Storage<float>* storage) {
    layout.Use(storage, blob->count(), time);
  };
  for (auto step = steps_.rbegin(); step != steps_.rend(); ++step, ++time) {
    if (!active(*step)) continue;
    const int first = step->layers[0];
    const std::vector<bool>& wanted = net_->bottom_needs_backward_[first];
    if (step->convolution) {
      use(step->y, &y_gradient(*step));
      if (residual_back(*step)) {
        use(step->residual, &residual_gradient(*step));
      }
      if (wanted[0]) use(step->x, &x_gradient(*step));
      continue;
    }
    for (int id : net_->top_ids(first)) {
      const Blob<float>* top = net_->blobs()[id].get();
      if (net_->loss_weights()[id] == 0) use(top, &top->diff_storage());
    }
    for (size_t b = 0; b < wanted.size(); ++b) {
      const Blob<float>* bottom = net_->bottom(first)[b];
      if (!wanted[b]) continue;
      use(bottom, &bottom_gradient(first, b));
      use(bottom, &bottom->diff_storage());
    }
  }
  return layout;
}

void TrainingPlan::PlaceInArena() {
  ArenaLayout layout = Layout();
  arena_.reset(new PlanArena(&layout, KindOfValues(false)));
  for (const auto& place : arena_->places()) gradients_.insert(place.first);
  for (size_t i = 0; i < net_->layers().size(); ++i) {
    const std::vector<bool>& wanted = net_->bottom_needs_backward_[i];
    for (size_t b = 0; b < wanted.size(); ++b) {
      const Blob<float>* bottom = net_->bottom(static_cast<int>(i))[b];
      if (wanted[b]) gradients_.insert(&bottom->diff_storage());
    }
  }
}

void TrainingPlan::PrepareRuns() {
  std::vector<PlanAction> forward, backward;
  for (PlanStep& step : steps_) {
    PlanStep* const s = &step;
    const auto run = [=] {
      loss_ += s->Run(net_, *workspace_);
      s->CheckShapes(*net_, shapes_);
    };
    forward.push_back({run, s->Replayable(*net_), [=] { s->Refresh(net_); }});
  }
  for (auto step = steps_.rbegin(); step != steps_.rend(); ++step) {
    if (!active(*step)) continue;
    PlanStep* const s = &*step;
    backward.push_back({[=] { BackwardStep(s); }, s->Replayable(*net_),
                        [=] { s->Refresh(net_); }});
  }
  forward_.reset(new PlanRun(std::move(forward), &stack_));
  backward_.reset(new PlanRun(std::move(backward), &stack_));
}

float TrainingPlan::Forward(const Poll& poll) {
  loss_ = 0;
  forward_->Run(poll);
  Net<float>* net = net_;
  for (PlanStep& step : steps_) step.Verify(net);
  for (const auto& lost : lost_) {
    const int id = lost.first;
    const std::vector<int> layers = steps_[lost.second].layers;
    net->blobs()[id]->storage().SetSource([net, id, layers] {
      for (int i : layers) {
        if (net->top_ids(i)[0] != id) continue;
        net->InLayer(net->layers()[i]->spec(), [&] { net->CheckShapes(i); });
        net->RunLayer(i);
      }
    });
  }
  return loss_;
}

void TrainingPlan::Backward(const Poll& poll) {
  // However the run ends, no gradient may go on pointing into the arena.
  struct Ending {
    ~Ending() { plan->LoseGradients(); }
    TrainingPlan* plan;
  } ending{this};
  Bind();
  backward_->Run(poll);
}

void TrainingPlan::BackwardStep(PlanStep* step) {
  const int layer = step->layers[0];
  net_->InLayer(net_->layers()[layer]->spec(), [&] {
    if (step->convolution) {
      BackwardConvolution(step);
    } else {
      BackwardLayer(layer);
    }
  });
  step->CheckShapes(*net_, shapes_);
}

void TrainingPlan::BackwardConvolution(PlanStep* step) {
  BackwardEpilogue(*step);
  if (!convolves_back(*step)) return;
  Storage<float>* dx = &x_gradient(*step);
  if (!net_->bottom_needs_backward_[step->layers[0]][0]) dx = nullptr;
  step->convolution->MakeGradients(y_gradient(*step), *step->y, *step->x, dx,
                                   dx && dx->has_values());
}

// What an epilogue's way back reads and writes besides y.
template <typename Value>
struct TrainingPlan::EpilogueGradients {
  Epilogue<Value> epilogue;
  int64_t rows, channels;
  Value* dy;
  Value* dresidual;
  bool add;
};

template <typename Value>
TrainingPlan::EpilogueGradients<Value> TrainingPlan::GradientsOf(
    const PlanStep& step) const {
  const Order order = Order::kChannelsLast;
  const Side side = step.convolution->side();
  const Geometry out = step.y->geometry();
  Storage<float>* other =
      residual_back(step) ? &residual_gradient(step) : nullptr;
  const bool add = other && other->has_values();
  Value* dy =
      y_gradient(step).template mutable_data_of<Value>(order, out, side);
  Value* dresidual = nullptr;
  if (add) {
    dresidual = other->template mutable_data_of<Value>(order, out, side);
  } else if (other) {
    dresidual = other->template write_data_of<Value>(order, out, side);
  }
  // Any: that there is one says that alpha and beta count.
  const Value* summand = step.residual ? dy : nullptr;
  return {step.epilogue.As<Value>(summand),
          out.num * out.pixels,
          out.channels,
          dy,
          dresidual,
          add};
}

void TrainingPlan::BackwardEpilogue(const PlanStep& step) {
  const Order order = Order::kChannelsLast;
  const Side side = step.convolution->side();
  if (side == Side::kHost && step.y->storage().narrow(side)) {
    const auto g = GradientsOf<float>(step);
    return EpilogueBackward(g.epilogue, g.rows, g.channels,
                            step.y->data_of<Bf16>(order, side), g.dy,
                            g.dresidual, g.add);
  }
  WithValues<float>(side, [&](auto kind) {
    using Value = decltype(kind);
    const auto g = GradientsOf<Value>(step);
    const Value* y = step.y->template data_of<Value>(order, side);
    RunOn<Value>(side, EpilogueBackward<float>,
                 &cuda::Kernels<Value>::EpilogueBackward, g.epilogue, g.rows,
                 g.channels, y, g.dy, g.dresidual, g.add);
  });
}

// A layer overwrites the gradients of its bottoms. Where others read the same
// blob through a split, each has written to a gradient of its own.
void TrainingPlan::BackwardLayer(int layer) {
  const std::vector<bool>& wanted = net_->bottom_needs_backward_[layer];
  net_->layers()[layer]->Backward(net_->top(layer), wanted,
                                  net_->bottom(layer));
  for (size_t b = 0; b < wanted.size(); ++b) {
    const Blob<float>* bottom = net_->bottom(layer)[b];
    Storage<float>& sum = bottom_gradient(layer, b);
    if (!wanted[b] || &sum == &bottom->diff_storage()) continue;
    Add(*bottom, &sum);
  }
}

// sum += the blob's gradient.
void TrainingPlan::Add(const Blob<float>& blob, Storage<float>* sum) {
  const Side side = arena_->side();
  WithValues<float>(side, [&](auto kind) {
    using Value = decltype(kind);
    const Order order = OrderOf<Value>(blob.diff_order(side));
    const Geometry geometry = blob.geometry();
    std::vector<const Value*> parts = {
        blob.template diff_of<Value>(order, side)};
    if (sum->has_values()) {
      parts.push_back(sum->template data_of<Value>(order, geometry, side));
    }
    RunOn<Value>(side, EltwiseSum<float>, &cuda::Kernels<Value>::EltwiseSum,
                 parts, std::vector<float>(parts.size(), 1.f), blob.count(),
                 sum->template write_data_of<Value>(order, geometry, side));
  });
}

void TrainingPlan::Bind() {
  for (const auto& place : arena_->places()) place.first->SetSource(nullptr);
  arena_->Bind();
}

void TrainingPlan::LoseGradients() {
  Net<float>* net = net_;
  arena_->Unbind();
  for (Storage<float>* gradient : gradients_) {
    gradient->SetSource([net] { net->RecomputeDiffs(); });
  }
}

}  // namespace p3d
