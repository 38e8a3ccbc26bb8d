#ifndef P3D_KERNELS_CONV_WEIGHT_GRADIENT_HPP_
#define P3D_KERNELS_CONV_WEIGHT_GRADIENT_HPP_

#include <cstdint>
#include <memory>
#include <vector>

#include "kernels/conv/conv_bf16_amx.hpp"
#include "kernels/conv/conv_igemm.hpp"
#include "kernels/conv/weight_gradient.hpp"
#include "kernels/ranges.hpp"

namespace p3d {

// The gradient of a convolution's weights (ConvGradients::Weights) by the
// micro-kernels of conv_igemm.hpp, or of conv_bf16_amx.hpp: sums of outer
// products over all pixels. Rows
// are output channels, copied from dy; columns are pairs of a tap and an input
// channel, gathered as panels of what each tap sees. Both for a block of pixels
// at a time. Value: of dy and x, float or Bf16, of which two neighbouring
// pixels make a word (see IgemmTileOf).
//
// Where there are few weights the pixels are cut into slices, whose sums are
// added up afterwards; how depends on the shape alone.
template <typename Value>
class ConvWeightGradient : public WeightGradient<Value> {
 public:
  // Null for what it cannot do: other padding than zeros, absurdly many taps.
  static std::unique_ptr<const WeightGradient<Value>> Create(
      const ConvShape& shape, Isa isa);

  // Whether matrix registers multiply: not for so few pixels or outputs that
  // they would be filled up for the most part.
  static bool TakesAmx(const ConvShape& shape, Isa isa);

  const char* trick() const override { return ""; }
  void Run(const Value* dy, const Value* x, float* dw, bool add) const override;

 private:
  ConvWeightGradient(const ConvShape& shape, Isa isa);
  using Range = WeightGradientRange;
  // Some weights of a group: all taps of some outputs and inputs.
  struct Part {
    int64_t group;
    Range outputs, inputs;
  };
  // How the weights are cut into parts.
  struct Split {
    int64_t outputs, inputs;  // of a part
    int64_t rows, columns;    // parts of a group
    int64_t count;            // parts
  };
  // Sums of a part's products, those of an output `pitch` behind the ones
  // before. Columns count channels fastest.
  struct Sums {
    float* data;
    int64_t pitch;
    bool add;  // to what is there
  };
  // What a pixel sees through a stretch of taps: columns [begin, end) of the
  // stretch, x[at + column]; padding otherwise.
  struct Place {
    int64_t at;
    int32_t begin, end;
  };
  // A part's panels of one block of pixels.
  class Panels;

  Split ChooseSplit() const;
  Part PartAt(const Split& split, int64_t index) const;
  Range Locate(int64_t stretch, int64_t inputs, const Range& pixels,
               Place* places) const;
  void PackGradients(const Value* dy, int64_t rows, int64_t pixels,
                     float* packed, int64_t pitch) const;
  void AddUp(const Value* dy, const Value* x, const Part& part,
             const Range& blocks, const Sums& sums) const;
  void Finish(const Part& part, const Range& outputs, const float* sums,
              float* dw, bool add) const;
  int64_t SumsOffset(const Part& part) const;

  // Words of a block and of a panel's part are multiples of this.
  int64_t unit() const { return amx_ ? kAmxWords : 1; }
  int64_t WordsOf(int64_t pixels) const {
    return RoundUp(CeilDiv(pixels, kPerWord<Value>), unit());
  }

  const ConvShape shape_;
  const IgemmKernel& kernel_;
  const AmxKernels* const amx_;            // what multiplies instead, or null
  const int64_t width_;                    // columns of a panel
  const int64_t taps_, inputs_, outputs_;  // the last two: of a group
  const int64_t columns_;                  // taps * inputs
  const int64_t pixels_;                   // of all images
  const int64_t block_, blocks_;           // of pixels: how large, how many
  const int64_t stretch_;                  // taps whose values are neighbours
  int64_t slices_ = 1;
};

}  // namespace p3d

#endif  // P3D_KERNELS_CONV_WEIGHT_GRADIENT_HPP_
