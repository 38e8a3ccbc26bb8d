// A forward of a Net: layer by layer, or by a plan that may be left on the way.
#include <algorithm>
#include <set>

#include "engine/net.hpp"
#include "engine/plan.hpp"
#include "kernels/error.hpp"

namespace p3d {

template <typename Dtype>
Dtype Net<Dtype>::RunLayer(int index) {
  Layer<Dtype>* layer = layers_[index].get();
  InLayer(layer->spec(),
          [&] { layer->Forward(bottoms_[index], tops_[index]); });
  return LossOf(index);
}

template <typename Dtype>
void Net<Dtype>::VerifyLayer(int index) {
  Layer<Dtype>* layer = layers_[index].get();
  if (layer->side() == Side::kHost) return;
  InLayer(layer->spec(), [&] { layer->Verify(); });
}

template <typename Dtype>
Dtype Net<Dtype>::LossOf(int index) const {
  Dtype loss = 0;
  for (int id : top_ids_[index]) {
    if (loss_weights_[id] == 0) continue;
    const Dtype* values = blobs_[id]->data();
    Dtype sum = 0;
    for (int64_t i = 0; i < blobs_[id]->count(); ++i) sum += values[i];
    loss += loss_weights_[id] * sum;
  }
  return loss;
}

template <typename Dtype>
Dtype Net<Dtype>::ForwardLayers(int from, int to, const Poll& poll) {
  Dtype loss = 0;
  for (int i = from; i <= to; ++i) {
    if (poll) poll();
    CallHooks(before_forward, i);
    ReshapeLayer(i);
    loss += RunLayer(i);
    VerifyLayer(i);
    if (layer_needs_backward_[i]) RememberShapes(i);
    if (debug_log) LogForward(i);
    CallHooks(after_forward, i);
  }
  return loss;
}

// Hooks may add hooks, which count from the next layer on.
template <typename Dtype>
void Net<Dtype>::CallHooks(const std::vector<Hook>& hooks, int layer) {
  const size_t count = hooks.size();
  for (size_t i = 0; i < count; ++i) {
    const Hook hook = hooks[i];
    hook(layer);
  }
}

template <typename Dtype>
Dtype Net<Dtype>::Forward(int from, int to, const Poll& poll) {
  std::lock_guard<std::recursive_mutex> lock(*mutex_);
  const SteadyMode steady;
  const int last = static_cast<int>(layers_.size()) - 1;
  Check(from >= 0 && to <= last, "layers ", from, " to ", to,
        " are not all in the net, which has ", last + 1);
  CheckIdle();
  if (from > 0) MakeBottoms(from, to);
  TouchAll();
  const bool hooked =
      !before_forward.empty() || !after_forward.empty() || debug_log;
  Dtype loss = 0;
  if (from == 0 && !hooked && Planning()) {
    loss = RunSources(to, nullptr);
    loss += RunPlan(to, poll);
  } else {
    loss = ForwardLayers(from, to, poll);
  }
  SyncAll();
  return loss;
}

template <typename Dtype>
void Net<Dtype>::MakeBottoms(int from, int to) {
  std::set<int> made;
  for (int i = from; i <= to; ++i) {
    for (int id : bottom_ids_[i]) {
      const Blob<Dtype>& blob = *blobs_[id];
      const bool dropped = blob.storage().has_source();
      if (dropped && !made.count(id)) blob.data(blob.order());
    }
    made.insert(top_ids_[i].begin(), top_ids_[i].end());
  }
}

template <typename Dtype>
Dtype Net<Dtype>::RunSources(int last, std::vector<StepTime>* times) {
  Dtype loss = 0;
  for (int i = 0; i <= last; ++i) {
    if (!layers_[i]->Source()) continue;
    ReshapeLayer(i);
    loss += times ? TimeLayer(i, times) : RunLayer(i);
  }
  return loss;
}

template <typename Dtype>
Dtype Net<Dtype>::RunPlan(int last, const Poll& poll) {
  Plan* plan = PlanTo(last);
  RememberInputs(last);
  try {
    const Running running(this);
    const Dtype loss = static_cast<Dtype>(plan->Run(poll, nullptr));
    RememberOwn();
    return loss;
  } catch (const ShapesChanged& change) {
    LeavePlans();
    if (!overwritten_.empty()) throw;
    return GoOn(change.ran, last, poll);
  }
}

template <typename Dtype>
Dtype Net<Dtype>::GoOn(int ran, int last, const Poll& poll) {
  const std::set<int> own = OwnTops(ran);
  Dtype loss = 0;
  for (int i = 0; i <= last; ++i) {
    if (layers_[i]->Source()) continue;
    const bool made = std::any_of(top_ids_[i].begin(), top_ids_[i].end(),
                                  [&](int id) { return own.count(id) > 0; });
    if (i <= ran && (made || !layers_[i]->Repeatable())) {
      loss += LossOf(i);
      if (layer_needs_backward_[i]) RememberShapes(i);
    } else {
      loss += ForwardLayers(i, i, poll);
    }
  }
  return loss;
}

template <typename Dtype>
void Net<Dtype>::RememberInputs(int last) {
  planned_to_ = last;
  if (!HasShapes(planned_shapes_)) planned_shapes_ = Shapes();
  input_copies_.clear();
  own_remembered_ = false;
  for (int id : source_tops_) {
    // A person may write to it after the forward.
    if (blobs_[id]->geometry().trivial() ||
        std::count(overwritten_.begin(), overwritten_.end(), id)) {
      auto copy = blobs_[id]->storage().CopyOfEngineSide();
      if (copy) input_copies_[id] = copy;
    }
  }
}

template <typename Dtype>
void Net<Dtype>::RememberOwn() {
  for (int id : OwnTops(planned_to_)) {
    input_copies_.erase(id);
    if (!blobs_[id]->geometry().trivial()) continue;
    if (auto copy = blobs_[id]->storage().CopyOfEngineSide()) {
      input_copies_[id] = copy;
    }
  }
  own_remembered_ = true;
}

template <typename Dtype>
std::set<int> Net<Dtype>::OwnTops(int last) const {
  std::set<int> tops;
  for (int i = 0; i <= last; ++i) {
    if (layers_[i]->Repeatable() || layers_[i]->Source()) continue;
    tops.insert(top_ids_[i].begin(), top_ids_[i].end());
  }
  return tops;
}

template <typename Dtype>
void Net<Dtype>::TouchParams() {
  for (const auto& layer : layers_) {
    for (const auto& blob : layer->blobs()) blob->storage().Touch();
  }
}

template <typename Dtype>
void Net<Dtype>::TouchAll() {
  TouchParams();
  for (const auto& blob : blobs_) blob->storage().Touch();
}

template <typename Dtype>
void Net<Dtype>::SyncAll() {
  for (const auto& layer : layers_) {
    for (const auto& blob : layer->blobs()) blob->storage().Sync();
  }
  for (const auto& blob : blobs_) blob->storage().Sync();
}

#define P3D_INSTANTIATE(Dtype)                                        \
  template Dtype Net<Dtype>::RunLayer(int);                           \
  template void Net<Dtype>::VerifyLayer(int);                         \
  template Dtype Net<Dtype>::LossOf(int) const;                       \
  template Dtype Net<Dtype>::ForwardLayers(int, int, const Poll&);    \
  template void Net<Dtype>::CallHooks(const std::vector<Hook>&, int); \
  template Dtype Net<Dtype>::Forward(int, int, const Poll&);          \
  template void Net<Dtype>::MakeBottoms(int, int);                    \
  template Dtype Net<Dtype>::RunSources(int, std::vector<StepTime>*); \
  template Dtype Net<Dtype>::RunPlan(int, const Poll&);               \
  template Dtype Net<Dtype>::GoOn(int, int, const Poll&);             \
  template void Net<Dtype>::RememberInputs(int);                      \
  template void Net<Dtype>::RememberOwn();                            \
  template std::set<int> Net<Dtype>::OwnTops(int) const;              \
  template void Net<Dtype>::TouchParams();                            \
  template void Net<Dtype>::TouchAll();                               \
  template void Net<Dtype>::SyncAll()
P3D_INSTANTIATE(float);
P3D_INSTANTIATE(double);
#undef P3D_INSTANTIATE

}  // namespace p3d
