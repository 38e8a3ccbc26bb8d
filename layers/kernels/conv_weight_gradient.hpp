#ifndef P3D_KERNELS_CONV_WEIGHT_GRADIENT_HPP_
#define P3D_KERNELS_CONV_WEIGHT_GRADIENT_HPP_

#include <cstdint>
#include <vector>

#include "kernels/conv_igemm.hpp"

namespace p3d {

// The gradient of a convolution's weights (ConvGradients::Weights) by the
// micro-kernels of conv_igemm.hpp: a matrix product over all pixels. Its left
// rows are output channels, dy turned around block by block; its columns are
// pairs of a tap and an input channel, gathered as panels of what each tap sees
// at the block's pixels.
//
// Where there are few weights the pixels are cut into slices, whose sums are
// added up afterwards; how depends on the shape alone.
class ConvWeightGradient {
 public:
  // Whether it can do `shape`: zero padding, not absurdly many taps.
  static bool CanDo(const ConvShape& shape);

  ConvWeightGradient(const ConvShape& shape, Isa isa);
  void Run(const float* dy, const float* x, float* dw) const;

 private:
  struct Range {
    int64_t first, end;
  };
  // What one task adds up: some outputs and columns of a group over the pixel
  // blocks of a slice, into rows of `pitch` sums.
  struct Task {
    int64_t group;
    Range outputs, columns, blocks;
    float* sums;
    bool add;  // to what is there
  };
  Range Pixels(int64_t block) const;
  void Locate(int64_t tap, const Range& pixels, int64_t* places) const;
  void TurnOutputs(const float* dy, const Range& pixels, int64_t outputs,
                   float* turned) const;
  void PackPanel(const float* x, const Range& pixels, const Range& columns,
                 float* panel) const;
  void AddUp(const float* dy, const float* x, const Task& task) const;
  void Finish(const float* sums, float* dw) const;

  const ConvShape shape_;
  const IgemmKernel& kernel_;
  const int64_t width_;                    // columns of a panel
  const int64_t taps_, inputs_, outputs_;  // the last two: of a group
  const int64_t columns_;                  // taps * inputs
  const int64_t pixels_;                   // of all images
  int64_t slices_ = 1;
};

}  // namespace p3d

#endif  // P3D_KERNELS_CONV_WEIGHT_GRADIENT_HPP_
