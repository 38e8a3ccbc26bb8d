// What Net does with a TrainingPlan, which only float has.
#include <algorithm>
#include <cmath>

#include "engine/alone.hpp"
#include "engine/net.hpp"
#include "engine/plan.hpp"
#include "engine/training_plan.hpp"

namespace p3d {

template <typename Dtype>
bool Net<Dtype>::Lean() const {
  const bool hooked = !before_forward.empty() || !after_forward.empty() ||
                      !before_backward.empty() || !after_backward.empty() ||
                      debug_log;
  if (!lean_ || !planning_ || shapes_vary_ || phase_ != Phase::kTrain ||
      hooked) {
    return false;
  }
  for (const auto& layer : layers_) {
    if (!layer->Plannable()) return false;
  }
  for (const auto& blob : blobs_) {
    if (blob->diff_storage().lent()) return false;
  }
  return true;
}

template <typename Dtype>
Dtype Net<Dtype>::ForwardBackward(const Poll& poll) {
  std::lock_guard<std::recursive_mutex> lock(*mutex_);
  const SteadyMode steady;
  const int last = static_cast<int>(layers_.size()) - 1;
  CheckIdle();
  if (!Lean()) {
    const Dtype loss = Forward(poll);
    if (std::isfinite(loss)) Backward(last, 0, poll);
    return loss;
  }
  TouchAll();
  TouchDiffs();
  KeepUnpacked();
  Dtype loss = RunSources(last, nullptr);
  RunTrainingPlan(poll, &loss);
  SyncAll();
  SyncDiffs();
  return loss;
}

template <>
bool Net<float>::ForwardPlanned(const Poll& poll, float* loss) {
  try {
    const Running running(this);
    *loss += training_plan_->Forward(poll);
    for (size_t i = 0; i < layers_.size(); ++i) {
      const int layer = static_cast<int>(i);
      if (!RanWithTheseShapes(layer)) RememberShapes(layer);
    }
    return true;
  } catch (const ShapesChanged& change) {
    LeavePlans();
    if (!overwritten_.empty()) throw;
    const int last = static_cast<int>(layers_.size()) - 1;
    *loss += GoOn(change.ran, last, poll);
    return false;
  }
}

template <>
void Net<double>::RunTrainingPlan(const Poll&, double*) {}

template <>
void Net<float>::RunTrainingPlan(const Poll& poll, float* loss) {
  if (training_plan_ && !training_plan_->current()) {
    training_plan_.reset();
  }
  if (!training_plan_) {
    ReshapeAllButSources();
    training_plan_ = TrainingPlan::Make(this, kept_);
    lean_ = training_plan_ != nullptr;
  }
  const int last = static_cast<int>(layers_.size()) - 1;
  if (!training_plan_) {
    for (int i = 0; i <= last; ++i) {
      if (!layers_[i]->Source()) *loss += ForwardLayers(i, i, poll);
    }
  } else if (ForwardPlanned(poll, loss)) {
    const Running running(this);
    if (std::isfinite(*loss)) training_plan_->Backward(poll);
    return;
  }
  if (std::isfinite(*loss)) Backward(last, 0, poll);
}

template <typename Dtype>
void Net<Dtype>::RecomputeDiffs() {
  std::lock_guard<std::recursive_mutex> lock(*mutex_);
  const SteadyMode steady;
  const Alone alone;
  CheckIdle();
  lean_ = false;
  training_plan_.reset();
  for (const auto& blob : blobs_) {
    if (!blob->diff_storage().has_values()) {
      blob->diff_storage().SetSource(nullptr);
    }
  }
  const auto prepare = [&](bool learn) {
    for (size_t i = 0; i < layers_.size(); ++i) {
      const std::vector<bool> none(learns_[i].size(), false);
      layers_[i]->PrepareBackward(layer_needs_backward_[i],
                                  learn ? learns_[i] : none);
    }
  };
  prepare(false);
  try {
    for (int i = static_cast<int>(layers_.size()) - 1; i >= 0; --i) {
      if (layer_needs_backward_[i]) BackwardLayer(i);
    }
  } catch (...) {
    prepare(true);
    throw;
  }
  prepare(true);
}

template bool Net<float>::Lean() const;
template bool Net<double>::Lean() const;
template float Net<float>::ForwardBackward(const Poll&);
template double Net<double>::ForwardBackward(const Poll&);
template void Net<float>::RecomputeDiffs();

}  // namespace p3d
