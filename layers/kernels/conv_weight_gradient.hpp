#ifndef P3D_KERNELS_CONV_WEIGHT_GRADIENT_HPP_
#define P3D_KERNELS_CONV_WEIGHT_GRADIENT_HPP_

#include <cstdint>
#include <vector>

#include "kernels/conv_igemm.hpp"

namespace p3d {

// The gradient of a convolution's weights (ConvGradients::Weights) by the
// micro-kernels of conv_igemm.hpp: sums of outer products over all pixels. Rows
// are output channels, read from dy where they lie; columns are pairs of a tap
// and an input channel, gathered for a block of pixels as panels of what each
// tap sees there.
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
  // Pixels of a block; their panel stays in L1 while the outputs run over it.
  static constexpr int64_t kBlock = 256;
  // Where in x a tap sees each pixel of a block, channel 0; -1: padding.
  struct Places {
    int64_t tap = -1;
    int64_t at[kBlock];
  };
  void Locate(int64_t tap, const Range& pixels, Places* places) const;
  void PackPanel(const float* x, const Range& pixels, const Range& columns,
                 Places* places, float* panel) const;
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
