#ifndef P3D_ENGINE_LAYERS_WRONG_ROWS_HPP_
#define P3D_ENGINE_LAYERS_WRONG_ROWS_HPP_

#include "engine/gpu.hpp"

namespace p3d {

// What a layer that takes numbers of rows finds out about them on the GPU, for
// its Verify.
template <typename Dtype>
class WrongRows {
 public:
  // In Forward: has the GPU look for the first of `count` values that names no
  // row, in memory of the layer's own.
  void Check(const RowIndex<Dtype>& index, int64_t count) {
    const GpuKernels<Dtype> gpu = GpuOf<Dtype>();
    gpu.CheckRows(gpu.stream, index, count, memory_.Hold(1));
  }
  // Waits for what the last Forward, or its replay, found; place -1: nothing.
  cuda::WrongRow Found() const {
    cuda::WrongRow wrong;
    Gpu().CopyToHost(&wrong, memory_.data(), sizeof(wrong));
    return wrong;
  }

 private:
  GpuMemory<cuda::WrongRow> memory_;
};

}  // namespace p3d

#endif  // P3D_ENGINE_LAYERS_WRONG_ROWS_HPP_
