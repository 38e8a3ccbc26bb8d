#ifndef P3D_KERNELS_CONV_DATA_GRADIENT_HPP_
#define P3D_KERNELS_CONV_DATA_GRADIENT_HPP_

#include <cstdint>
#include <memory>
#include <vector>

#include "kernels/conv/conv.hpp"
#include "kernels/conv/conv_bf16_igemm.hpp"
#include "kernels/crop.hpp"

namespace p3d {

// What convolves gradients of Values to floats.
namespace detail {
template <typename Value>
struct MirroredConv;
template <>
struct MirroredConv<float> {
  using type = Conv;
};
template <>
struct MirroredConv<Bf16> {
  using type = Bf16Igemm<float>;
};
}  // namespace detail

// The gradient of a convolution's input (ConvGradients::Data) by convolutions
// of the output's gradient with mirrored weights. Value: what that gradient is
// of, float, or Bf16, to which weights are rounded.
//
// With a stride s the input's places q fall into s phases along an axis, those
// with equal (q + pad_begin) mod s: each phase is seen through taps of its own,
// every s / gcd(s, dilation)-th, and its gradient is a convolution without
// strides. Phases that no tap sees get 0.
template <typename Value>
class ConvDataGradient {
 public:
  // Null for what it cannot do: other padding than zeros, absurdly many phases,
  // in Bf16 groups with an odd number of outputs.
  static std::unique_ptr<const ConvDataGradient> Create(const ConvShape& shape,
                                                        Isa isa);

  void Run(const Value* dy, const float* weights, float* dx, bool add) const;

 private:
  explicit ConvDataGradient(const ConvShape& shape) : shape_(shape) {}
  using MirroredConv = typename detail::MirroredConv<Value>::type;
  // A phase along one axis.
  struct AxisPhase {
    int64_t first, count;       // its places: first + stride * [0, count)
    std::vector<int64_t> taps;  // in the order of the mirrored weights
    ConvAxis axis;              // of the convolution
    CropAxis crop;              // what of dy it can see
  };
  // One for each axis.
  struct Phase {
    std::vector<AxisPhase> axes;
    std::vector<int64_t> taps;  // counted through the axes
    // Null where no tap sees it.
    std::unique_ptr<const MirroredConv> conv;
    bool cropped = false;
  };
  static AxisPhase MakeAxisPhase(const ConvAxis& axis, int64_t first);
  static std::vector<AxisPhase> AxisPhases(const ConvAxis& axis);
  // False where there is no convolution for it.
  bool AddPhase(const std::vector<AxisPhase>& axes, Isa isa);
  void Convolve(const Phase& phase, const Value* dy, const float* weights,
                float* y, bool add) const;
  void Scatter(const Phase& phase, const float* y, float* dx, bool add) const;

  const ConvShape shape_;
  std::vector<Phase> phases_;
};

}  // namespace p3d

#endif  // P3D_KERNELS_CONV_DATA_GRADIENT_HPP_
