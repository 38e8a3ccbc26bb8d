// A Net's parameters: what layers and nets share.
#include <algorithm>

#include "engine/net.hpp"
#include "engine/plan.hpp"
#include "kernels/error.hpp"
#include "kernels/ranges.hpp"

namespace p3d {

template <typename Dtype>
void Net<Dtype>::AppendParams(int index) {
  Layer<Dtype>* layer = layers_[index].get();
  const std::vector<ParamSpec>& specs = layer->spec().param;
  auto& blobs = layer->blobs();
  Check(specs.size() <= blobs.size(), "param is given ", specs.size(),
        " times, but the layer has ", blobs.size(), " parameter blobs");
  for (size_t i = 0; i < specs.size(); ++i) {
    if (specs[i].name.empty()) continue;
    const auto found = param_owners_.find(specs[i].name);
    if (found == param_owners_.end()) {
      param_owners_[specs[i].name] = {index, static_cast<int>(i)};
      continue;
    }
    Layer<Dtype>* owner = layers_[found->second.first].get();
    const Blob<Dtype>& shared = *owner->blobs()[found->second.second];
    const bool fits = specs[i].permissive ? shared.count() == blobs[i]->count()
                                          : shared.shape() == blobs[i]->shape();
    Check(fits, "cannot share parameter '", specs[i].name, "' with layer '",
          owner->name(), "': its shape is ", ShapeString(shared.shape()),
          ", this layer's ", ShapeString(blobs[i]->shape()));
    blobs[i]->ShareData(shared);
    blobs[i]->ShareDiff(shared);
  }
}

template <typename Dtype>
void Net<Dtype>::ShareTrainedLayersWith(Net* other) {
  std::lock(mutex_, other->mutex_);
  std::lock_guard<std::recursive_mutex> mine(mutex_, std::adopt_lock);
  std::lock_guard<std::recursive_mutex> theirs(other->mutex_, std::adopt_lock);
  plan_.reset();
  for (const auto& layer : layers_) {
    for (const auto& source : other->layers_) {
      if (source->name() != layer->name()) continue;
      auto& to = layer->blobs();
      const auto& from = source->blobs();
      InLayer(layer->spec(), [&] {
        Check(to.size() == from.size(), "cannot share weights: ", from.size(),
              " blobs there, ", to.size(), " here");
        for (size_t i = 0; i < to.size(); ++i) {
          Check(to[i]->shape() == from[i]->shape(),
                "cannot share weights: blob ", i, " has the shape ",
                ShapeString(from[i]->shape()), " there, ",
                ShapeString(to[i]->shape()), " here");
          to[i]->ShareData(*from[i]);
        }
      });
    }
  }
}

template <typename Dtype>
void Net<Dtype>::ClearParamDiffs() {
  std::lock_guard<std::recursive_mutex> lock(mutex_);
  for (const auto& layer : layers_) {
    for (const auto& blob : layer->blobs()) {
      // Nothing counts as 0, and need not be read to be added to.
      blob->diff_storage().SetSource(nullptr);
      blob->diff_storage().Sync();
    }
  }
}

template <typename Dtype>
bool Net<Dtype>::owns_param(int layer, int blob) const {
  const std::vector<ParamSpec>& specs = layers_.at(layer)->spec().param;
  if (static_cast<size_t>(blob) >= specs.size()) return true;
  const auto owner = param_owners_.find(specs[blob].name);
  return owner == param_owners_.end() ||
         owner->second == std::make_pair(layer, blob);
}

template <typename Dtype>
int Net<Dtype>::held_params() const {
  int held = 0;
  for (const auto& layer : layers_) {
    for (const auto& blob : layer->blobs()) held += blob->storage().view_out();
  }
  return held;
}

#define P3D_INSTANTIATE(Dtype)                                   \
  template void Net<Dtype>::AppendParams(int);                   \
  template void Net<Dtype>::ShareTrainedLayersWith(Net<Dtype>*); \
  template void Net<Dtype>::ClearParamDiffs();                   \
  template bool Net<Dtype>::owns_param(int, int) const;          \
  template int Net<Dtype>::held_params() const
P3D_INSTANTIATE(float);
P3D_INSTANTIATE(double);
#undef P3D_INSTANTIATE

}  // namespace p3d
