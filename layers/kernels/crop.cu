#include "kernels/crop_cuda.hpp"

// The header that this file implements comes first.
#include <algorithm>

#include "kernels/cuda/cuda_launch.hpp"
#include "kernels/error.hpp"

namespace p3d {
namespace cuda {
namespace {

// What a kernel can be given of a vector.
struct Block {
  explicit Block(const std::vector<CropAxis>& all) {
    const std::vector<CropAxis> merged = Merged(all);
    Check(merged.size() <= kCropAxes, "a crop on a GPU takes up to ", kCropAxes,
          " axes, not ", merged.size());
    count = static_cast<int>(merged.size());
    std::copy(merged.begin(), merged.end(), axes);
    for (const CropAxis& axis : merged) {
      size *= axis.size;
      whole *= axis.in;
    }
  }

  // Where value i of the block lies in the whole.
  P3D_HOST_DEVICE int64_t PlaceOf(int64_t i) const {
    int64_t place = 0, stride = 1;
    for (int a = count - 1; a >= 0; --a) {
      const int64_t outer = Quotient(i, axes[a].size);
      place += (axes[a].offset + i - outer * axes[a].size) * stride;
      stride *= axes[a].in;
      i = outer;
    }
    return place;
  }

  // Which value of the block lies there, -1 for none of them.
  P3D_HOST_DEVICE int64_t ValueAt(int64_t place) const {
    int64_t i = 0, stride = 1;
    for (int a = count - 1; a >= 0; --a) {
      const int64_t outer = Quotient(place, axes[a].in);
      const int64_t at = place - outer * axes[a].in - axes[a].offset;
      if (at < 0 || at >= axes[a].size) return -1;
      i += at * stride;
      stride *= axes[a].size;
      place = outer;
    }
    return i;
  }

  CropAxis axes[kCropAxes];  // outermost first
  int count;
  int64_t size = 1, whole = 1;
};

template <typename Value>
struct CropKernel {
  Block block;
  const Value* from;
  Value* to;

  P3D_HOST_DEVICE void operator()(int64_t i) const {
    to[i] = from[block.PlaceOf(i)];
  }
};

template <typename Value>
struct UncropKernel {
  Block block;
  const Value* from;
  Value* to;

  P3D_HOST_DEVICE void operator()(int64_t place) const {
    const int64_t i = block.ValueAt(place);
    to[place] = i < 0 ? Value(0) : from[i];
  }
};

}  // namespace

template <typename Value>
void Crop(CUstream_st* stream, const std::vector<CropAxis>& axes,
          const Value* from, Value* to) {
  const Block block(axes);
  ForEach(stream, "Crop", block.size, CropKernel<Value>{block, from, to});
}

template <typename Value>
void Uncrop(CUstream_st* stream, const std::vector<CropAxis>& axes,
            const Value* from, Value* to) {
  const Block block(axes);
  ForEach(stream, "Uncrop", block.whole, UncropKernel<Value>{block, from, to});
}

#define P3D_INSTANTIATE(Value)                                                 \
  template void Crop(CUstream_st*, const std::vector<CropAxis>&, const Value*, \
                     Value*);                                                  \
  template void Uncrop(CUstream_st*, const std::vector<CropAxis>&,             \
                       const Value*, Value*)
P3D_INSTANTIATE(float);
P3D_INSTANTIATE(double);
P3D_INSTANTIATE(Bf16);
P3D_INSTANTIATE(Fp16);
#undef P3D_INSTANTIATE

}  // namespace cuda
}  // namespace p3d
