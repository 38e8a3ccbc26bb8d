#ifndef P3D_KERNELS_CONV_FOURS_CUDA_HPP_
#define P3D_KERNELS_CONV_FOURS_CUDA_HPP_

// Memory four values at a time, or another number of them that fills 16 bytes,
// as a GPU reads and writes it best.

#include <cstdint>

#include "kernels/aligned.hpp"
#include "kernels/conv/conv.hpp"
#include "kernels/cuda/host_device.hpp"

namespace p3d {
namespace cuda {

template <typename Dtype, int count>
struct alignas(16) Values {
  Dtype v[count];
};
template <typename Dtype>
using Four = Values<Dtype, 4>;

// Values [first, first + count) of a row, zeros for those outside [begin, end).
// `whole`, or `is_whole`: all of them are inside or none is, and they are
// aligned.
template <bool whole, int count = 4, typename Dtype>
P3D_HOST_DEVICE Values<Dtype, count> Read(const Dtype* row, int first,
                                          int begin, int end,
                                          bool is_whole = whole) {
  Values<Dtype, count> values = {};
  if (whole || is_whole) {
    if (first >= begin && first < end)
      values = *reinterpret_cast<const Values<Dtype, count>*>(row + first);
    return values;
  }
  const Dtype* const from = row + first;
  const auto before = static_cast<uint32_t>(begin - first);
  const uint32_t count_inside = end > begin ? end - begin : 0;
  P3D_UNROLL
  for (int i = 0; i < count; ++i) {
    if (i - before < count_inside) values.v[i] = from[i];
  }
  return values;
}

// The other way round: row[first + i] = values.v[i], or +=, where that is
// before the end.
template <bool whole, typename Dtype, int count>
P3D_HOST_DEVICE void Write(Values<Dtype, count> values, bool add, Dtype* row,
                           int first, int end, bool is_whole = whole) {
  if (add) {
    const Values<Dtype, count> old =
        Read<whole, count>(row, first, 0, end, is_whole);
    P3D_UNROLL
    for (int i = 0; i < count; ++i) values.v[i] = values.v[i] + old.v[i];
  }
  if (whole || is_whole) {
    if (first < end)
      *reinterpret_cast<Values<Dtype, count>*>(row + first) = values;
    return;
  }
  Dtype* const to = row + first;
  P3D_UNROLL
  for (int i = 0; i < count; ++i) {
    if (i < end - first) to[i] = values.v[i];
  }
}

// Whether every group's inputs and outputs can be read so many at a time.
inline bool InParts(const ConvShape& shape, int count) {
  return shape.channels / shape.group % count == 0 &&
         shape.num_output / shape.group % count == 0;
}
inline bool InFours(const ConvShape& shape) { return InParts(shape, 4); }

}  // namespace cuda
}  // namespace p3d

#endif  // P3D_KERNELS_CONV_FOURS_CUDA_HPP_
