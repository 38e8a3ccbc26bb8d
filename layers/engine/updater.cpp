#include "engine/updater.hpp"

#include <algorithm>
#include <memory>

namespace p3d {
namespace {

void CheckGpu() {
  Check(mode() == Side::kGpu,
        "several ranks train on GPUs only; call set_mode_gpu in each process");
}

// What ranks exchanged is there then, or an Error says why it is not.
void WaitForRanks() {
  Gpu().DeviceSynchronize();
  Gpu().CheckRanks();
}

}  // namespace

template <typename Dtype>
Updater<Dtype>::Updater(std::shared_ptr<Net<Dtype>> net, UpdateRule rule)
    : net_(std::move(net)), rule_(rule) {
  for (size_t i = 0; i < net_->layers().size(); ++i) {
    const Layer<Dtype>& layer = *net_->layers()[i];
    for (size_t j = 0; j < layer.blobs().size(); ++j) {
      LearnableParam param;
      param.layer = static_cast<int>(i);
      param.blob = static_cast<int>(j);
      if (!net_->owns_param(param.layer, param.blob)) continue;
      const ParamSpec spec = net_->param_spec(param.layer, param.blob);
      param.lr_mult = spec.lr_mult.value;
      param.decay_mult = spec.decay_mult.value;
      params_.push_back(param);
      blobs_.push_back(layer.blobs()[j]);
    }
  }
  const int moments = HasSecondMoment(rule) ? 2 : 1;
  for (int moment = 0; moment < moments; ++moment) {
    for (const auto& blob : blobs_) {
      history_.push_back(std::make_shared<Blob<Dtype>>(blob->shape()));
      history_.back()->FixShape("a solver's history");
    }
  }
}

template <typename Dtype>
void Updater<Dtype>::AverageOverRanks() {
  std::lock_guard<std::recursive_mutex> lock(net_->mutex());
  const SteadyMode steady;
  CheckGpu();
  std::vector<cuda::RankValues<Dtype>> gradients;
  for (size_t i = 0; i < blobs_.size(); ++i) {
    blobs_[i]->diff_storage().Touch();
    if (params_[i].lr_mult == 0) continue;
    gradients.push_back(
        {blobs_[i]->mutable_diff(Order::kChannelsLast, Side::kGpu),
         blobs_[i]->count()});
  }
  const GpuKernels<Dtype> gpu = GpuOf<Dtype>();
  gpu.MeanOverRanks(gpu.stream, gradients);
  WaitForRanks();
}

template <typename Dtype>
void Updater<Dtype>::CopyFromRank0() {
  std::lock_guard<std::recursive_mutex> lock(net_->mutex());
  const SteadyMode steady;
  CheckGpu();
  for (const auto& blob : blobs_) {
    blob->storage().Touch();
    Gpu().CopyFromRank0(Gpu().DeviceStream(), blob->count() * sizeof(Dtype),
                        blob->mutable_data(Order::kCaffe, Side::kGpu));
  }
  WaitForRanks();
}

template <typename Dtype>
std::vector<double> Updater<Dtype>::GradientSquares() {
  std::lock_guard<std::recursive_mutex> lock(net_->mutex());
  const SteadyMode steady;
  for (const auto& blob : blobs_) blob->diff_storage().Touch();
  if (mode() == Side::kGpu) return SquaresOnGpu();
  std::vector<double> squares(blobs_.size(), 0);
  for (size_t i = 0; i < blobs_.size(); ++i) {
    if (params_[i].lr_mult == 0) continue;
    squares[i] = SumOfSquares(blobs_[i]->count(), blobs_[i]->diff());
  }
  return squares;
}

template <typename Dtype>
std::vector<double> Updater<Dtype>::SquaresOnGpu() {
  std::vector<double> squares(blobs_.size(), 0);
  const size_t bytes = squares.size() * sizeof(double);
  const GpuScratch<double> sums(squares.size()),
      scratch(cuda::kSumOfSquaresScratch);
  Gpu().ZeroOnDevice(sums.data(), bytes);
  std::vector<cuda::SquaresOf<Dtype>> arrays;
  for (size_t i = 0; i < blobs_.size(); ++i) {
    if (params_[i].lr_mult == 0) continue;
    arrays.push_back({blobs_[i]->count(),
                      blobs_[i]->diff(Order::kChannelsLast, Side::kGpu),
                      sums.data() + i});
  }
  const GpuKernels<Dtype> gpu = GpuOf<Dtype>();
  gpu.SumOfSquares(gpu.stream, arrays, scratch.data());
  Gpu().CopyToHost(squares.data(), sums.data(), bytes);
  return squares;
}

template <typename Dtype>
int Updater<Dtype>::Apply(UpdateStep step) {
  std::lock_guard<std::recursive_mutex> lock(net_->mutex());
  const SteadyMode steady;
  step.rule = rule_;
  if (mode() == Side::kGpu) return ApplyOnGpu(step);
  int broken = -1;
  for (size_t i = 0; i < blobs_.size(); ++i) {
    if (params_[i].lr_mult == 0) continue;
    const Arrays at = ArraysOf(i, Order::kCaffe, Side::kHost);
    const bool finite =
        Update(StepOf(step, i), blobs_[i]->count(), at.w, at.g, at.a, at.b);
    if (!finite && broken < 0) broken = static_cast<int>(i);
  }
  return broken;
}

// Channels last, as the gradients come from the kernels.
template <typename Dtype>
int Updater<Dtype>::ApplyOnGpu(const UpdateStep& step) {
  const size_t count = blobs_.size();
  const std::unique_ptr<bool[]> finite(new bool[count]);
  std::fill_n(finite.get(), count, true);
  const GpuScratch<bool> on_gpu(count);
  Gpu().CopyToDevice(on_gpu.data(), finite.get(), count);
  std::vector<cuda::ParamUpdate<Dtype>> params;
  for (size_t i = 0; i < count; ++i) {
    if (params_[i].lr_mult == 0) continue;
    const Arrays at = ArraysOf(i, Order::kChannelsLast, Side::kGpu);
    params.push_back({StepOf(step, i), blobs_[i]->count(), at.w, at.g, at.a,
                      at.b, on_gpu.data() + i});
  }
  const GpuKernels<Dtype> gpu = GpuOf<Dtype>();
  gpu.Update(gpu.stream, params);
  Gpu().CopyToHost(finite.get(), on_gpu.data(), count);
  const bool* const end = finite.get() + count;
  const bool* const broken =
      std::find(static_cast<const bool*>(finite.get()), end, false);
  return broken == end ? -1 : static_cast<int>(broken - finite.get());
}

template <typename Dtype>
UpdateStep Updater<Dtype>::StepOf(UpdateStep step, size_t i) const {
  const LearnableParam& param = params_[i];
  step.gain *= param.lr_mult;
  step.decay *= param.decay_mult;
  step.shrink = step.shrink * param.lr_mult * param.decay_mult;
  return step;
}

template <typename Dtype>
typename Updater<Dtype>::Arrays Updater<Dtype>::ArraysOf(size_t i, Order order,
                                                         Side side) {
  Blob<Dtype>& blob = *blobs_[i];
  const size_t second = i + blobs_.size();
  for (Storage<Dtype>* storage :
       {&blob.storage(), &blob.diff_storage(), &history_[i]->storage()}) {
    storage->Touch();
  }
  return {blob.mutable_data(order, side), blob.mutable_diff(order, side),
          history_[i]->mutable_data(order, side),
          second < history_.size() ? history_[second]->mutable_data(order, side)
                                   : nullptr};
}

template class Updater<float>;
template class Updater<double>;

}  // namespace p3d
