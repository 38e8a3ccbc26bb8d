// A Net's parameters: what layers and nets share.
#include <algorithm>

#include "engine/net.hpp"
#include "engine/plan.hpp"
#include "kernels/error.hpp"
#include "kernels/ranges.hpp"

namespace p3d {
namespace {

// Of an lr_mult or decay_mult that several layers give, all have to be equal.
void Agree(const Multiplier& multiplier, const std::string& what,
           Multiplier* agreed) {
  if (!multiplier.given) return;
  Check(!agreed->given || agreed->value == multiplier.value, what, " is ",
        agreed->value, " there, ", multiplier.value,
        " here; give the same number, or leave it out here");
  *agreed = multiplier;
}

}  // namespace

template <typename Dtype>
void Net<Dtype>::AppendParams(int index) {
  Layer<Dtype>* layer = layers_[index].get();
  const std::vector<ParamSpec>& specs = layer->spec().param;
  auto& blobs = layer->blobs();
  Check(specs.size() <= blobs.size(), "param is given ", specs.size(),
        " times, but the layer has ", blobs.size(), " parameter blobs");
  for (size_t i = 0; i < blobs.size(); ++i) {
    blobs[i]->FixShape("parameter " + std::to_string(i) + " of " +
                       layer->type() + " '" + layer->name() + "'");
  }
  for (size_t i = 0; i < specs.size(); ++i) {
    if (specs[i].name.empty()) continue;
    const auto found = named_params_.find(specs[i].name);
    if (found == named_params_.end()) {
      named_params_[specs[i].name] = {index, static_cast<int>(i), specs[i]};
    } else {
      ShareParam(specs[i], &found->second, blobs[i].get());
    }
  }
}

template <typename Dtype>
void Net<Dtype>::ShareParam(const ParamSpec& spec, NamedParam* owned,
                            Blob<Dtype>* blob) const {
  const Layer<Dtype>& owner = *layers_[owned->layer];
  const Blob<Dtype>& shared = *owner.blobs()[owned->blob];
  const bool fits = spec.permissive ? shared.count() == blob->count()
                                    : shared.shape() == blob->shape();
  const std::string refusal = "cannot share parameter '" + spec.name +
                              "' with layer '" + owner.name() + "': its ";
  Check(fits, refusal, "shape is ", ShapeString(shared.shape()),
        ", this layer's ", ShapeString(blob->shape()));
  Agree(spec.lr_mult, refusal + "lr_mult", &owned->spec.lr_mult);
  Agree(spec.decay_mult, refusal + "decay_mult", &owned->spec.decay_mult);
  // Weights and a bias, say, of one layer.
  if (spec.permissive) shared.storage().StayUnpacked();
  blob->ShareData(shared);
  blob->ShareDiff(shared);
}

template <typename Dtype>
void Net<Dtype>::ShareTrainedLayersWith(Net* other) {
  std::lock(*mutex_, *other->mutex_);
  std::lock_guard<std::recursive_mutex> mine(*mutex_, std::adopt_lock);
  std::lock_guard<std::recursive_mutex> theirs(*other->mutex_, std::adopt_lock);
  ForgetPlan();
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
  std::lock_guard<std::recursive_mutex> lock(*mutex_);
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
  const auto named = named_params_.find(specs[blob].name);
  return named == named_params_.end() ||
         (named->second.layer == layer && named->second.blob == blob);
}

template <typename Dtype>
ParamSpec Net<Dtype>::param_spec(int layer, int blob) const {
  const std::vector<ParamSpec>& specs = layers_.at(layer)->spec().param;
  if (static_cast<size_t>(blob) >= specs.size()) return ParamSpec();
  const auto named = named_params_.find(specs[blob].name);
  return named == named_params_.end() ? specs[blob] : named->second.spec;
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
  template ParamSpec Net<Dtype>::param_spec(int, int) const;     \
  template int Net<Dtype>::held_params() const
P3D_INSTANTIATE(float);
P3D_INSTANTIATE(double);
#undef P3D_INSTANTIATE

}  // namespace p3d
