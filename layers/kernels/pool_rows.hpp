#ifndef P3D_KERNELS_POOL_ROWS_HPP_
#define P3D_KERNELS_POOL_ROWS_HPP_

#include "kernels/pool.hpp"

namespace p3d {

// MaxPool and AveragePool of images of one channel, as every blob in Caffe's
// order is: a window's rows are combined first, whole rows at a time, then
// neighbours within that row.

template <typename Dtype>
void MaxPoolRows(const PoolShape& shape, const Dtype* x, Dtype* y, Dtype* mask);

template <typename Dtype>
void AveragePoolRows(const PoolShape& shape, const Dtype* x, Dtype* y);

}  // namespace p3d

#endif  // P3D_KERNELS_POOL_ROWS_HPP_
