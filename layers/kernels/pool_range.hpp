#ifndef P3D_KERNELS_POOL_RANGE_HPP_
#define P3D_KERNELS_POOL_RANGE_HPP_

#include <cstdint>

#include "kernels/cuda/host_device.hpp"
#include "kernels/pool.hpp"

namespace p3d {

// The part of an axis that window o covers, for the CPU and GPUs alike.
struct PoolRange {
  P3D_HOST_DEVICE PoolRange(const PoolAxis& axis, int64_t o) {
    const int64_t start = o * axis.stride - axis.pad;
    const int64_t in_padding = start + axis.kernel, edge = axis.in + axis.pad;
    const int64_t stop = in_padding < edge ? in_padding : edge;
    padded = static_cast<double>(stop - start);
    begin = start > 0 ? start : 0;
    end = stop < axis.in ? stop : axis.in;
    if (end < begin) end = begin;
  }

  int64_t begin, end;  // clipped to the input
  double padded;       // elements when clipped to the padded input
};

}  // namespace p3d

#endif  // P3D_KERNELS_POOL_RANGE_HPP_
