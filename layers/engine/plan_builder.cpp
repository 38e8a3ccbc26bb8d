#include "engine/plan_builder.hpp"

#include <utility>

#include "engine/layers/convolution_layer.hpp"

namespace p3d {
namespace {

// Joins layers into steps. A value is what a blob holds between two writes to
// it; an in-place layer reads one value of its blob and makes the next.
class PlanBuilder {
 public:
  PlanBuilder(Net<float>* net, int last, const std::vector<bool>& keep,
              const std::vector<bool>& runs, bool backward)
      : net_(net), last_(last), keep_(keep), runs_(runs), backward_(backward) {}

  std::vector<PlanStep> Build() {
    CountReaders();
    current_.assign(net_->blobs().size(), -1);
    next_value_ = 0;
    for (int i = 0; i <= last_; ++i) AddLayer(i);
    for (PlanStep& step : steps_) {
      if (!step.convolution) continue;
      step.scale.resize(step.y->shape(1));
      step.shift.resize(step.y->shape(1));
    }
    if (backward_) FindNarrow();
    return std::move(steps_);
  }

 private:
  struct Value {
    int readers = 0;      // layers that read it, sharing layers not counted
    bool kept = false;    // it is what a blob to keep holds in the end
    int step = -1;        // that makes it; -1: it was there before
    bool floats = false;  // a layer reads it that is no part of a convolution
  };

  bool IsShare(int layer) const {
    return net_->layers()[layer]->role() == Role::kIdentity;
  }

  // Numbers the values in the order in which AddLayer meets them.
  void CountReaders() {
    std::vector<int> current(net_->blobs().size(), -1);
    for (int i = 0; i <= last_; ++i) {
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
    if (IsShare(i)) {
      for (int top : net_->top_ids(i)) {
        current_[top] = current_[net_->bottom_ids(i)[0]];
      }
      return;
    }
    if (net_->layers()[i]->Source() || (!runs_.empty() && !runs_[i])) {
      for (int top : net_->top_ids(i)) current_[top] = next_value_++;
      return;
    }
    const int step = Fold(i);
    PlanStep& target = step < 0 ? NewStep(i) : steps_[step];
    if (step >= 0) target.layers.push_back(i);
    for (int top : net_->top_ids(i)) {
      values_[next_value_].step = static_cast<int>(&target - steps_.data());
      current_[top] = next_value_++;
    }
    if (target.convolution) target.y = net_->top(i)[0];
  }

  // A loss on a blob is a gradient that it has from the start, which the way
  // back through an epilogue would overwrite.
  bool Convolves(int i) const {
    return net_->layers()[i]->role() == Role::kConvolution &&
           !(backward_ && net_->loss_weights()[net_->top_ids(i)[0]] != 0);
  }

  PlanStep& NewStep(int i) {
    steps_.emplace_back();
    PlanStep& step = steps_.back();
    step.layers.push_back(i);
    if (Convolves(i)) {
      step.convolution =
          static_cast<ConvolutionLayer<float>*>(net_->layers()[i].get());
      step.x = net_->bottom(i)[0];
      return step;
    }
    for (int blob : net_->bottom_ids(i)) values_[current_[blob]].floats = true;
    return step;
  }

  // Of the values that a step makes the last one is what its y holds.
  void FindNarrow() {
    for (const Value& value : values_) {
      if (value.step < 0 || !steps_[value.step].convolution) continue;
      steps_[value.step].narrow = value.readers > 0 && !value.floats;
    }
  }

  // The step into which layer i was folded, -1 if it needs one of its own.
  int Fold(int i) {
    if (backward_ && !Reversible(i)) return -1;
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

  // Whether the way back is that of all layers of its kind: nothing to learn
  // (that would need the bottom), a ReLU's top as it was left, no
  // propagate_down, no loss.
  bool Reversible(int i) const {
    const Layer<float>& layer = *net_->layers()[i];
    if (layer.role() == Role::kRelu && layer.top_overwritten()) return false;
    for (size_t p = 0; p < layer.blobs().size(); ++p) {
      if (layer.learns(p)) return false;
    }
    for (int top : net_->top_ids(i)) {
      if (net_->loss_weights()[top] != 0) return false;
    }
    return layer.spec().propagate_down.empty();
  }

  // The convolution that makes this layer's bottom for this layer alone, and in
  // this shape: behind a Flatten an epilogue's channels are others.
  PlanStep* Producer(int i, int bottom) {
    const Value& value = values_[current_[net_->bottom_ids(i)[bottom]]];
    if (value.step < 0 || value.kept || value.readers != 1) return nullptr;
    PlanStep* step = &steps_[value.step];
    if (!step->convolution) return nullptr;
    const bool same = step->y->shape() == net_->bottom(i)[bottom]->shape();
    return same ? step : nullptr;
  }

  int IndexOf(const PlanStep* step) const {
    return static_cast<int>(step - steps_.data());
  }

  int FoldAffine(int i) {
    PlanStep* step = Producer(i, 0);
    if (!step || step->epilogue.inner_relu || step->residual) return -1;
    step->affine.push_back(i);
    return IndexOf(step);
  }

  int FoldRelu(int i) {
    PlanStep* step = Producer(i, 0);
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
    PlanStep* step = Producer(i, late);
    if (!step || step->residual) return -1;
    // The sum doesn't tell where an inner ReLU was 0.
    if (backward_ && step->epilogue.inner_relu) return -1;
    const std::vector<float> coefficients = net_->layers()[i]->Coefficients(2);
    step->residual = net_->bottom(i)[1 - late];
    step->residual_bottom = 1 - late;
    step->sum = i;
    step->epilogue.alpha = coefficients[late];
    step->epilogue.beta = coefficients[1 - late];
    return IndexOf(step);
  }

  Net<float>* const net_;
  const int last_;
  const std::vector<bool>& keep_;
  const std::vector<bool>& runs_;
  const bool backward_;
  std::vector<PlanStep> steps_;
  std::vector<Value> values_;
  std::vector<int> current_;  // value of each blob
  int next_value_ = 0;
};

}  // namespace

std::vector<PlanStep> MakePlanSteps(Net<float>* net, int last,
                                    const std::vector<bool>& keep,
                                    const std::vector<bool>& runs,
                                    bool backward) {
  return PlanBuilder(net, last, keep, runs, backward).Build();
}

}  // namespace p3d
