#ifndef P3D_ENGINE_LAYERS_NORMALIZE_GPU_HPP_
#define P3D_ENGINE_LAYERS_NORMALIZE_GPU_HPP_

#include <cstdint>

#include "engine/layers/normalize.hpp"
#include "engine/values.hpp"

namespace p3d {

// What normalize.hpp does, on the GPU and for any kind of values there, with
// memory of a layer's own for the moments: means and then deviations, which
// are sqrt(variance + eps).
template <typename Dtype>
class GpuNormalization {
 public:
  // Memory for them, undefined at first; it stays for as long as `channels` do.
  double* Moments(int64_t channels) {
    channels_ = channels;
    return moments_.Hold(2 * channels + 1);
  }
  double* mean() const { return moments_.data(); }
  double* deviation() const { return mean() + channels_; }

  // Means and variances of the batch, in the place of the moments...
  template <typename Value>
  void BatchStatistics(const Blob<Dtype>& bottom) {
    CheckBatch(bottom);
    const GpuKernels<Value> gpu = GpuOf<Value>();
    const Geometry g = bottom.geometry();
    const Order order = OrderOf<Value>(bottom.order(Side::kGpu));
    Moments(g.channels);
    const GpuScratch<double> scratch(Gpu().BnScratchSize(g, order));
    gpu.ChannelStatistics(gpu.stream, g, order,
                          bottom.template data_of<Value>(order, Side::kGpu),
                          scratch.data(), mean(), deviation());
  }
  // ... or of all ranks' batches (see kernels/cuda/nccl_cuda.hpp); every rank
  // calls it. Behind the moments lies how many values each channel has then.
  template <typename Value>
  void JointStatistics(const Blob<Dtype>& bottom) {
    CheckBatch(bottom);
    const GpuKernels<Value> gpu = GpuOf<Value>();
    const Geometry g = bottom.geometry();
    const Order order = OrderOf<Value>(bottom.order(Side::kGpu));
    const int64_t ranks = Gpu().RanksJoined(), size = 2 * g.channels + 1;
    const GpuScratch<double> scratch(Gpu().BnScratchSize(g, order));
    const GpuScratch<double> own(size), all(ranks * size);
    gpu.RankStatistics(gpu.stream, g, order,
                       bottom.template data_of<Value>(order, Side::kGpu),
                       scratch.data(), own.data());
    Gpu().GatherFromRanks(gpu.stream, size, own.data(), all.data());
    Gpu().JoinStatistics(gpu.stream, ranks, g.channels, all.data(),
                         Moments(g.channels));
  }
  // ... which this makes of them.
  void Finish(double eps) {
    const GpuKernels<double> gpu = GpuOf<double>();
    gpu.Moments(gpu.stream, channels_, eps, mean(), deviation(), mean(),
                deviation());
  }

  // See NormalizeChannels.
  template <typename Value>
  void Forward(const Dtype* slope, const Dtype* bias, Blob<Dtype>* bottom,
               Blob<Dtype>* top) {
    const GpuKernels<Value> gpu = GpuOf<Value>();
    const Geometry g = bottom->geometry();
    const Order order = OrderOf<Value>(bottom->order(Side::kGpu));
    const Value* x = bottom->template data_of<Value>(order, Side::kGpu);
    gpu.Normalize(gpu.stream, g, order, mean(), deviation(), slope, bias, x,
                  Factors(g.channels),
                  top->template write_data_of<Value>(order, Side::kGpu));
  }
  // See NormalizeChannelsBackward; a null `below` is not wanted.
  template <typename Value>
  void Backward(const Dtype* slope, const Blob<Dtype>& input,
                const Blob<Dtype>& top, Dtype* dslope, Dtype* dbias,
                Blob<Dtype>* below) {
    const GpuKernels<Value> gpu = GpuOf<Value>();
    const Geometry g = top.geometry();
    const Order order = OrderOf<Value>(input.order(Side::kGpu));
    const Value* x = input.template data_of<Value>(order, Side::kGpu);
    const Value* dy = top.template diff_of<Value>(order, Side::kGpu);
    const GpuScratch<double> scratch(Gpu().BnScratchSize(g, order));
    Value* dx = nullptr;
    if (below) dx = below->template write_diff_of<Value>(order, Side::kGpu);
    gpu.NormalizeBackward(gpu.stream, g, order, mean(), deviation(), slope, x,
                          dy, scratch.data(), dslope, dbias, dx);
  }
  // The same behind JointStatistics; dslope and dbias are of this rank's
  // values.
  template <typename Value>
  void BackwardJoint(const Dtype* slope, const Blob<Dtype>& input,
                     const Blob<Dtype>& top, Dtype* dslope, Dtype* dbias,
                     Blob<Dtype>* below) {
    const GpuKernels<Value> gpu = GpuOf<Value>();
    const Geometry g = top.geometry();
    const Order order = OrderOf<Value>(input.order(Side::kGpu));
    const Value* x = input.template data_of<Value>(order, Side::kGpu);
    const Value* dy = top.template diff_of<Value>(order, Side::kGpu);
    const GpuScratch<double> scratch(Gpu().BnScratchSize(g, order));
    const GpuScratch<double> sums(2 * g.channels);
    gpu.NormalizeBackwardSums(gpu.stream, g, order, mean(), deviation(), x, dy,
                              scratch.data(), dslope, dbias, sums.data());
    if (!below) return;
    Gpu().SumOverRanks(gpu.stream, 2 * g.channels, sums.data());
    gpu.NormalizeBackwardJoint(
        gpu.stream, g, order, mean(), deviation(), slope, sums.data(),
        mean() + 2 * g.channels, x, dy, scratch.data(),
        below->template write_diff_of<Value>(order, Side::kGpu));
  }
  // See NormalizeChannelsBackwardFrozen.
  template <typename Value>
  void BackwardFrozen(const Dtype* slope, const Blob<Dtype>& top,
                      Blob<Dtype>* below) {
    const GpuKernels<Value> gpu = GpuOf<Value>();
    const Geometry g = top.geometry();
    const Order order = OrderOf<Value>(top.diff_order(Side::kGpu));
    const Value* dy = top.template diff_of<Value>(order, Side::kGpu);
    gpu.NormalizeBackwardFrozen(
        gpu.stream, g, order, deviation(), slope, dy, Factors(g.channels),
        below->template write_diff_of<Value>(order, Side::kGpu));
  }

 private:
  double* Factors(int64_t channels) {
    return factors_.Hold(Gpu().NormalizeScratchSize(channels));
  }

  int64_t channels_ = 0;
  GpuMemory<double> moments_, factors_;
};

}  // namespace p3d

#endif  // P3D_ENGINE_LAYERS_NORMALIZE_GPU_HPP_
