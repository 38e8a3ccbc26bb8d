#include "engine/net.hpp"

#include <algorithm>
#include <chrono>

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
Dtype Net<Dtype>::TimeLayer(int index, std::vector<StepTime>* times) {
  using Clock = std::chrono::steady_clock;
  const Clock::time_point start = Clock::now();
  const Dtype loss = RunLayer(index);
  Finish();
  const std::chrono::duration<double, std::milli> spent = Clock::now() - start;
  const Layer<Dtype>& layer = *layers_[index];
  times->push_back({layer.name(), layer.type(), layer.kernel(), layer.macs(), 0,
                    spent.count()});
  for (const auto& blob : layer.blobs()) times->back().values += blob->count();
  for (const Blob<Dtype>* blob : bottoms_[index]) {
    times->back().values += blob->count();
  }
  for (const Blob<Dtype>* blob : tops_[index]) {
    times->back().values += blob->count();
  }
  return loss;
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
void Net<Dtype>::TimeInputCopies(std::vector<StepTime>* times) {
  using Clock = std::chrono::steady_clock;
  Finish();
  const Clock::time_point start = Clock::now();
  WithValues<Dtype>(Side::kGpu, [&](auto kind) {
    for (int id : inputs_) {
      blobs_[id]->template data_of<decltype(kind)>(Order::kChannelsLast,
                                                   Side::kGpu);
    }
  });
  Finish();
  const std::chrono::duration<double, std::milli> spent = Clock::now() - start;
  times->push_back({"input copies", "", "", 0, 0, spent.count()});
}

template <typename Dtype>
std::vector<StepTime> Net<Dtype>::Profile() {
  std::lock_guard<std::recursive_mutex> lock(*mutex_);
  const SteadyMode steady;
  std::vector<StepTime> times;
  CheckIdle();
  TouchAll();
  if (mode() == Side::kGpu && !inputs_.empty()) TimeInputCopies(&times);
  const int last = static_cast<int>(layers_.size()) - 1;
  if (Planning()) {
    RunSources(last, &times);
    Plan* plan = PlanTo(last);
    RememberInputs(last);
    const Running running(this);
    plan->Run(Poll(), &times);
    RememberOwn();
  } else {
    for (int i = 0; i <= last; ++i) {
      ReshapeLayer(i);
      TimeLayer(i, &times);
    }
  }
  SyncAll();
  return times;
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

template <typename Dtype>
void Net<Dtype>::RememberInputs(int last) {
  planned_to_ = last;
  if (!HasShapes(planned_shapes_)) planned_shapes_ = Shapes();
  input_copies_.clear();
  own_remembered_ = false;
  for (int id : source_tops_) {
    Storage<Dtype>& storage = blobs_[id]->storage();
    const bool input =
        std::find(inputs_.begin(), inputs_.end(), id) != inputs_.end();
    // A person may write to what another source made only after the forward.
    const bool written =
        (storage.lent() || !input) && blobs_[id]->geometry().trivial();
    if (written || std::count(overwritten_.begin(), overwritten_.end(), id)) {
      if (auto copy = storage.CopyOfEngineSide()) input_copies_[id] = copy;
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
void Net<Dtype>::TouchAll() {
  for (const auto& layer : layers_) {
    for (const auto& blob : layer->blobs()) blob->storage().Touch();
  }
  for (const auto& blob : blobs_) blob->storage().Touch();
}

template <typename Dtype>
void Net<Dtype>::SyncAll() {
  for (const auto& layer : layers_) {
    for (const auto& blob : layer->blobs()) blob->storage().Sync();
  }
  for (const auto& blob : blobs_) blob->storage().Sync();
}

template class Net<float>;
template class Net<double>;

}  // namespace p3d
