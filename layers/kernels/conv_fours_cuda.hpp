#ifndef P3D_KERNELS_CONV_FOURS_CUDA_HPP_
#define P3D_KERNELS_CONV_FOURS_CUDA_HPP_

// Memory four values at a time, as a GPU reads and writes it best.

#include <cstdint>

#include "kernels/conv.hpp"
#include "kernels/host_device.hpp"

namespace p3d {
namespace cuda {

template <typename Dtype>
struct alignas(16) Four {
  Dtype v[4];
};

// Values [first, first + 4) of a row, zeros for those outside [begin, end).
// `whole`: all of them are inside or none is, and they are aligned.
template <bool whole, typename Dtype>
P3D_HOST_DEVICE Four<Dtype> Read(const Dtype* row, int first, int begin,
                                 int end) {
  Four<Dtype> four = {};
  if (whole) {
    if (first >= begin && first < end)
      four = *reinterpret_cast<const Four<Dtype>*>(row + first);
  } else {
    P3D_UNROLL
    for (int i = 0; i < 4; ++i) {
      if (first + i >= begin && first + i < end) four.v[i] = row[first + i];
    }
  }
  return four;
}

// The other way round: row[first + i] = four.v[i], or +=, where that is before
// the end.
template <bool whole, typename Dtype>
P3D_HOST_DEVICE void Write(Four<Dtype> four, bool add, Dtype* row, int first,
                           int end) {
  if (add) {
    const Four<Dtype> old = Read<whole>(row, first, 0, end);
    P3D_UNROLL
    for (int i = 0; i < 4; ++i) four.v[i] += old.v[i];
  }
  if (whole) {
    if (first < end) *reinterpret_cast<Four<Dtype>*>(row + first) = four;
  } else {
    P3D_UNROLL
    for (int i = 0; i < 4; ++i) {
      if (first + i < end) row[first + i] = four.v[i];
    }
  }
}

template <typename Dtype>
bool Aligned(const Dtype* array) {
  return reinterpret_cast<uintptr_t>(array) % alignof(Four<Dtype>) == 0;
}

// Whether every group's inputs and outputs can be read four at a time.
inline bool InFours(const ConvShape& shape) {
  return shape.channels / shape.group % 4 == 0 &&
         shape.num_output / shape.group % 4 == 0;
}

}  // namespace cuda
}  // namespace p3d

#endif  // P3D_KERNELS_CONV_FOURS_CUDA_HPP_
