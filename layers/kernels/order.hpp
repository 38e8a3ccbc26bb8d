#ifndef P3D_KERNELS_ORDER_HPP_
#define P3D_KERNELS_ORDER_HPP_

#include <cstdint>

namespace p3d {

// The two orders in which a blob lies in memory: Caffe's (N, C, L, H, W) and
// the engine's channels-last (N, L, H, W, C), of any number of spatial axes.
enum class Order { kCaffe, kChannelsLast };

// What both orders have in common: num, channels and the product of the
// spatial axes.
struct Geometry {
  int64_t num = 1;
  int64_t channels = 1;
  int64_t pixels = 1;

  bool operator==(const Geometry& other) const {
    return num == other.num && channels == other.channels &&
           pixels == other.pixels;
  }
  int64_t count() const { return num * channels * pixels; }
  // Both orders are the same sequence of values.
  bool trivial() const { return channels == 1 || pixels == 1; }
};

// to[n, p, c] = from[n, c, p]
template <typename Dtype>
void ToChannelsLast(const Geometry& geometry, const Dtype* from, Dtype* to);

// to[n, c, p] = from[n, p, c]
template <typename Dtype>
void ToCaffeOrder(const Geometry& geometry, const Dtype* from, Dtype* to);

}  // namespace p3d

#endif  // P3D_KERNELS_ORDER_HPP_
