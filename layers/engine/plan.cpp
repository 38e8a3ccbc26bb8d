#include "engine/plan.hpp"

#include <algorithm>
#include <chrono>
#include <map>
#include <set>

#include "engine/layers/convolution_layer.hpp"
#include "engine/plan_arena.hpp"
#include "kernels/error.hpp"

namespace p3d {

// Joins layers into steps. A value is what a blob holds between two writes to
// it; an in-place layer reads one value of its blob and makes the next.
class Plan::Builder {
 public:
  Builder(Plan* plan, const std::vector<bool>& keep)
      : plan_(plan), net_(plan->net_), keep_(keep) {}

  void Build() {
    CountReaders();
    current_.assign(net_->blobs().size(), -1);
    next_value_ = 0;
    for (int i = 0; i <= plan_->last_; ++i) AddLayer(i);
  }

 private:
  struct Value {
    int readers = 0;    // layers that read it, sharing layers not counted
    bool kept = false;  // it is what a blob to keep holds in the end
    int step = -1;      // that makes it; -1: a source's
  };

  bool IsShare(int layer) const {
    return net_->layers()[layer]->role() == Role::kIdentity;
  }

  // Numbers the values in the order in which AddLayer meets them.
  void CountReaders() {
    std::vector<int> current(net_->blobs().size(), -1);
    for (int i = 0; i <= plan_->last_; ++i) {
      const bool share = IsShare(i);
      for (int blob : net_->bottom_ids(i)) {
        if (!share) ++values_[current[blob]].readers;
      }
      for (int blob : net_->top_ids(i)) {
        if (share) {
          current[blob] = current[net_->bottom_ids(i)[0]];
        } else {
          current[blob] = static_cast<int>(values_.size());
          values_.emplace_back();
        }
      }
    }
    for (size_t blob = 0; blob < current.size(); ++blob) {
      if (keep_[blob] && current[blob] >= 0) values_[current[blob]].kept = true;
    }
  }

  void AddLayer(int i) {
    if (net_->layers()[i]->Source()) {
      for (int top : net_->top_ids(i)) current_[top] = next_value_++;
      return;
    }
    if (IsShare(i)) {
      for (int top : net_->top_ids(i)) {
        current_[top] = current_[net_->bottom_ids(i)[0]];
      }
      return;
    }
    const int step = Fold(i);
    Step& target = step < 0 ? NewStep(i) : plan_->steps_[step];
    if (step >= 0) target.layers.push_back(i);
    for (int top : net_->top_ids(i)) {
      values_[next_value_].step =
          static_cast<int>(&target - plan_->steps_.data());
      current_[top] = next_value_++;
    }
    if (target.convolution) target.y = net_->top(i)[0];
  }

  Step& NewStep(int i) {
    plan_->steps_.emplace_back();
    Step& step = plan_->steps_.back();
    step.layers.push_back(i);
    if (net_->layers()[i]->role() == Role::kConvolution) {
      step.convolution =
          static_cast<ConvolutionLayer<float>*>(net_->layers()[i].get());
      step.x = net_->bottom(i)[0];
    }
    return step;
  }

  // The step into which layer i was folded, -1 if it needs one of its own.
  int Fold(int i) {
    switch (net_->layers()[i]->role()) {
      case Role::kAffine:
        return FoldAffine(i);
      case Role::kRelu:
        return FoldRelu(i);
      case Role::kSum:
        return FoldSum(i);
      default:
        return -1;
    }
  }

  // The convolution that makes this layer's bottom for this layer alone.
  Step* Producer(int i, int bottom) {
    const Value& value = values_[current_[net_->bottom_ids(i)[bottom]]];
    if (value.step < 0 || value.kept || value.readers != 1) return nullptr;
    Step* step = &plan_->steps_[value.step];
    return step->convolution ? step : nullptr;
  }

  int IndexOf(const Step* step) const {
    return static_cast<int>(step - plan_->steps_.data());
  }

  int FoldAffine(int i) {
    Step* step = Producer(i, 0);
    if (!step || step->epilogue.inner_relu || step->residual) return -1;
    step->affine.push_back(i);
    return IndexOf(step);
  }

  int FoldRelu(int i) {
    Step* step = Producer(i, 0);
    if (!step) return -1;
    (step->residual ? step->epilogue.outer_relu : step->epilogue.inner_relu) =
        true;
    return IndexOf(step);
  }

  // A sum of two goes to whichever of them is made last: by then the other is
  // there.
  int FoldSum(int i) {
    const std::vector<int>& bottoms = net_->bottom_ids(i);
    if (bottoms.size() != 2) return -1;
    const int steps[2] = {values_[current_[bottoms[0]]].step,
                          values_[current_[bottoms[1]]].step};
    if (steps[0] == steps[1]) return -1;
    const int late = steps[1] > steps[0];
    Step* step = Producer(i, late);
    if (!step || step->residual) return -1;
    const std::vector<float> coefficients = net_->layers()[i]->Coefficients(2);
    step->residual = net_->bottom(i)[1 - late];
    step->epilogue.alpha = coefficients[late];
    step->epilogue.beta = coefficients[1 - late];
    return IndexOf(step);
  }

