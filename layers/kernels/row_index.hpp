#ifndef P3D_KERNELS_ROW_INDEX_HPP_
#define P3D_KERNELS_ROW_INDEX_HPP_

#include <cmath>
#include <cstdint>

#include "kernels/cuda/host_device.hpp"

namespace p3d {

// Numbers of rows as Caffe keeps them: floating point values that are cut off
// to integers.
template <typename Dtype>
struct RowIndex {
  const Dtype* values;
  int64_t rows;
  // Whether what is cut off to 0 from below is row 0, too.
  bool cut_first = false;

  // The row that value j names, -1 where there is none.
  P3D_HOST_DEVICE int64_t find(int64_t j) const {
    const double value = values[j];
    const double row = cut_first ? std::trunc(value) : value;
    const bool known = row >= 0 && row < static_cast<double>(rows);
    return known ? static_cast<int64_t>(row) : -1;
  }
};

}  // namespace p3d

#endif  // P3D_KERNELS_ROW_INDEX_HPP_
