// A Net's memory on a GPU: how much it takes, and which batch fits.
#include <algorithm>
#include <cstdio>
#include <map>
#include <set>
#include <type_traits>

#include "engine/net.hpp"
#include "engine/plan.hpp"
#include "engine/training_plan.hpp"

namespace p3d {
namespace {

// Of the room; the rest is for what is not counted, such as scratch memory.
constexpr double kUsable = 0.95;

std::string MiB(size_t bytes) {
  char text[32];
  std::snprintf(text, sizeof(text), "%.1f MiB", bytes / 1048576.);
  return text;
}

template <typename Dtype>
size_t BytesOfValue() {
  return std::is_same<Dtype, float>::value ? BytesOf(KindOfValues(true))
                                           : sizeof(Dtype);
}

// Where an array comes from the host it lies in both orders, if they differ,
// and is rounded where values take 16 bits.
template <typename Dtype>
size_t BroughtBytes(const Blob<Dtype>& blob) {
  const size_t value = BytesOfValue<Dtype>();
  const bool turned = !blob.geometry().trivial();
  if (value == sizeof(Dtype)) return blob.count() * value * (turned ? 2 : 1);
  return blob.count() * (sizeof(Dtype) + value);
}

}  // namespace

template <>
size_t Net<double>::PlannedBytes() {
  return 0;
}

template <>
size_t Net<float>::PlannedBytes() {
  if (phase_ == Phase::kTrain) {
    return Lean() ? TrainingPlan::Bytes(this, kept_) : 0;
  }
  if (!Planning()) return 0;
  const int last = static_cast<int>(layers_.size()) - 1;
  size_t bytes = Plan::ArenaBytes(this, last, kept_);
  std::set<const Storage<float>*> counted;
  for (int id : source_tops_) counted.insert(&blobs_[id]->storage());
  for (size_t id = 0; id < blobs_.size(); ++id) {
    if (!kept_[id] || !counted.insert(&blobs_[id]->storage()).second) continue;
    bytes += BroughtBytes(*blobs_[id]);
  }
  return bytes;
}

// Of blobs that lie in both orders, since what makes them takes the one and a
// layer that makes vectors of images, such as InnerProduct, the other.
template <typename Dtype>
size_t Net<Dtype>::TurnedBytes() const {
  size_t bytes = 0;
  for (size_t i = 0; i < layers_.size(); ++i) {
    const auto trivial = [](const Blob<Dtype>* blob) {
      return blob->geometry().trivial();
    };
    if (!std::all_of(tops_[i].begin(), tops_[i].end(), trivial)) continue;
    for (const Blob<Dtype>* bottom : bottoms_[i]) {
      if (!trivial(bottom)) bytes += bottom->count() * sizeof(Dtype);
    }
  }
  return bytes;
}

template <typename Dtype>
GpuNeeds Net<Dtype>::gpu_needs() {
  std::lock_guard<std::recursive_mutex> lock(*mutex_);
  // A forward that failed may not have come to the last ones.
  ReshapeAllButSources();
  GpuNeeds needs;
  std::set<const Storage<Dtype>*> counted;
  // A solver has a gradient and up to two histories of each.
  const size_t copies = phase_ == Phase::kTrain ? 4 : 1;
  for (const auto& layer : layers_) {
    for (const auto& blob : layer->blobs()) {
      if (!counted.insert(&blob->storage()).second) continue;
      needs.fixed += copies * BroughtBytes(*blob);
    }
  }
  size_t bytes = 0;
  for (int id : source_tops_) {
    bytes += BroughtBytes(*blobs_[id]);
    counted.insert(&blobs_[id]->storage());
  }
  const size_t planned = PlannedBytes();
  const size_t values = phase_ == Phase::kTrain ? 2 : 1;  // and gradients
  for (const auto& blob : blobs_) {
    if (planned || !counted.insert(&blob->storage()).second) continue;
    bytes += values * blob->count() * BytesOfValue<Dtype>();
  }
  bytes += values * TurnedBytes();
  const std::vector<int>& batch = inputs_.empty() ? source_tops_ : inputs_;
  if (!batch.empty() && blobs_[batch[0]]->num_axes() > 0) {
    needs.items = std::max<int64_t>(1, blobs_[batch[0]]->shape(0));
  }
  needs.per_item = (bytes + planned + needs.items - 1) / needs.items;
  return needs;
}

template <typename Dtype>
size_t Net<Dtype>::HeldOnGpu() const {
  std::map<const Storage<Dtype>*, size_t> held;
  const auto add = [&](const Blob<Dtype>& blob) {
    for (const auto* storage : {&blob.storage(), &blob.diff_storage()}) {
      held[storage] = storage->gpu_bytes();
    }
  };
  for (const auto& blob : blobs_) add(*blob);
  for (const auto& layer : layers_) {
    for (const auto& blob : layer->blobs()) add(*blob);
  }
  size_t bytes = 0;
  for (const auto& entry : held) bytes += entry.second;
  if (plan_) bytes += plan_->gpu_bytes();
  if (training_plan_) bytes += training_plan_->gpu_bytes();
  return bytes;
}

template <typename Dtype>
size_t Net<Dtype>::GpuRoom() const {
  std::lock_guard<std::recursive_mutex> lock(*mutex_);
  return Gpu().DeviceFree() + HeldOnGpu();
}

template <typename Dtype>
int64_t Net<Dtype>::GpuBatch() {
  const GpuNeeds needs = gpu_needs();
  const double room = kUsable * GpuRoom() - needs.fixed;
  if (room <= 0 || needs.per_item == 0) return 0;
  return static_cast<int64_t>(room / needs.per_item);
}

// Not as large a batch as has just failed, whatever was counted.
template <typename Dtype>
std::string Net<Dtype>::NeedsInWords() {
  const GpuNeeds needs = gpu_needs();
  const int64_t fits = std::min(GpuBatch(), needs.items - 1);
  return "; with a batch of " + std::to_string(needs.items) +
         " this net needs about " + MiB(needs.all()) + " (" + MiB(needs.fixed) +
         " for weights, " + MiB(needs.per_item) + " per item) of " +
         MiB(GpuRoom()) + " that it may have: " +
         (fits > 0 ? "a batch of " + std::to_string(fits) + " fits"
                   : "not even a batch of one fits");
}

#define P3D_INSTANTIATE(Dtype)                 \
  template GpuNeeds Net<Dtype>::gpu_needs();   \
  template size_t Net<Dtype>::GpuRoom() const; \
  template int64_t Net<Dtype>::GpuBatch();     \
  template std::string Net<Dtype>::NeedsInWords()
P3D_INSTANTIATE(float);
P3D_INSTANTIATE(double);
#undef P3D_INSTANTIATE

}  // namespace p3d
