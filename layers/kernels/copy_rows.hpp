#ifndef P3D_KERNELS_COPY_ROWS_HPP_
#define P3D_KERNELS_COPY_ROWS_HPP_

#include <cstdint>

namespace p3d {

// `rows` rows of `width` values, `stride` values apart.
template <typename Dtype>
struct Rows {
  Dtype* data;
  int64_t stride;
};

// to.data[r * to.stride + i] = from.data[r * from.stride + i] for r < rows and
// i < width. Joining and cutting blobs along an axis is this: one row per index
// of the axes before it, one value per index of that axis and those after it.
// The two must not overlap.
template <typename Dtype>
void CopyRows(int64_t rows, int64_t width, Rows<const Dtype> from,
              Rows<Dtype> to);

}  // namespace p3d

#endif  // P3D_KERNELS_COPY_ROWS_HPP_
