#include "engine/net.hpp"

#include <algorithm>

#include "engine/plan.hpp"
#include "engine/training_plan.hpp"
#include "kernels/error.hpp"

namespace p3d {

template <typename Dtype>
Net<Dtype>::Net(const std::string& name, const std::vector<LayerSpec>& layers,
                Phase phase, bool force_backward)
    : name_(name), phase_(phase) {
  std::map<std::string, int> available;
  for (const LayerSpec& spec : layers) {
    InLayer(spec, [&] { AppendLayer(spec, &available); });
  }
  for (const auto& entry : available) outputs_.push_back(entry.second);
  kept_.assign(blobs_.size(), false);
  for (int blob : source_tops_) kept_[blob] = true;
  for (int blob : outputs_) kept_[blob] = true;
  const int last = static_cast<int>(layers_.size()) - 1;
  for (int blob : OwnTops(last)) kept_[blob] = true;
  for (size_t i = 0; i < blobs_.size(); ++i) {
    if (loss_weights_[i] != 0) kept_[i] = true;
  }
  FindGradients(force_backward);
}

// A layer written in Python may have its blobs for longer than there is a net
// to make their values.
template <typename Dtype>
Net<Dtype>::~Net() {
  for (const auto& blob : blobs_) {
    for (auto* storage : {&blob->storage(), &blob->diff_storage()}) {
      if (storage->has_source()) storage->SetSource(nullptr);
    }
  }
}

template <typename Dtype>
void Net<Dtype>::AppendLayer(const LayerSpec& spec,
                             std::map<std::string, int>* available) {
  const int index = static_cast<int>(layers_.size());
  layers_.push_back(LayerRegistry<Dtype>::Create(spec));
  bottom_ids_.emplace_back();
  top_ids_.emplace_back();
  bottoms_.emplace_back();
  tops_.emplace_back();
  Layer<Dtype>* layer = layers_.back().get();
  for (size_t i = 0; i < spec.bottom.size(); ++i) {
    bottom_ids_[index].push_back(AppendBottom(spec, i, available));
  }
  Check(spec.propagate_down.empty() ||
            spec.propagate_down.size() == spec.bottom.size(),
        "propagate_down is given ", spec.propagate_down.size(), " times for ",
        spec.bottom.size(), " bottoms; give it once per bottom or not at all");
  LayerSpec named = spec;
  if (layer->AutoTopBlobs()) {
    const size_t wanted = std::max(0, layer->counts().min_top);
    while (named.top.size() < wanted) {
      named.top.push_back("(automatic)");
    }
  }
  for (size_t i = 0; i < named.top.size(); ++i) {
    top_ids_[index].push_back(AppendTop(named, i, available));
  }
  if (layer->Source()) {
    source_tops_.insert(source_tops_.end(), top_ids_[index].begin(),
                        top_ids_[index].end());
  }
  if (spec.type == "Input") {
    inputs_.insert(inputs_.end(), top_ids_[index].begin(),
                   top_ids_[index].end());
  }
  for (int id : bottom_ids_[index]) bottoms_[index].push_back(blobs_[id].get());
  for (int id : top_ids_[index]) tops_[index].push_back(blobs_[id].get());
  GivingTopsShapes(index, [&] { layer->SetUp(bottoms_[index], tops_[index]); });
  SetLossWeights(index);
  AppendParams(index);
}

template <typename Dtype>
int Net<Dtype>::AppendBottom(const LayerSpec& spec, size_t index,
                             std::map<std::string, int>* available) {
  const std::string& blob = spec.bottom[index];
  const auto found = available->find(blob);
  Check(found != available->end(), "bottom '", blob,
        "' is not the top of an earlier layer");
  const int id = found->second;
  available->erase(found);
  return id;
}

template <typename Dtype>
int Net<Dtype>::AppendTop(const LayerSpec& spec, size_t index,
                          std::map<std::string, int>* available) {
  const std::string& blob = spec.top[index];
  const bool in_place =
      index < spec.bottom.size() && spec.bottom[index] == blob;
  if (in_place) {
    const int id = bottom_ids_.back()[index];
    (*available)[blob] = id;
    return id;
  }
  const bool automatic = blob == "(automatic)";
  Check(automatic || std::find(blob_names_.begin(), blob_names_.end(), blob) ==
                         blob_names_.end(),
        "top '", blob, "' is already the top of an earlier layer");
  const int id = static_cast<int>(blobs_.size());
  blobs_.push_back(std::make_shared<Blob<Dtype>>());
  blobs_.back()->set_net_mutex(mutex_);
  blob_names_.push_back(blob);
  loss_weights_.push_back(0.f);
  if (!automatic) (*available)[blob] = id;
  return id;
}

template <typename Dtype>
void Net<Dtype>::SetLossWeights(int index) {
  const Layer<Dtype>& layer = *layers_[index];
  const std::vector<float>& given = layer.spec().loss_weight;
  const std::vector<int>& tops = top_ids_[index];
  Check(given.empty() || given.size() == tops.size(), "loss_weight is given ",
        given.size(), " times for ", tops.size(),
        " tops; give it once per top or not at all");
  for (size_t i = 0; i < tops.size(); ++i) {
    const float weight =
        given.empty() ? layer.DefaultLossWeight(static_cast<int>(i)) : given[i];
    if (weight != 0) loss_weights_[tops[i]] = weight;
  }
  FillLossDiffs(index);
}

template <typename Dtype>
std::vector<Shape> Net<Dtype>::Shapes() const {
  std::vector<Shape> shapes;
  for (const auto& blob : blobs_) shapes.push_back(blob->shape());
  return shapes;
}

template <typename Dtype>
bool Net<Dtype>::HasShapes(const std::vector<Shape>& shapes) const {
  return std::equal(blobs_.begin(), blobs_.end(), shapes.begin(), shapes.end(),
                    [](const std::shared_ptr<Blob<Dtype>>& blob,
                       const Shape& shape) { return blob->shape() == shape; });
}

template <typename Dtype>
template <typename Body>
void Net<Dtype>::GivingTopsShapes(int index, const Body& body) {
  if (!layers_[index]->Foreign()) return body();
  const std::vector<Shape> before = Shapes();
  body();
  const std::vector<int>&bottoms = bottom_ids_[index], &tops = top_ids_[index];
  for (int id = 0; id < static_cast<int>(before.size()); ++id) {
    const bool own = std::count(tops.begin(), tops.end(), id) > 0 &&
                     std::count(bottoms.begin(), bottoms.end(), id) == 0;
    Check(own || blobs_[id]->shape() == before[id], "gave blob '",
          blob_names_[id], "' the shape ", ShapeString(blobs_[id]->shape()),
          " where it had ", ShapeString(before[id]),
          "; reshape() is for the layer's own tops");
  }
}

template <typename Dtype>
void Net<Dtype>::ReshapeLayer(int index) {
  Layer<Dtype>* layer = layers_[index].get();
  InLayer(layer->spec(), [&] {
    GivingTopsShapes(index,
                     [&] { layer->Reshape(bottoms_[index], tops_[index]); });
  });
  FillLossDiffs(index);
  // What a Backward needs has been made for other shapes.
  if (!RanWithTheseShapes(index)) forward_shapes_[index].clear();
}

template <typename Dtype>
void Net<Dtype>::ReshapeAllButSources() {
  for (size_t i = 0; i < layers_.size(); ++i) {
    if (!layers_[i]->Source()) ReshapeLayer(static_cast<int>(i));
  }
}

template <typename Dtype>
void Net<Dtype>::Reshape() {
  std::lock_guard<std::recursive_mutex> lock(*mutex_);
  ForgetPlan();
  for (size_t i = 0; i < layers_.size(); ++i) {
    ReshapeLayer(static_cast<int>(i));
  }
}

template <typename Dtype>
void Net<Dtype>::ForgetPlan() {
  CheckIdle();
  plan_.reset();
  training_plan_.reset();
}

template <typename Dtype>
void Net<Dtype>::LeavePlans() {
  ForgetPlan();
  shapes_vary_ = true;
  planned_to_ = -1;
}

template <typename Dtype>
void Net<Dtype>::CheckIdle() const {
  Check(!running_,
        "the net is running: a layer of its own may not run or reshape it, nor "
        "ask for a blob that it does not keep; call run_by_layer() of the net "
        "before, and it may");
}

template <typename Dtype>
void Net<Dtype>::Keep(int blob) {
  std::lock_guard<std::recursive_mutex> lock(*mutex_);
  Check(blob >= 0 && blob < static_cast<int>(blobs_.size()), "blob ", blob,
        " does not exist");
  if (kept_[blob]) return;
  ForgetPlan();
  kept_[blob] = true;
}

template <typename Dtype>
void Net<Dtype>::set_planning(bool on) {
  std::lock_guard<std::recursive_mutex> lock(*mutex_);
  planning_ = on;
}

template <typename Dtype>
bool Net<Dtype>::planned() const {
  return plan_ != nullptr || training_plan_ != nullptr;
}

template <typename Dtype>
const PlanRun* Net<Dtype>::plan_run() const {
  return plan_ ? &plan_->plan_run() : nullptr;
}

template class Net<float>;
template class Net<double>;

}  // namespace p3d
