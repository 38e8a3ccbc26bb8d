#ifndef P3D_KERNELS_CONV_BF16_AMX_LOOPS_HPP_
#define P3D_KERNELS_CONV_BF16_AMX_LOOPS_HPP_

#include <cstdint>
#include <memory>
#include <vector>

#include "kernels/conv/conv_bf16_amx.hpp"
#include "kernels/conv/conv_loops.hpp"

namespace p3d {

// The micro-kernels of conv_bf16_amx.hpp on a convolution of pairs, whose
// results are Value: Bf16 or float.
//
// A matrix register is loaded from rows that lie equally far apart. Pixels that
// do are read where they lie, others are copied together first, once for all
// panels of a task.
template <typename Value>
class AmxLoops : public ConvLoops<Value> {
 public:
  // The panels that this takes: words of a vector, vectors of a panel.
  static constexpr int64_t kVector = kAmxRows, kVectors = 2;

  // Null for absurd shapes.
  static std::unique_ptr<const AmxLoops> Create(const ConvShape& shape,
                                                const WeightPanels& panels,
                                                const AmxKernels& kernels);

 private:
  using Base = ConvLoops<Value>;
  using typename Base::Block;
  using typename Base::Buffers;
  using typename Base::Task;

  // The taps of a class of pixels, cut into chunks.
  struct Chunks {
    // Of each: the rows of the weights that it multiplies, how many, and where
    // it is in a copied row.
    std::vector<int64_t> rows, words, copies;
    // Of each, behind a pixel's origin, unless some have to be filled up.
    std::vector<int64_t> places;
    std::vector<AmxPiece> pieces;  // of a copied row
    int64_t pitch = 0;             // of copied rows
    int64_t first = 0;             // chunk among those of all classes
    int64_t count() const { return rows.size(); }
  };
  // Tiles that share what is made for them, from `first` of a block on.
  struct Group {
    int64_t first, tiles;
  };
  struct Work;

  AmxLoops(const ConvShape& shape, const WeightPanels& panels,
           const AmxKernels& kernels);
  int64_t ChooseWords() const;
  Chunks Cut(const PixelClass& box) const;
  const float** LocateWeights(const float* panel, int64_t pitch, float** filled,
                              const float** weights) const;
  bool AreEquallyFar(const int64_t* places, int64_t rows, int64_t box) const;
  void LocatePixels(const Block& block, const Group& group, const float* x,
                    float* copies, AmxRows* pixels) const;
  int64_t MostTiles() const;
  int64_t CopiedWords(const Block& block, int64_t tiles) const;
  void RunBlock(const Block& block, const Task& task,
                const Buffers& buffers) const override;
  void RunGroup(const Block& block, const Group& group, const Task& task,
                const Buffers& buffers, Work* work) const;
  void RunTile(const Block& block, int64_t index, AmxProduct* product,
               AmxSumsOf<Value>* sums, Work* work) const;

  const AmxKernels& kernels_;
  int64_t words_;               // of a whole chunk
  std::vector<Chunks> chunks_;  // of each class
  int64_t all_chunks_ = 0;
  int64_t filled_ = 0;   // those that are filled up
  int64_t longest_ = 1;  // most chunks of a class
  int64_t part_ = 1;     // chunks of a part
  int64_t pitch_ = 0;    // longest copied row
};

}  // namespace p3d

#endif  // P3D_KERNELS_CONV_BF16_AMX_LOOPS_HPP_
