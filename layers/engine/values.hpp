#ifndef P3D_ENGINE_VALUES_HPP_
#define P3D_ENGINE_VALUES_HPP_

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>

#include "engine/gpu.hpp"
#include "kernels/error.hpp"
#include "kernels/narrow.hpp"
#include "kernels/order.hpp"

namespace p3d {

// Whether values of this kind take 16 bits. On the host only convolutions, and
// MAX pooling behind them, have such.
template <typename Value>
constexpr bool kNarrow = sizeof(Value) == 2;

// Where a layer that can do both orders reads values that lie in `held`: those
// of 16 bits lie channels last.
template <typename Value>
Order OrderOf(Order held) {
  return kNarrow<Value> ? Order::kChannelsLast : held;
}

// What values between layers of float are, where nets run now: on the host
// floats, or bfloat16 for convolutions in inference and what is between them.
// In training a PlanStep may leave such there as well.
inline Precision KindOfValues(bool inference) {
  if (mode() == Side::kGpu) return precision();
  const bool narrow = inference && precision() == Precision::kBf16;
  return narrow ? Precision::kBf16 : Precision::kFloat32;
}

namespace detail {

template <typename Body>
void WithValues(double, Side, const Body& body) {
  body(double());
}
template <typename Body>
void WithValues(float, Side side, const Body& body) {
  const Precision kind = side == Side::kGpu ? precision() : Precision::kFloat32;
  if (kind == Precision::kBf16) return body(Bf16());
  if (kind == Precision::kFp16) return body(Fp16());
  body(float());
}

template <typename Body>
void WithProducts(double, Side, const Body& body) {
  body(double());
}
template <typename Body>
void WithProducts(float, Side side, const Body& body) {
  if (side == Side::kGpu && precision() == Precision::kTf32) {
    return body(Tf32());
  }
  WithValues(float(), side, body);
}

template <bool narrow>
struct HostCall {
  template <typename Host, typename... Args>
  static void Run(Host host, const Args&... args) {
    host(args...);
  }
};
template <>
struct HostCall<true> {
  template <typename Host, typename... Args>
  static void Run(Host, const Args&...) {
    Fail("the host's kernel takes floats");
  }
};

}  // namespace detail

// Calls body(Value()) for the kind of values that a layer of Dtype reads and
// writes on `side` at the present precision: Dtype, Bf16 or Fp16...
template <typename Dtype, typename Body>
void WithValues(Side side, const Body& body) {
  detail::WithValues(Dtype(), side, body);
}
// ... and for that which its products take: Tf32 as well.
template <typename Dtype, typename Body>
void WithProducts(Side side, const Body& body) {
  detail::WithProducts(Dtype(), side, body);
}

// ... and, where values are merely moved, for that in which they lie: numbers
// of classes and rows are floats with more digits than 16 bits have.
template <typename Dtype, typename Body>
void WithHeldValues(bool narrow, Side side, const Body& body) {
  if (!narrow) return body(Dtype());
  WithValues<Dtype>(side, body);
}

// Runs a kernel that both sides have under one name:
//
//   RunOn<Value>(side, Relu<Dtype>, &cuda::Kernels<Value>::Relu, x, ...);
template <typename Value, typename Host, typename Device, typename... Args>
void RunOn(Side side, Host host, Device cuda::Kernels<Value>::* device,
           const Args&... args) {
  if (side == Side::kHost) {
    return detail::HostCall<kNarrow<Value>>::Run(host, args...);
  }
  const GpuKernels<Value> gpu = GpuOf<Value>();
  (gpu.*device)(gpu.stream, args...);
}

// to[i] = from[i] for i < count, both on `side`.
template <typename Value>
void CopyOn(Side side, const Value* from, int64_t count, Value* to) {
  if (side == Side::kHost) {
    std::copy_n(from, count, to);
  } else {
    Gpu().CopyOnDevice(to, from, static_cast<size_t>(count) * sizeof(Value));
  }
}

// ScaleShiftGradients, which takes scratch memory on the GPU.
template <typename Value, typename Dtype>
void AddScaleShiftGradients(Side side, const Broadcast& shape, const Value* x,
                            const Value* dy, Dtype* dscale, Dtype* dshift) {
  if (side == Side::kHost) {
    return detail::HostCall<kNarrow<Value>>::Run(ScaleShiftGradients<Dtype>,
                                                 shape, x, dy, dscale, dshift);
  }
  const GpuScratch<double> scratch(Gpu().SumsScratchSize(shape));
  const GpuKernels<Value> gpu = GpuOf<Value>();
  gpu.ScaleShiftGradients(gpu.stream, shape, x, dy, scratch.data(), dscale,
                          dshift);
}

// The kernel that a convolution takes on the GPU now.
template <typename Dtype>
std::string NameOnGpu(const ConvShape& shape) {
  std::string name;
  WithProducts<Dtype>(Side::kGpu, [&](auto value) {
    using Value = decltype(value);
    name = GpuOf<Value>().ConvolveName(shape);  // "conv_bf16_cuda_mma_64x64"
    const std::string way = Gpu().ForwardWay(KindOf<Value>(), shape);
    const bool own = way.compare(0, 4, "own_") == 0;
    if (!way.empty())
      name.replace(name.find("cuda_"), std::string::npos,
                   own ? "cuda" + way.substr(3) : way);
  });
  return name;
}

}  // namespace p3d

#endif  // P3D_ENGINE_VALUES_HPP_
