// How long the layers of a Net, or the steps of its plan, take.
#include <chrono>
#include <vector>

#include "engine/net.hpp"
#include "engine/plan.hpp"
#include "kernels/error.hpp"

namespace p3d {

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

#define P3D_INSTANTIATE(Dtype)                                       \
  template Dtype Net<Dtype>::TimeLayer(int, std::vector<StepTime>*); \
  template void Net<Dtype>::TimeInputCopies(std::vector<StepTime>*); \
  template std::vector<StepTime> Net<Dtype>::Profile()
P3D_INSTANTIATE(float);
P3D_INSTANTIATE(double);
#undef P3D_INSTANTIATE

}  // namespace p3d
