#ifndef P3D_KERNELS_CROP_HPP_
#define P3D_KERNELS_CROP_HPP_

#include <cstdint>
#include <vector>

namespace p3d {

// One axis of a crop: [offset, offset + size) of `in`.
struct CropAxis {
  int64_t in = 1;
  int64_t offset = 0;
  int64_t size = 1;
};

// The same block by as few axes as will do, at least one: what is not cut is
// part of the axis around it.
std::vector<CropAxis> Merged(const std::vector<CropAxis>& axes);

// Copies the block that `axes` (outermost first) cut out of `from` to `to`.
// Needs 0 <= offset and offset + size <= in for every axis.
template <typename Dtype>
void Crop(const std::vector<CropAxis>& axes, const Dtype* from, Dtype* to);

// The other way round: copies `from` to the block of `to`, whose other values
// become 0.
template <typename Dtype>
void Uncrop(const std::vector<CropAxis>& axes, const Dtype* from, Dtype* to);

}  // namespace p3d

#endif  // P3D_KERNELS_CROP_HPP_
