#ifndef P3D_KERNELS_CONV_DATA_GRADIENT_HPP_
#define P3D_KERNELS_CONV_DATA_GRADIENT_HPP_

#include <cstdint>
#include <memory>
#include <vector>

#include "kernels/conv.hpp"
#include "kernels/crop.hpp"

namespace p3d {

// The gradient of a convolution's input (ConvGradients::Data) by convolutions
// of the output's gradient with mirrored weights.
//
// With a stride s the input's places q fall into s phases along an axis, those
// with equal (q + pad_begin) mod s: each phase is seen through taps of its own,
// every s / gcd(s, dilation)-th, and its gradient is a convolution without
// strides. Phases that no tap sees get 0.
class ConvDataGradient {
 public:
  // Whether it can do `shape`: zero padding, not absurdly many phases.
  static bool CanDo(const ConvShape& shape);

  ConvDataGradient(const ConvShape& shape, Isa isa);
  void Run(const float* dy, const float* weights, float* dx, bool add) const;

 private:
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
    std::vector<int64_t> taps;   // counted through the axes
    std::unique_ptr<Conv> conv;  // null where no tap sees it
    bool cropped = false;
  };
  static AxisPhase MakeAxisPhase(const ConvAxis& axis, int64_t first);
  static std::vector<AxisPhase> AxisPhases(const ConvAxis& axis);
  Phase MakePhase(const std::vector<AxisPhase>& axes, Isa isa) const;
  void Convolve(const Phase& phase, const float* dy, const float* weights,
                float* y, bool add) const;
  void Scatter(const Phase& phase, const float* y, float* dx, bool add) const;

  const ConvShape shape_;
  std::vector<Phase> phases_;
};

}  // namespace p3d

#endif  // P3D_KERNELS_CONV_DATA_GRADIENT_HPP_
