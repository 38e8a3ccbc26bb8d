#ifndef P3D_KERNELS_NARROW_HPP_
#define P3D_KERNELS_NARROW_HPP_

// Values of fewer digits than a float's, for GPUs, and Bf16 for processors,
// too. They are stored and multiplied as such; every sum is a float. Each
// converts from and to float by itself, so that a kernel which is written for
// float serves them too, if it names its sums and its parameters RealOf<Value>.

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <type_traits>

#include "kernels/cuda/host_device.hpp"

#ifdef __CUDACC__
#include <cuda_bf16.h>
#include <cuda_fp16.h>
#endif

namespace p3d {
namespace detail {

inline P3D_HOST_DEVICE uint32_t BitsOf(float value) {
  uint32_t bits;
  memcpy(&bits, &value, sizeof bits);
  return bits;
}
inline P3D_HOST_DEVICE float FloatOf(uint32_t bits) {
  float value;
  memcpy(&value, &bits, sizeof value);
  return value;
}

// To the nearest, of two as near to the even one; a NaN stays one.
inline P3D_HOST_DEVICE uint16_t ToBf16(float value) {
#ifdef __CUDA_ARCH__
  return __bfloat16_as_ushort(__float2bfloat16_rn(value));
#else
  const uint32_t bits = BitsOf(value);
  if (value != value) return static_cast<uint16_t>(bits >> 16 | 0x40);
  return static_cast<uint16_t>((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
#endif
}

inline P3D_HOST_DEVICE uint16_t ToFp16(float value) {
#ifdef __CUDA_ARCH__
  return __half_as_ushort(__float2half_rn(value));
#else
  const uint32_t bits = BitsOf(value);
  const uint32_t sign = bits >> 16 & 0x8000, size = bits & 0x7fffffff;
  uint32_t rounded;
  if (size > 0x7f800000) {
    rounded = 0x7e00;
  } else if (size >= 0x47800000) {
    rounded = 0x7c00;  // 2^16 and more are infinite
  } else if (size >= 0x38800000) {
    rounded = (size - 0x38000000 + 0xfff + (size >> 13 & 1)) >> 13;
  } else {
    // Below 2^-14 the last digit is 2^-24 always: adding 1/2 rounds to it.
    rounded = BitsOf(FloatOf(size) + 0.5f) - BitsOf(0.5f);
  }
  return static_cast<uint16_t>(sign | rounded);
#endif
}

inline P3D_HOST_DEVICE float FromFp16(uint16_t bits) {
#ifdef __CUDA_ARCH__
  return __half2float(__ushort_as_half(bits));
#else
  const uint32_t sign = (bits & 0x8000u) << 16, size = bits & 0x7fffu;
  if (size >= 0x7c00) return FloatOf(sign | 0x7f800000 | size << 13);
  // Subnormal ones as well: the exponent is mended by a product.
  const float value = FloatOf(size << 13) * FloatOf(0x77800000);  // 2^112
  return FloatOf(sign | BitsOf(value));
#endif
}

}  // namespace detail

// bfloat16: a float's exponent and 8 binary digits.
struct Bf16 {
  Bf16() = default;
  P3D_HOST_DEVICE Bf16(float value) : bits(detail::ToBf16(value)) {}
  P3D_HOST_DEVICE operator float() const {
    return detail::FloatOf(static_cast<uint32_t>(bits) << 16);
  }
  uint16_t bits;
};

// IEEE's binary16: up to 65504, 11 binary digits.
struct Fp16 {
  Fp16() = default;
  P3D_HOST_DEVICE Fp16(float value) : bits(detail::ToFp16(value)) {}
  P3D_HOST_DEVICE operator float() const { return detail::FromFp16(bits); }
  uint16_t bits;
};

namespace detail {
template <typename From, typename To>
P3D_HOST_DEVICE void RoundTwo(From first, From second, To* to) {
  to[0] = static_cast<To>(first);
  to[1] = static_cast<To>(second);
}
template <typename Value>
P3D_HOST_DEVICE void TakeLargerTwo(const Value* from, Value* largest) {
  for (int i = 0; i < 2; ++i)
    largest[i] = from[i] > largest[i] ? from[i] : largest[i];
}
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 800
inline __device__ void RoundTwo(float first, float second, Bf16* to) {
  const __nv_bfloat162 two = __floats2bfloat162_rn(first, second);
  memcpy(to, &two, sizeof two);
}
inline __device__ void RoundTwo(float first, float second, Fp16* to) {
  const __half2 two = __floats2half2_rn(first, second);
  memcpy(to, &two, sizeof two);
}
template <typename Two>
__device__ void TakeLargerOf(const void* from, void* largest) {
  Two a, b;
  memcpy(&a, from, sizeof a);
  memcpy(&b, largest, sizeof b);
  b = __hmax2(a, b);
  memcpy(largest, &b, sizeof b);
}
inline __device__ void TakeLargerTwo(const Bf16* from, Bf16* largest) {
  TakeLargerOf<__nv_bfloat162>(from, largest);
}
inline __device__ void TakeLargerTwo(const Fp16* from, Fp16* largest) {
  TakeLargerOf<__half2>(from, largest);
}
#endif
}  // namespace detail

// to[i] = from[i]. GPUs round two at once.
template <int count, typename From, typename To>
P3D_HOST_DEVICE void Round(const From* from, To* to) {
  P3D_UNROLL
  for (int i = 0; i + 1 < count; i += 2)
    detail::RoundTwo(from[i], from[i + 1], to + i);
  if (count % 2) to[count - 1] = static_cast<To>(from[count - 1]);
}

// largest[i] = from[i] where that is larger, so never for what is no number.
template <int count, typename Value>
P3D_HOST_DEVICE void TakeLarger(const Value* from, Value* largest) {
  P3D_UNROLL
  for (int i = 0; i + 1 < count; i += 2)
    detail::TakeLargerTwo(from + i, largest + i);
  if (count % 2 && from[count - 1] > largest[count - 1])
    largest[count - 1] = from[count - 1];
}

// A float of which products take 11 binary digits alone (TensorFloat-32).
struct Tf32 {
  Tf32() = default;
  P3D_HOST_DEVICE Tf32(float value) : value(value) {}
  P3D_HOST_DEVICE operator float() const { return value; }
  float value;
};

// What sums of values, and parameters, are kept as.
namespace detail {
template <typename Value>
struct RealOf {
  using type = Value;
};
template <>
struct RealOf<Bf16> {
  using type = float;
};
template <>
struct RealOf<Fp16> {
  using type = float;
};
template <>
struct RealOf<Tf32> {
  using type = float;
};
}  // namespace detail
template <typename Value>
using RealOf = typename detail::RealOf<Value>::type;

// Which kind values are, by name; those of double count as float's.
enum class Precision { kFloat32, kTf32, kBf16, kFp16 };

template <typename Value>
constexpr Precision KindOf() {
  return std::is_same<Value, Tf32>::value   ? Precision::kTf32
         : std::is_same<Value, Bf16>::value ? Precision::kBf16
         : std::is_same<Value, Fp16>::value ? Precision::kFp16
                                            : Precision::kFloat32;
}
// "bf16"
inline const char* Name(Precision kind) {
  constexpr const char* kNames[] = {"float32", "tf32", "bf16", "fp16"};
  return kNames[static_cast<int>(kind)];
}
// Of one value.
inline size_t BytesOf(Precision kind) {
  return kind == Precision::kBf16 || kind == Precision::kFp16 ? 2 : 4;
}

}  // namespace p3d

#endif  // P3D_KERNELS_NARROW_HPP_