  Plan* plan_;
  Net<float>* net_;
  const std::vector<bool>& keep_;
  std::vector<Value> values_;
  std::vector<int> current_;  // value of each blob
  int next_value_ = 0;
};

std::unique_ptr<Plan> Plan::Make(Net<float>* net, int last,
                                 const std::vector<bool>& keep) {
  std::unique_ptr<Plan> plan(new Plan(net, last));
  Builder(plan.get(), keep).Build();
  int64_t workspace = 0;
  for (Step& step : plan->steps_) {
    if (!step.convolution) continue;
    workspace = std::max(workspace, step.convolution->conv().workspace_size());
    const int64_t channels = step.y->shape(1);
    step.scale.resize(channels);
    step.shift.resize(channels);
  }
  plan->workspace_.reset(new Buffer(workspace * sizeof(float)));
  plan->PlaceInArena(keep);
  return plan;
}

void Plan::PlaceInArena(const std::vector<bool>& keep) {
  std::set<const Storage<float>*> stay;
  std::set<int> made;
  for (int i = 0; i <= last_; ++i) {
    for (int id : net_->top_ids(i)) made.insert(id);
  }
  for (int id : net_->source_tops()) {
    stay.insert(&net_->blobs()[id]->storage());
  }
  for (int id : made) {
    Storage<float>* storage = &net_->blobs()[id]->storage();
    if (keep[id]) {
      stay.insert(storage);
      storage->Bind(nullptr);
    }
  }
  for (int id : made) {
    if (!stay.count(&net_->blobs()[id]->storage())) lost_.push_back(id);
  }
  ArenaLayout layout;
  for (size_t s = 0; s < steps_.size(); ++s) {
    const Step& step = steps_[s];
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
  arena_.reset(new Buffer(layout.Solve() * sizeof(float)));
  places_ = layout.places();
}

void Plan::FoldAffine(Step* step) const {
  uint64_t version = 1;
  for (int i : step->affine) {
    for (const auto& blob : net_->layers()[i]->blobs()) {
      version += blob->storage().version();
    }
  }
  const float* bias = step->convolution->bias_or_null();
  if (bias) version += step->convolution->blobs()[1]->storage().version();
  if (version == step->affine_version) return;
  step->affine_version = version;
  const size_t channels = step->scale.size();
  std::fill(step->scale.begin(), step->scale.end(), 1.f);
  std::fill(step->shift.begin(), step->shift.end(), 0.f);
  if (bias) std::copy(bias, bias + channels, step->shift.begin());
  std::vector<float> scale(channels), shift(channels);
  for (int i : step->affine) {
    net_->layers()[i]->Affine(scale.data(), shift.data());
    for (size_t c = 0; c < channels; ++c) {
      step->scale[c] *= scale[c];
      step->shift[c] = step->shift[c] * scale[c] + shift[c];
    }
  }
  step->epilogue.scale = step->affine.empty() ? nullptr : step->scale.data();
  step->epilogue.shift =
      step->affine.empty() && !bias ? nullptr : step->shift.data();
}

// The weights of the first convolution behind `step`. Not where both share
// theirs: packing them for the next would free what this one is about to read.
NextWeights Plan::WeightsBehind(const Step* step) const {
  const Step* const end = steps_.data() + steps_.size();
  const Storage<float>* own = &step->convolution->blobs()[0]->storage();
  do {
    if (++step == end) return NextWeights();
  } while (!step->convolution);
  if (&step->convolution->blobs()[0]->storage() == own) return NextWeights();
  return {step->convolution->packed_weights(),
          step->convolution->conv().packed_size()};
}

void Plan::RunConvolution(Step* step) {
  FoldAffine(step);
  const float* x = step->x->data(Order::kChannelsLast);
  const float* packed = step->convolution->packed_weights();
  step->epilogue.residual =
      step->residual ? step->residual->data(Order::kChannelsLast) : nullptr;
  float* y = step->y->write_data(Order::kChannelsLast);
  step->convolution->conv().Run(x, packed, step->epilogue, y,
                                static_cast<float*>(workspace_->data()),
                                WeightsBehind(step));
}

float Plan::Run(const Poll& poll, std::vector<StepTime>* times) {
  // However the run ends, no blob may go on pointing into the arena.
  struct Ending {
    ~Ending() { plan->LoseOthers(); }
    Plan* plan;
  } ending{this};
  using Clock = std::chrono::steady_clock;
  float* arena = static_cast<float*>(arena_->data());
  for (const auto& place : places_) place.first->Bind(arena + place.second);
  float loss = 0;
  for (Step& step : steps_) {
    if (poll) poll();
    const Clock::time_point start = Clock::now();
    const int layer = step.layers[0];
    if (step.convolution) {
      net_->InLayer(net_->layers()[layer]->spec(),
                    [&] { RunConvolution(&step); });
    } else {
      loss += net_->RunLayer(layer);
    }
    if (!times) continue;
    times->push_back(Describe(step));
    times->back().milliseconds =
        std::chrono::duration<double, std::milli>(Clock::now() - start).count();
  }
  return loss;
}

void Plan::LoseOthers() {
  for (const auto& place : places_) place.first->Bind(nullptr);
  Net<float>* net = net_;
  for (int id : lost_) {
    net->blobs()[id]->storage().SetSource([net, id] { net->Recompute(id); });
  }
}

StepTime Plan::Describe(const Step& step) const {
  StepTime time;
  for (int i : step.layers) {
    if (!time.layers.empty()) time.layers += " + ";
    time.layers += net_->layers()[i]->name();
  }
  const Layer<float>& first = *net_->layers()[step.layers[0]];
  time.type = first.type();
  time.kernel = first.kernel();
  time.macs = first.macs();
  return time;
}

}  // namespace p3d
