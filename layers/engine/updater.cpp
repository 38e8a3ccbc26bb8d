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
  std::vector<double> squares(blobs_.size(), 0);
  const bool gpu = mode() == Side::kGpu;
  std::unique_ptr<GpuScratch<double>> gpu_squares;
  if (gpu) {
    gpu_squares.reset(new GpuScratch<double>(blobs_.size()));
    Gpu().ZeroOnDevice(gpu_squares->data(), squares.size() * sizeof(double));
  }
  for (size_t i = 0; i < blobs_.size(); ++i) {
    blobs_[i]->diff_storage().Touch();
    if (params_[i].lr_mult == 0) continue;
    if (gpu) {
      SquaresOnGpu(i, gpu_squares->data() + i);
    } else {
      squares[i] = SumOfSquares(blobs_[i]->count(), blobs_[i]->diff());
    }
  }
  if (gpu) {
    Gpu().CopyToHost(squares.data(), gpu_squares->data(),
                     squares.size() * sizeof(double));
  }
  return squares;
}

template <typename Dtype>
void Updater<Dtype>::SquaresOnGpu(size_t i, double* sum) {
  const GpuKernels<Dtype> gpu = GpuOf<Dtype>();
  const int64_t count = blobs_[i]->count();
  const GpuScratch<double> scratch(Gpu().SumOfSquaresScratchSize(count));
  gpu.SumOfSquares(gpu.stream, count,
                   blobs_[i]->diff(Order::kChannelsLast, Side::kGpu),
                   scratch.data(), sum);
}

template <typename Dtype>
int Updater<Dtype>::Apply(UpdateStep step) {
  std::lock_guard<std::recursive_mutex> lock(net_->mutex());
  const SteadyMode steady;
  const UpdateStep whole = step;
  const bool gpu = mode() == Side::kGpu;
  std::unique_ptr<bool[]> finite(new bool[blobs_.size()]);
  std::fill_n(finite.get(), blobs_.size(), true);
  std::unique_ptr<GpuBuffer> gpu_finite;
  if (gpu) {
    gpu_finite.reset(new GpuBuffer(blobs_.size()));
    Gpu().CopyToDevice(gpu_finite->data(), finite.get(), blobs_.size());
  }
  step.rule = rule_;
  for (size_t i = 0; i < blobs_.size(); ++i) {
    const LearnableParam& param = params_[i];
    if (param.lr_mult == 0) continue;
    step.gain = whole.gain * param.lr_mult;
    step.decay = whole.decay * param.decay_mult;
    step.shrink = whole.shrink * param.lr_mult * param.decay_mult;
    if (gpu) {
      ApplyOnGpu(step, i, static_cast<bool*>(gpu_finite->data()) + i);
    } else {
      finite[i] = ApplyOnHost(step, i);
    }
  }
  if (gpu) {
    Gpu().CopyToHost(finite.get(), gpu_finite->data(), blobs_.size());
  }
  const bool* const end = finite.get() + blobs_.size();
  const bool* const broken =
      std::find(static_cast<const bool*>(finite.get()), end, false);
  return broken == end ? -1 : static_cast<int>(broken - finite.get());
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

template <typename Dtype>
bool Updater<Dtype>::ApplyOnHost(const UpdateStep& step, size_t i) {
  const Arrays at = ArraysOf(i, Order::kCaffe, Side::kHost);
  return Update(step, blobs_[i]->count(), at.w, at.g, at.a, at.b);
}

// Channels last, as the gradients come from the kernels.
template <typename Dtype>
void Updater<Dtype>::ApplyOnGpu(const UpdateStep& step, size_t i,
                                bool* finite) {
  const Arrays at = ArraysOf(i, Order::kChannelsLast, Side::kGpu);
  const GpuKernels<Dtype> gpu = GpuOf<Dtype>();
  gpu.Update(gpu.stream, step, blobs_[i]->count(), at.w, at.g, at.a, at.b,
             finite);
}

template class Updater<float>;
template class Updater<double>;

}  // namespace p3d
