#ifndef P3D_KERNELS_CROP_CUDA_HPP_
#define P3D_KERNELS_CROP_CUDA_HPP_

#include <vector>

#include "kernels/crop.hpp"
#include "kernels/narrow.hpp"

struct CUstream_st;  // a cudaStream_t is a pointer to it

namespace p3d {
namespace cuda {

// The functions of crop.hpp on a GPU, of at most kCropAxes axes once they are
// Merged. Arrays lie in device memory. Each call is put into the stream and not
// waited for; what cannot be launched throws Error.
constexpr size_t kCropAxes = 6;

template <typename Value>
void Crop(CUstream_st* stream, const std::vector<CropAxis>& axes,
          const Value* from, Value* to);

template <typename Value>
void Uncrop(CUstream_st* stream, const std::vector<CropAxis>& axes,
            const Value* from, Value* to);

}  // namespace cuda
}  // namespace p3d

#endif  // P3D_KERNELS_CROP_CUDA_HPP_
