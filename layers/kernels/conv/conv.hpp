#ifndef P3D_KERNELS_CONV_HPP_
#define P3D_KERNELS_CONV_HPP_

#include <cstdint>
#include <memory>
#include <vector>

#include "kernels/cpu/isa.hpp"
#include "kernels/cuda/host_device.hpp"
#include "kernels/narrow.hpp"

namespace p3d {

// What stands outside the input: zeros, or the nearest value inside.
enum class PadMode { kZero, kReplicate };

// One spatial axis of a convolution, in elements.
struct ConvAxis {
  int64_t in = 1;
  int64_t kernel = 1;
  int64_t stride = 1;
  int64_t dilation = 1;
  int64_t pad_begin = 0;
  int64_t pad_end = 0;

  // Of the dilated kernel.
  int64_t reach() const { return dilation * (kernel - 1) + 1; }
  int64_t padded() const { return in + pad_begin + pad_end; }
  // floor((in + pad_begin + pad_end - dilation (kernel - 1) - 1) / stride) + 1
  int64_t out() const { return (padded() - reach()) / stride + 1; }
  // A kernel that is larger than the padded input by less than a stride finds
  // zeros behind it: upstream divides towards zero, which gives one value.
  void PadForOne() {
    const int64_t missing = reach() - padded();
    if (missing > 0 && missing < stride) pad_end += missing;
  }
};

// A convolution of any number of spatial axes >= 1:
//
//   y[n, p, o] = sum over taps k and input channels i of o's group of
//                w[o, i, k] * x[n, p * stride - pad_begin + k * dilation, i]
//
// x is (N, axes..., channels) and y (N, axes' out..., num_output), channels
// last and dense. Weights come in Caffe's order: (num_output, channels / group,
// kernel...). Axes are in Caffe's order: l, h, w.
struct ConvShape {
  int64_t num = 1;
  int64_t channels = 1;
  int64_t num_output = 1;
  int64_t group = 1;
  std::vector<ConvAxis> axes;
  PadMode pad_mode = PadMode::kZero;

  int64_t taps() const;          // product of the kernel sizes
  int64_t in_pixels() const;     // product of the axes' in
  int64_t out_pixels() const;    // product of the axes' out
  int64_t weight_count() const;  // num_output * channels / group * taps
  std::vector<int64_t> in_sizes() const;   // of the axes
  std::vector<int64_t> out_sizes() const;  // of the axes
  // Multiplications of one forward, those with padding included.
  int64_t macs() const;
};

// Throws Error for a shape that cannot be computed: a size below 1, a kernel
// larger than the padded input, a group that does not divide the channels,
// more than 2^40 values.
void CheckConvShape(const ConvShape& shape);

// What happens to a sum `v` of output channel o before it is stored:
//
//   v = v * scale[o] + shift[o]            (a null pointer: 1, 0)
//   if (inner_relu) v = max(v, 0)
//   if (residual)   v = alpha * v + beta * residual[same place as y]
//   if (outer_relu) v = max(v, 0)
//
// residual has y's shape and order and may be y itself.
template <typename Value>
struct Epilogue {
  using Real = RealOf<Value>;
  const Real* scale = nullptr;
  const Real* shift = nullptr;
  bool inner_relu = false;
  const Value* residual = nullptr;
  float alpha = 1.f;
  float beta = 1.f;
  bool outer_relu = false;

  // What becomes of the sum v of channel o, to be stored at y[place].
  P3D_HOST_DEVICE Real operator()(Real v, int64_t o, int64_t place) const {
    return Of(v, scale ? scale[o] : Real(1), shift ? shift[o] : Real(0),
              residual ? residual[place] : Value(0));
  }
  // The same, of what was read before where the pointers are not null.
  P3D_HOST_DEVICE Real Of(Real v, Real scale_o, Real shift_o,
                          Real residual_there) const {
    if (scale) v *= scale_o;
    if (shift) v += shift_o;
    if (inner_relu && v < 0) v = 0;
    if (residual) v = alpha * v + beta * residual_there;
    return outer_relu && v < 0 ? Real(0) : v;
  }

