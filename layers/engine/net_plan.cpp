// What Net does with a Plan, which only float has.
#include "engine/net.hpp"
#include "engine/plan.hpp"
#include "kernels/error.hpp"

namespace p3d {

template <>
bool Net<double>::Planning() const {
  return false;
}

template <>
bool Net<float>::Planning() const {
  if (!planning_ || layerwise_ || shapes_vary_ || phase_ != Phase::kTest) {
    return false;
  }
  for (const auto& layer : layers_) {
    if (!layer->Plannable()) return false;
  }
  return source_tops_.size() == inputs_.size() || overwritten_.empty();
}

template <>
Plan* Net<double>::PlanTo(int) {
  return nullptr;
}

template <>
Plan* Net<float>::PlanTo(int last) {
  if (!plan_ || plan_->last() != last || !plan_->current()) {
    plan_.reset();
    // Not the sources: they have run, and may give the next data's shape.
    ReshapeAllButSources();
    plan_ = Plan::Make(this, last, kept_);
  }
  return plan_.get();
}

template <>
void Net<double>::Recompute(int) {}

template <>
void Net<float>::Recompute(int target) {
  std::lock_guard<std::recursive_mutex> lock(*mutex_);
  const SteadyMode steady;
  const Running running(this);
  using Pointer = std::shared_ptr<Storage<float>>;
  // The run happens in other storages, put in the blobs' places and taken out
  // again, so that nothing which a person sees or wrote changes.
  Check(HasShapes(planned_shapes_), "blob '", blob_names_[target],
        "' is not at hand: blobs were reshaped since the last forward; run "
        "forward() first");
  std::vector<Pointer> own;
  std::map<Storage<float>*, Pointer> shadow;
  for (const auto& blob : blobs_) own.push_back(blob->shared_storage());
  for (int input : source_tops_) {
    const auto copy = input_copies_.find(input);
    Pointer& values = shadow[own[input].get()];
    // The run may work in place on them, and is not the last one.
    values = copy != input_copies_.end() ? copy->second->CopyOfEngineSide()
                                         : own[input]->CopyOfEngineSide();
    // What nobody has read yet a filler makes now.
    if (!values && own[input]->has_source()) values = own[input];
    Check(values && values->count() == blobs_[input]->count(), "blob '",
          blob_names_[target],
          "' is not at hand: the inputs were reshaped since the last forward; "
          "run forward() first");
  }
  for (size_t i = 0; i < own.size(); ++i) {
    Pointer& other = shadow[own[i].get()];
    if (!other) {
      other = std::make_shared<Storage<float>>();
      other->Resize(own[i]->count());
    }
    blobs_[i]->set_storage(other);
  }
  std::vector<bool> keep(blobs_.size(), false);
  keep[target] = true;
  const auto restore = [&] {
    for (size_t i = 0; i < own.size(); ++i) blobs_[i]->set_storage(own[i]);
  };
  try {
    Plan::Make(this, planned_to_, keep)->Run(Poll(), nullptr);
  } catch (...) {
    restore();
    throw;
  }
  restore();
  own[target]->Take(shadow[own[target].get()].get());
}

}  // namespace p3d
