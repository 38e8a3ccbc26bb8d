// The way of the gradients through a Net.
#include "engine/net.hpp"

#include <algorithm>
#include <iterator>
#include <map>
#include <set>

#include "engine/plan.hpp"
#include "kernels/error.hpp"

namespace p3d {

template <typename Dtype>
void Net<Dtype>::FindGradients(bool force) {
  FindGradientSources(force);
  if (!force) FindGradientSinks();
  for (size_t i = 0; i < layers_.size(); ++i) {
    layers_[i]->PrepareBackward(layer_needs_backward_[i], learns_[i]);
    const std::vector<int>&bottoms = bottom_ids_[i], &tops = top_ids_[i];
    layers_[i]->set_top_overwritten(
        std::any_of(tops.begin(), tops.end(), [&](int top) {
          return std::count(bottoms.begin(), bottoms.end(), top) == 0 &&
                 Overwritten(top, i + 1);
        }));
  }
  forward_shapes_.resize(layers_.size());
  // A planned forward has to be repeated before a Backward, on its inputs.
  const bool any = std::count(layer_needs_backward_.begin(),
                              layer_needs_backward_.end(), true) > 0;
  std::copy_if(source_tops_.begin(), source_tops_.end(),
               std::back_inserter(overwritten_),
               [&](int top) { return Overwritten(top, 0); });
  layerwise_ = (any && !overwritten_.empty()) || HidesFromBackward();
}

template <typename Dtype>
bool Net<Dtype>::HidesFromBackward() const {
  if (phase_ != Phase::kTest) return false;
  for (size_t i = 0; i < layers_.size(); ++i) {
    if (layers_[i]->Repeatable() || !layer_needs_backward_[i]) continue;
    for (int id : top_ids_[i]) {
      if (InPlace(i, id)) return true;
    }
  }
  return false;
}

template <typename Dtype>
bool Net<Dtype>::InPlace(size_t layer, int top) const {
  const std::vector<int>& bottoms = bottom_ids_[layer];
  return std::find(bottoms.begin(), bottoms.end(), top) != bottoms.end();
}

template <typename Dtype>
bool Net<Dtype>::Overwritten(int blob, size_t first) const {
  const auto storage = blobs_[blob]->shared_storage();
  for (size_t i = first; i < layers_.size(); ++i) {
    for (int top : top_ids_[i]) {
      if (InPlace(i, top) && blobs_[top]->shared_storage() == storage) {
        return true;
      }
    }
  }
  return false;
}

// Forwards: a gradient is of use in a parameter that learns and in everything
// that is made of one.
template <typename Dtype>
void Net<Dtype>::FindGradientSources(bool force) {
  std::vector<bool> of_use(blobs_.size(), force);
  for (size_t i = 0; i < layers_.size(); ++i) {
    const Layer<Dtype>& layer = *layers_[i];
    const std::vector<bool>& given = layer.spec().propagate_down;
    std::vector<bool> bottoms, learns;
    bool reached = false;
    for (size_t b = 0; b < bottom_ids_[i].size(); ++b) {
      const bool possible = layer.Differentiable(static_cast<int>(b));
      const bool useful = of_use[bottom_ids_[i][b]];
      const bool wanted = given.empty() ? useful : given[b];
      bottoms.push_back(possible && (wanted || force));
      reached |= possible && useful;
    }
    for (size_t p = 0; p < layer.blobs().size(); ++p) {
      const ParamSpec param =
          param_spec(static_cast<int>(i), static_cast<int>(p));
      learns.push_back(param.lr_mult.value != 0 || force);
    }
    // As in Caffe propagate_down: true alone is no reason to run a layer, and
    // false everywhere none to leave it out.
    const bool needed =
        reached || std::count(learns.begin(), learns.end(), true) > 0;
    for (int top : top_ids_[i]) of_use[top] = of_use[top] || needed;
    layer_needs_backward_.push_back(needed);
    bottom_needs_backward_.push_back(bottoms);
    learns_.push_back(learns);
  }
}

// Backwards: a gradient comes from a loss, through layers that pass it on.
template <typename Dtype>
void Net<Dtype>::FindGradientSinks() {
  std::vector<bool> arrives(blobs_.size(), false);
  for (size_t i = layers_.size(); i-- > 0;) {
    bool any = false;
    for (int top : top_ids_[i]) any |= arrives[top] || loss_weights_[top] != 0;
    auto& bottoms = bottom_needs_backward_[i];
    if (!any) {
      layer_needs_backward_[i] = false;
      bottoms.assign(bottoms.size(), false);
    }
    for (size_t b = 0; b < bottoms.size(); ++b) {
      arrives[bottom_ids_[i][b]] = bottoms[b];
    }
  }
}

template <typename Dtype>
void Net<Dtype>::FillLossDiffs(int index) {
  for (int id : top_ids_[index]) {
    Blob<Dtype>& blob = *blobs_[id];
    if (loss_weights_[id] == 0 || blob.diff_storage().has_values()) continue;
    std::fill_n(blob.write_diff(), blob.count(),
                static_cast<Dtype>(loss_scale_ * loss_weights_[id]));
  }
}

template <typename Dtype>
void Net<Dtype>::ScaleLoss(float scale) {
  std::lock_guard<std::recursive_mutex> lock(*mutex_);
  if (scale == loss_scale_) return;
  loss_scale_ = scale;
  for (size_t id = 0; id < blobs_.size(); ++id) {
    if (loss_weights_[id] != 0) blobs_[id]->diff_storage().SetSource(nullptr);
  }
  for (size_t i = 0; i < layers_.size(); ++i) {
    FillLossDiffs(static_cast<int>(i));
  }
}

template <typename Dtype>
std::vector<Shape> Net<Dtype>::ShapesOf(int index) const {
  std::vector<Shape> shapes;
  for (const Blob<Dtype>* blob : bottoms_[index]) {
    shapes.push_back(blob->shape());
  }
  for (const Blob<Dtype>* blob : tops_[index]) shapes.push_back(blob->shape());
  return shapes;
}

template <typename Dtype>
void Net<Dtype>::RememberShapes(int index) {
  forward_shapes_[index] = ShapesOf(index);
  // The last Backward in place has overwritten the weight there.
  for (int id : top_ids_[index]) {
    if (loss_weights_[id] != 0 && InPlace(index, id)) {
      blobs_[id]->diff_storage().SetSource(nullptr);
    }
  }
  FillLossDiffs(index);
}

template <typename Dtype>
bool Net<Dtype>::RanWithTheseShapes(int index) const {
  auto shape = forward_shapes_[index].begin();
  const auto end = forward_shapes_[index].end();
  for (const Blobs* blobs : {&bottoms_[index], &tops_[index]}) {
    for (const Blob<Dtype>* blob : *blobs) {
      if (shape == end || blob->shape() != *shape++) return false;
    }
  }
  return true;
}

template <typename Dtype>
void Net<Dtype>::CheckShapes(int index) const {
  Check(RanWithTheseShapes(index),
        "has not run forward with blobs of these shapes; run forward() before ",
        "backward()");
}

template <typename Dtype>
void Net<Dtype>::LeavePlan(const Poll& poll) {
  if (layerwise_) return;
  layerwise_ = true;
  plan_.reset();
  if (planned_to_ < 0) return;
  TouchParams();
  WithInputsOfPlan(
      [&] { GoOn(own_remembered_ ? planned_to_ : -1, planned_to_, poll); });
  SyncAll();
}

template <typename Dtype>
void Net<Dtype>::WithInputsOfPlan(const std::function<void()>& run) {
  using Pointer = std::shared_ptr<Storage<Dtype>>;
  std::set<int> ids = own_remembered_ ? OwnTops(planned_to_) : std::set<int>();
  ids.insert(source_tops_.begin(), source_tops_.end());
  for (int id : overwritten_) ids.erase(id);
  if (!HasShapes(planned_shapes_)) ids.clear();
  std::map<Pointer, Pointer> then, now;
  for (int id : ids) {
    const Pointer& own = blobs_[id]->shared_storage();
    const auto copy = input_copies_.find(id);
    const Pointer values =
        copy != input_copies_.end() ? copy->second : own->CopyOfEngineSide();
    if (!values) continue;
    then[own] = values;
    now[values] = own;
  }
  const auto exchange = [&](const std::map<Pointer, Pointer>& storages) {
    for (const auto& blob : blobs_) {  // those of a Split share one
      const auto other = storages.find(blob->shared_storage());
      if (other != storages.end()) blob->set_storage(other->second);
    }
  };
  exchange(then);
  try {
    run();
  } catch (...) {
    exchange(now);
    throw;
  }
  exchange(now);
}

template <typename Dtype>
void Net<Dtype>::KeepUnpacked() {
  for (const auto& layer : layers_) {
    for (const auto& blob : layer->blobs()) blob->storage().StayUnpacked();
  }
}

template <typename Dtype>
void Net<Dtype>::BackwardLayer(int index) {
  InLayer(layers_[index]->spec(), [&] {
    CheckShapes(index);
    layers_[index]->Backward(tops_[index], bottom_needs_backward_[index],
                             bottoms_[index]);
  });
  if (debug_log) LogBackward(index);
}

template <typename Dtype>
void Net<Dtype>::Backward(int from, int to, const Poll& poll) {
  std::lock_guard<std::recursive_mutex> lock(*mutex_);
  const SteadyMode steady;
  const int last = static_cast<int>(layers_.size()) - 1;
  Check(to >= 0 && from <= last, "layers ", from, " to ", to,
        " are not all in the net, which has ", last + 1);
  CheckIdle();
  KeepUnpacked();
  LeavePlan(poll);
  TouchAll();
  TouchDiffs();
  for (int i = from; i >= to; --i) {
    if (poll) poll();
    CallHooks(before_backward, i);
    if (layer_needs_backward_[i]) BackwardLayer(i);
    CallHooks(after_backward, i);
  }
  if (debug_log && from == last && to == 0) LogParams();
  SyncDiffs();
}

template <typename Dtype>
void Net<Dtype>::TouchDiffs() {
  for (const auto& layer : layers_) {
    for (const auto& blob : layer->blobs()) blob->diff_storage().Touch();
  }
  for (const auto& blob : blobs_) blob->diff_storage().Touch();
}

template <typename Dtype>
void Net<Dtype>::SyncDiffs() {
  for (const auto& layer : layers_) {
    for (const auto& blob : layer->blobs()) blob->diff_storage().Sync();
  }
  for (const auto& blob : blobs_) blob->diff_storage().Sync();
}

#define P3D_INSTANTIATE(Dtype)                             \
  template void Net<Dtype>::FindGradients(bool);           \
  template void Net<Dtype>::FillLossDiffs(int);            \
  template void Net<Dtype>::ScaleLoss(float);              \
  template void Net<Dtype>::RememberShapes(int);           \
  template bool Net<Dtype>::RanWithTheseShapes(int) const; \
  template void Net<Dtype>::CheckShapes(int) const;        \
  template bool Net<Dtype>::InPlace(size_t, int) const;    \
  template void Net<Dtype>::KeepUnpacked();                \
  template void Net<Dtype>::BackwardLayer(int);            \
  template void Net<Dtype>::TouchDiffs();                  \
  template void Net<Dtype>::SyncDiffs();                   \
  template void Net<Dtype>::Backward(int, int, const Poll&)
P3D_INSTANTIATE(float);
P3D_INSTANTIATE(double);
#undef P3D_INSTANTIATE

}  // namespace p3d
