#ifndef P3D_KERNELS_CONV_WINOGRAD_WEIGHT_GRADIENT_HPP_
#define P3D_KERNELS_CONV_WINOGRAD_WEIGHT_GRADIENT_HPP_

#include <cstdint>
#include <memory>

#include "kernels/conv/conv_igemm.hpp"
#include "kernels/conv/conv_winograd.hpp"
#include "kernels/conv/conv_winograd_grid.hpp"
#include "kernels/conv/weight_gradient.hpp"

namespace p3d {

// The gradient of a 3x3 convolution's weights by Winograd's transforms (see
// conv_winograd.hpp): for a block of tiles at a time x and dy are transformed,
// and multiplied at each of the 16 positions. Transformed values of Bf16 are
// rounded to it, those of two tiles make a word; sums are floats.
//
// Where there are few weights the tiles are cut into slices, whose gradients
// are added up afterwards; how depends on the shape alone. Sums that are not
// finite may spread within a tile's.
template <typename Value>
class ConvWinogradWeightGradient : public WeightGradient<Value> {
 public:
  // Null for what it cannot do (see WinogradGrid) or would not do faster than
  // ConvWeightGradient: few channels, and few tiles for many weights.
  static std::unique_ptr<const WeightGradient<Value>> Create(
      const ConvShape& shape, Isa isa);
  // Null only for what it cannot do.
  static std::unique_ptr<const WeightGradient<Value>> CreateAnyway(
      const ConvShape& shape, Isa isa);

  const char* trick() const override { return "winograd_2x2_"; }
  void Run(const Value* dy, const Value* x, float* dw, bool add) const override;

 private:
  ConvWinogradWeightGradient(const ConvShape& shape,
                             const WinogradKernelOf<Value>& transforms,
                             Isa isa);
  using Range = WeightGradientRange;
  // How the weights are cut into parts: outputs and inputs of a part, and how
  // many of them there are.
  struct Split {
    int64_t outputs, inputs;
    int64_t rows, columns;
  };
  // The sums of some weights over some blocks.
  struct Task {
    Range outputs, inputs, blocks;
  };
  // A task's scratch memory, and what is where in it.
  struct Block;

  static std::unique_ptr<const ConvWinogradWeightGradient> Make(
      const ConvShape& shape, Isa isa);
  double Cost() const;
  double DirectCost() const;
  bool Pays() const;
  Split ChooseSplit() const;
  Task TaskAt(const Split& split, int64_t index) const;
  void RunTask(const Task& task, const Value* dy, const Value* x, float* dw,
               bool add) const;
  void Transform(const Task& task, const Range& words, const Value* dy,
                 const Value* x, const Block& block) const;
  void AddUp(const Task& task, int64_t words, bool add,
             const Block& block) const;
  void Finish(const Task& task, const Block& block, float* dw, bool add) const;

  const ConvShape shape_;
  const IgemmKernel& products_;
  const WinogradGradient<Value>& transforms_;
  const WinogradGrid grid_;
  const int64_t words_;           // of tiles
  const int64_t block_, blocks_;  // of words: how large, how many
  int64_t slices_ = 1;
};

}  // namespace p3d

#endif  // P3D_KERNELS_CONV_WINOGRAD_WEIGHT_GRADIENT_HPP_
