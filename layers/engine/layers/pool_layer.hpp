#ifndef P3D_ENGINE_LAYERS_POOL_LAYER_HPP_
#define P3D_ENGINE_LAYERS_POOL_LAYER_HPP_

#include <string>
#include <vector>

#include "engine/layer.hpp"
#include "kernels/pool.hpp"

namespace p3d {

// What Pooling and Pooling3D have in common; they differ in how a prototxt
// names the window of each spatial axis. See kernels/pool.hpp for the rules.
//
//   MAX          a second top gets the place of each maximum
//   AVE
//   STOCHASTIC   TRAIN draws, TEST averages with the values as weights; cannot
//                be padded
//
// Global pooling takes all of every spatial axis, whatever the input's size.
template <typename Dtype>
class PoolLayer : public Layer<Dtype> {
 public:
  using Layer<Dtype>::Layer;
  using typename Layer<Dtype>::Blobs;

  BlobCounts counts() const override { return {1, 1, 1, 2, false}; }
  bool HasGpu() const override { return windows_.size() <= 3; }
  // STOCHASTIC in training draws.
  bool Replayable() const override {
    return method_ != "STOCHASTIC" || this->phase() == Phase::kTest;
  }
  void LayerSetUp(const Blobs& bottom, const Blobs& top) override;
  void Reshape(const Blobs& bottom, const Blobs& top) override;
  void Forward(const Blobs& bottom, const Blobs& top) override;
  void Backward(const Blobs& top, const std::vector<bool>& propagate_down,
                const Blobs& bottom) override;
  // Not through STOCHASTIC's expectation.
  bool Differentiable(int) const override {
    return method_ != "STOCHASTIC" || this->phase() == Phase::kTrain;
  }

 protected:
  virtual const Fields& fields() const = 0;
  // Kernel, stride and pad of each of the bottom's `count` spatial axes; global
  // pooling has kernels of 0. Throws Error for a window that is not fully
  // given.
  virtual std::vector<PoolAxis> Windows(size_t count) const = 0;

 private:
  void ForwardStochastic(Blob<Dtype>* bottom, Blob<Dtype>* top);

  std::string method_;
  bool global_ = false;
  std::vector<PoolAxis> windows_;
  PoolRounding rounding_ = PoolRounding::kCeil;
  PoolShape shape_;
  Blob<Dtype> mask_;  // of the last Forward, where a Backward needs it
};

// The fields of PoolingParameter, which Pooling3DParameter has too: kernel_size
// or kernel_h and kernel_w, stride or stride_h and stride_w, pad or pad_h and
// pad_w, for `count` spatial axes. A single value is meant for all axes, a pair
// for the last two; axes that a pair of kernels leaves out are not pooled.
std::vector<PoolAxis> ReadPoolWindows(const Fields& fields, size_t count);

}  // namespace p3d

#endif  // P3D_ENGINE_LAYERS_POOL_LAYER_HPP_
