// What Net does with a Plan, which only float has.
#include <algorithm>
#include <set>

#include "engine/net.hpp"
#include "engine/plan.hpp"
#include "kernels/error.hpp"

namespace p3d {
namespace {

// What makes a blob: the layers that have to run, and the blobs that they read
// and none of them makes, tops of sources or `fixed`.
struct Origin {
  std::vector<bool> runs;
  std::vector<int> given;
};

Origin OriginOf(const Net<float>& net, int target, int last,
                const std::set<int>& fixed) {
  Origin origin;
  origin.runs.assign(net.layers().size(), false);
  std::set<int> read = {target}, made = fixed;
  for (int i = last; i >= 0; --i) {
    const std::vector<int>& tops = net.top_ids(i);
    const bool needed = std::any_of(tops.begin(), tops.end(), [&](int id) {
      return read.count(id) && !fixed.count(id);
    });
    if (!needed) continue;
    origin.runs[i] = true;
    read.insert(net.bottom_ids(i).begin(), net.bottom_ids(i).end());
  }
  for (int id : net.source_tops()) made.insert(id);
  for (int id : made) {
    if (read.count(id)) origin.given.push_back(id);
  }
  return origin;
}

}  // namespace

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
    // One that trains here is not to be run again for a dropped blob.
    if (!layer->Plannable() || layer->phase() != Phase::kTest) return false;
  }
  return source_tops_.size() == inputs_.size() || overwritten_.empty();
}

template <>
Plan* Net<double>::PlanTo(int) {
  Fail("a net of doubles has no plan");
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
std::shared_ptr<Storage<float>> Net<float>::Given(int blob, int target) const {
  Check(own_remembered_ || !OwnTops(planned_to_).count(blob), "blob '",
        blob_names_[target], "' is not at hand: the last forward did not come ",
        "through; run forward() first");
  const auto copy = input_copies_.find(blob);
  std::shared_ptr<Storage<float>> own = blobs_[blob]->shared_storage();
  // The run may work in place on them, and is not the last one.
  std::shared_ptr<Storage<float>> values =
      copy != input_copies_.end() ? copy->second->CopyOfEngineSide()
                                  : own->CopyOfEngineSide();
  // What nobody has read yet a filler makes now.
  if (!values && own->has_source()) values = own;
  Check(values && values->count() == blobs_[blob]->count(), "blob '",
        blob_names_[target],
        "' is not at hand: the inputs were reshaped since the last forward; "
        "run forward() first");
  return values;
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
  const Origin origin =
      OriginOf(*this, target, planned_to_, OwnTops(planned_to_));
  std::vector<bool> keep(blobs_.size(), false);
  keep[target] = true;
  for (int id : origin.given) {
    shadow[own[id].get()] = Given(id, target);
    keep[id] = true;
  }
  for (size_t i = 0; i < own.size(); ++i) {
    Pointer& other = shadow[own[i].get()];
    if (!other) {
      other = std::make_shared<Storage<float>>();
      other->Resize(own[i]->count());
    }
    blobs_[i]->set_storage(other);
  }
  const auto restore = [&] {
    for (size_t i = 0; i < own.size(); ++i) blobs_[i]->set_storage(own[i]);
  };
  try {
    Plan::Make(this, planned_to_, keep, origin.runs)->Run(Poll(), nullptr);
  } catch (...) {
    restore();
    throw;
  }
  restore();
  own[target]->Take(shadow[own[target].get()].get());
}

}  // namespace p3d
