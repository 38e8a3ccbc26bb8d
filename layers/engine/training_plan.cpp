#include "engine/training_plan.hpp"

#include <algorithm>

#include "engine/layers/convolution_layer.hpp"
#include "kernels/eltwise.hpp"
#include "kernels/epilogue_backward.hpp"

namespace p3d {

std::unique_ptr<TrainingPlan> TrainingPlan::Make(
    Net<float>* net, const std::vector<bool>& keep) {
  std::unique_ptr<TrainingPlan> plan(new TrainingPlan(net));
  if (!plan->FindRoots()) return nullptr;
  const int last = static_cast<int>(net->layers().size()) - 1;
  plan->steps_ = MakePlanSteps(net, last, keep, true);
  plan->workspace_.reset(
      new Buffer(PlanWorkspace(plan->steps_) * sizeof(float)));
  plan->FindLost(keep);
  plan->PlaceInArena();
  return plan;
}

bool TrainingPlan::FindRoots() {
  for (const auto& blob : net_->blobs()) roots_[blob.get()] = blob.get();
  for (size_t i = 0; i < net_->layers().size(); ++i) {
    const auto& bottoms = net_->bottom(static_cast<int>(i));
    const auto& tops = net_->top(static_cast<int>(i));
    if (net_->layers()[i]->role() != Role::kIdentity) continue;
    for (const Blob<float>* top : tops) roots_[top] = roots_[bottoms[0]];
    for (int id : net_->top_ids(static_cast<int>(i))) {
      if (net_->loss_weights()[id] != 0) return false;
    }
  }
  return true;
}

void TrainingPlan::FindLost(const std::vector<bool>& keep) {
  for (size_t s = 0; s < steps_.size(); ++s) {
    if (!steps_[s].convolution) continue;
    for (int i : steps_[s].layers) {
      const int id = net_->top_ids(i)[0];
      if (net_->blobs()[id].get() == steps_[s].y || keep[id]) continue;
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

Storage<float>& TrainingPlan::gradient(const Blob<float>* blob) const {
  return roots_.at(blob)->diff_storage();
}

size_t TrainingPlan::Bytes(Net<float>* net, const std::vector<bool>& keep) {
  TrainingPlan plan(net);
  if (!plan.FindRoots()) return 0;
  const int last = static_cast<int>(net->layers().size()) - 1;
  plan.steps_ = MakePlanSteps(net, last, keep, true);
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
  return count * sizeof(float);
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
      use(step->y, &gradient(step->y));
      if (residual_back(*step)) use(step->residual, &gradient(step->residual));
      if (wanted[0]) use(step->x, &gradient(step->x));
      continue;
    }
    for (int id : net_->top_ids(first)) {
      const Blob<float>* top = net_->blobs()[id].get();
      if (net_->loss_weights()[id] == 0) use(top, &top->diff_storage());
    }
    for (size_t b = 0; b < wanted.size(); ++b) {
      const Blob<float>* bottom = net_->bottom(first)[b];
      if (!wanted[b]) continue;
      use(bottom, &gradient(bottom));
      use(bottom, &bottom->diff_storage());
    }
  }
  return layout;
}

void TrainingPlan::PlaceInArena() {
  ArenaLayout layout = Layout();
  arena_.reset(new SideBuffer(mode(), layout.Solve() * sizeof(float)));
  places_ = layout.places();
  for (const auto& place : places_) gradients_.insert(place.first);
  for (size_t i = 0; i < net_->layers().size(); ++i) {
    const std::vector<bool>& wanted = net_->bottom_needs_backward_[i];
    for (size_t b = 0; b < wanted.size(); ++b) {
      const Blob<float>* bottom = net_->bottom(static_cast<int>(i))[b];
      if (wanted[b]) gradients_.insert(&bottom->diff_storage());
    }
  }
}

float TrainingPlan::Forward(const Poll& poll) {
  float loss = 0;
  for (PlanStep& step : steps_) {
    if (poll) poll();
    const int layer = step.layers[0];
    if (!step.convolution) {
      loss += net_->RunLayer(layer);
      continue;
    }
    net_->InLayer(net_->layers()[layer]->spec(), [&] {
      step.Convolve(*net_, static_cast<float*>(workspace_->data()));
    });
  }
  Net<float>* net = net_;
  for (const auto& lost : lost_) {
    const int id = lost.first;
    const std::vector<int> layers = steps_[lost.second].layers;
    net->blobs()[id]->storage().SetSource([net, id, layers] {
      for (int i : layers) {
        if (net->top_ids(i)[0] == id) net->RunLayer(i);
      }
    });
  }
  return loss;
}

void TrainingPlan::Backward(const Poll& poll) {
  // However the run ends, no gradient may go on pointing into the arena.
  struct Ending {
    ~Ending() { plan->LoseGradients(); }
    TrainingPlan* plan;
  } ending{this};
  Bind();
  for (auto step = steps_.rbegin(); step != steps_.rend(); ++step) {
    if (poll) poll();
    if (!active(*step)) continue;
    const int layer = step->layers[0];
    net_->InLayer(net_->layers()[layer]->spec(), [&] {
      if (step->convolution) {
        BackwardConvolution(&*step);
      } else {
        BackwardLayer(layer);
      }
    });
  }
}

void TrainingPlan::BackwardConvolution(PlanStep* step) {
  const Order order = Order::kChannelsLast;
  const Side side = step->convolution->side();
  const Geometry out = step->y->geometry();
  float* dy = gradient(step->y).mutable_data(order, out, side);
  float* dresidual = nullptr;
  bool add = false;
  if (residual_back(*step)) {
    Storage<float>& storage = gradient(step->residual);
    add = storage.has_values();
    dresidual = add ? storage.mutable_data(order, out, side)
                    : storage.write_data(order, out, side);
  }
  const int64_t rows = out.num * out.pixels;
  const float* y = step->y->data(order, side);
  RunOn<float>(side, EpilogueBackward, &cuda::Kernels<float>::EpilogueBackward,
               step->epilogue, rows, out.channels, y, dy, dresidual, add);
  if (!convolves_back(*step)) return;
  Storage<float>* dx = &gradient(step->x);
  if (!net_->bottom_needs_backward_[step->layers[0]][0]) dx = nullptr;
  step->convolution->MakeGradients(dy, *step->x, dx, dx && dx->has_values());
}

// A layer overwrites the gradients of its bottoms. Where others read the same
// blob through a split, each has written to a gradient of its own.
void TrainingPlan::BackwardLayer(int layer) {
  const std::vector<bool>& wanted = net_->bottom_needs_backward_[layer];
  net_->layers()[layer]->Backward(net_->top(layer), wanted,
                                  net_->bottom(layer));
  for (size_t b = 0; b < wanted.size(); ++b) {
    const Blob<float>* bottom = net_->bottom(layer)[b];
    Storage<float>& sum = gradient(bottom);
    if (!wanted[b] || &sum == &bottom->diff_storage()) continue;
    const Side side = arena_->side();
    const Order order = bottom->diff_order(side);
    const Geometry geometry = bottom->geometry();
    std::vector<const float*> parts = {bottom->diff(order, side)};
    if (sum.has_values()) parts.push_back(sum.data(order, geometry, side));
    RunOn<float>(side, EltwiseSum<float>, &cuda::Kernels<float>::EltwiseSum,
                 parts, std::vector<float>(parts.size(), 1.f), bottom->count(),
                 sum.write_data(order, geometry, side));
  }
}

void TrainingPlan::Bind() {
  float* arena = static_cast<float*>(arena_->data());
  for (const auto& place : places_) {
    place.first->SetSource(nullptr);
    place.first->Bind(arena + place.second, arena_->side());
  }
}

void TrainingPlan::LoseGradients() {
  Net<float>* net = net_;
  for (const auto& place : places_) {
    place.first->Bind(nullptr, arena_->side());
  }
  for (Storage<float>* gradient : gradients_) {
    gradient->SetSource([net] { net->RecomputeDiffs(); });
  }
}

}  // namespace p3d
