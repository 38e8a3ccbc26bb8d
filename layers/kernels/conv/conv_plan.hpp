#ifndef P3D_KERNELS_CONV_PLAN_HPP_
#define P3D_KERNELS_CONV_PLAN_HPP_

#include <cstdint>
#include <vector>

#include "kernels/conv/conv.hpp"

namespace p3d {

// `length` consecutive input values, from `x` behind a pixel's origin on, that
// are multiplied with the weight rows from `row` on. Rows count through taps
// and channels of one group, channels fastest.
struct TapRun {
  int64_t x;
  int64_t row;
  int64_t length;
};

// A box of output pixels that all see the same taps inside the input. The
// others see padding and are left out, so nothing is multiplied with zeros. The
// last axis can be longer than the output is: what is behind that is dropped.
struct PixelClass {
  std::vector<TapRun> runs;
  std::vector<int64_t> size;  // of the box, per axis of the plan
  int64_t pixels = 1;         // product of size
  int64_t depth = 0;          // sum of the runs' lengths
  int64_t x_origin = 0;       // where the runs of the box's first pixel start
  int64_t y_origin = 0;       // where its output channels start
};

// How a kernel works, as far as it decides whether leaving padding out (more
// and smaller classes) or copying the input with its padding (one class) is
// faster.
struct PlanCosts {
  int64_t tile_pixels;  // output pixels computed together
  int64_t min_pixels;   // a smaller tile takes as long as one of this size
  int64_t passes;       // how often a tile is computed, for other channels
  // In steps, one pixel's value times one row of the weights: what a tile costs
  // beside its multiplications, and what copying an input value costs.
  double tile_steps;
  double copy_steps;
  // What copying a pixel's values together costs, where a kernel has to do that
  // with pixels that do not lie equally far apart; else 0.
  double gather_steps;
};

// How a convolution walks its channels-last input and output. The batch is the
// first axis, and neighbouring axes that the kernel does not touch are one: a
// 1x1x1 convolution has the single axis n l h w, a 3x1x1 has n, l and h w.
//
// For kernels that want pixels equally far apart, rows of the output can be as
// wide as those of the padded input.
class ConvPlan {
 public:
  ConvPlan(const ConvShape& shape, const PlanCosts& costs);

  const std::vector<PixelClass>& classes() const { return classes_; }

  // Floats of the copy of the input that the classes' places refer to; 0 where
  // they refer to the input itself.
  int64_t padded_size() const { return padded_size_ + beyond_; }
  void PadInput(const float* x, float* padded) const;

  // Writes where `count` pixels of `box` from its pixel `first` on (last axis
  // fastest) have their origins in the input and the output, there -1 for
  // pixels to be dropped.
  void Locate(const PixelClass& box, int64_t first, int64_t count, int64_t* x,
              int64_t* y) const;

 private:
  // Output positions [begin, end) of one axis that see the taps [first, last).
  struct AxisPart {
    int64_t begin, end;
    int64_t first, last;
  };
  static AxisPart PartAt(const ConvAxis& axis, int64_t out);
  static std::vector<AxisPart> AxisParts(const ConvAxis& axis);

  bool Build(const std::vector<bool>& copied, bool wide);
  double Gathered(const PixelClass& box, const PlanCosts& costs) const;
  PixelClass MakeClass(const std::vector<AxisPart>& box) const;
  double Cost(const PlanCosts& costs) const;
  void PadRow(const float* x, int64_t index, float* to) const;
  void CopyPixel(const float* from, float** to) const;

  int64_t channels_;
  int64_t group_;
  int64_t num_output_;
  PadMode pad_mode_;
  std::vector<ConvAxis> source_;  // the axes of x
  std::vector<ConvAxis> axes_;    // the same with the copied padding inside
  std::vector<int64_t> x_strides_;
  std::vector<int64_t> y_strides_;
  std::vector<PixelClass> classes_;
  int64_t padded_size_ = 0;
  int64_t beyond_ = 0;  // what pixels that are dropped see behind the copy
};

}  // namespace p3d

#endif  // P3D_KERNELS_CONV_PLAN_HPP_