  // The same of `count` neighbours, arrays of which the residual's may be of
  // any kind: each step at once, for what it depends on is the same for all.
  template <int count, typename Old>
  P3D_HOST_DEVICE void OfRun(Real* v, const Real* scale_o, const Real* shift_o,
                             const Old* residual_there) const {
    if (scale && shift) {
      for (int i = 0; i < count; ++i) v[i] = v[i] * scale_o[i] + shift_o[i];
    } else if (scale || shift) {
      for (int i = 0; i < count; ++i)
        v[i] = scale ? v[i] * scale_o[i] : v[i] + shift_o[i];
    }
    if (inner_relu) Rectify<count>(v);
    if (residual && alpha == 1 && beta == 1) {
      for (int i = 0; i < count; ++i) v[i] += Real(residual_there[i]);
    } else if (residual) {
      for (int i = 0; i < count; ++i)
        v[i] = alpha * v[i] + beta * Real(residual_there[i]);
    }
    if (outer_relu) Rectify<count>(v);
  }

  // The same for values of another kind, with the same parameters.
  template <typename Other>
  Epilogue<Other> As(const Other* residual) const {
    return {scale, shift, inner_relu, residual, alpha, beta, outer_relu};
  }

 private:
  template <int count>
  static P3D_HOST_DEVICE void Rectify(Real* v) {
    for (int i = 0; i < count; ++i) v[i] = Rectified(v[i]);
  }
  template <typename Float>
  static P3D_HOST_DEVICE Float Rectified(Float v) {
    return v < 0 ? Float(0) : v;
  }
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 800
  // In one instruction, which keeps what is no number.
  static __device__ float Rectified(float v) {
    asm("max.NaN.f32 %0, %0, 0f00000000;" : "+f"(v));
    return v;
  }
#endif
};
using ConvEpilogue = Epilogue<float>;

// Weights that the next Run will read. A small batch reads all weights from
// memory; whoever knows the next ones lets them be fetched meanwhile.
struct NextWeights {
  const float* packed = nullptr;
  int64_t size = 0;  // packed_size()
};

// A float convolution on channels-last data, chosen and laid out for one shape:
// Create once, Pack when the weights change, Run as often as you like.
class Conv {
 public:
  virtual ~Conv() = default;

  // The first implementation in the table (fastest first, the plain loops last)
  // that can do `shape` with `isa`. Throws Error for an impossible shape.
  static std::unique_ptr<Conv> Create(const ConvShape& shape,
                                      Isa isa = ActiveIsa());

  // Type, operation, trick, tile and instruction set:
  // "conv_f32_winograd_2x2_avx512", "conv_f32_igemm_12x32_avx512", ... ,
  // "conv_f32_reference".
  virtual const char* name() const = 0;

  // Floats of the packed weights. The packed layout depends on the weights'
  // shape, group and implementation alone, not on num or the sizes of the axes:
  // two objects with the same pack_key() take the same packed weights.
  virtual int64_t packed_size() const = 0;
  virtual uint64_t pack_key() const = 0;
  virtual void Pack(const float* weights, float* packed) const = 0;
  // The exact inverse of Pack, to the bit.
  virtual void Unpack(const float* packed, float* weights) const = 0;
  // Packs what takes gradients back through another convolution, of as many
  // groups, whose inputs are this one's outputs and the other way round:
  // `weights` are the other's, and tap t here is its tap taps[t] of `all_taps`.
  virtual void PackMirrored(const float* weights,
                            const std::vector<int64_t>& taps, int64_t all_taps,
                            float* packed) const = 0;

  // Floats of scratch memory that Run needs.
  virtual int64_t workspace_size() const = 0;

  // x, packed, y and workspace are 64-byte aligned. Allocates nothing; the
  // result does not depend on the number of threads.
  virtual void Run(const float* x, const float* packed,
                   const ConvEpilogue& epilogue, float* y, float* workspace,
                   const NextWeights& next = NextWeights()) const = 0;
};

}  // namespace p3d

#endif  // P3D_KERNELS_CONV_HPP_
