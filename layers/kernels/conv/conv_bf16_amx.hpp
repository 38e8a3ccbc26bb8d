#ifndef P3D_KERNELS_CONV_BF16_AMX_HPP_
#define P3D_KERNELS_CONV_BF16_AMX_HPP_

#include <cstdint>

#include "kernels/conv/conv.hpp"

namespace p3d {

// Micro-kernels of an indirect GEMM (see conv_igemm.hpp) on Intel's matrix
// registers, AMX: each holds 16 rows of 16 words, and one instruction adds the
// product of two of them to a third. A tile is two registers of pixels times
// two of output channels.
//
// What is multiplied at a time is a chunk of each pixel: up to 16 words, pairs
// of channels.
constexpr int64_t kAmxRows = 16;   // of a register
constexpr int64_t kAmxWords = 16;  // of a row, at most
constexpr int64_t kAmxTile = 32;   // pixels and outputs of a tile

// 16 pixels whose words of chunk i begin at words + places[i], those of each
// pixel `pitch` words behind those of the one before.
struct AmxRows {
  const float* words;
  const int64_t* places;
  int64_t pitch;
};

// The sums of `rows` pixels and a panel of `width` outputs, 32 at most of each:
// those of pixel r go to y + y_places[r], or nowhere if that is -1.
template <typename Value>
struct AmxSumsOf {
  float* sums;  // [32][32]
  int64_t rows;
  int64_t width;
  // Scale, shift and residual from the panel's start on.
  Epilogue<Value> epilogue;
  Value* y;
  const int64_t* y_places;
  // Of pixels of a later tile, whose lines of y and the residual are fetched.
  const int64_t* next_places;
  int64_t next_rows;
};

// What is added to sums: chunks [begin, end) of `rows` pixels, the first 16 of
// which are in pixels[0], times the same of a panel.
struct AmxProduct {
  AmxRows pixels[2];
  // Of each chunk as many rows of the panel as it has words, `pitch` words
  // apart.
  const float* const* weights;
  int64_t pitch;
  int64_t begin, end;
  // Memory to be read later, and cache lines of it to fetch with each chunk.
  const float* prefetch;
  int64_t prefetch_lines;
};

// `length` words that lie side by side, behind each pixel's place and in each
// row.
struct AmxPiece {
  int64_t x;
  int64_t to;
  int64_t length;
};

template <typename Value>
struct AmxFunctions {
  // Adds the product to the sums, which begin as zeros at its chunk 0.
  // Meanwhile the sums of another tile, unless null, end as y: what multiplies
  // and what does the rest are different units. Those are read before these are
  // written, so a tile's first chunks may take their place.
  void (*multiply)(const AmxProduct& product, const AmxSumsOf<Value>& sums,
                   const AmxSumsOf<Value>* complete);
  void (*end)(const AmxSumsOf<Value>& complete);
};

struct AmxKernels {
  const char* name;
  // What a thread does before it calls the others, for chunks of so many words,
  // and when it is done: matrix registers that are in use make every switch of
  // threads slower.
  void (*begin)(int64_t words);
  void (*end)();
  AmxFunctions<Bf16> rounded;
  AmxFunctions<float> floats;
  // Copies the pieces, in order, of the pixels at x + places[r] to
  // to + r * pitch. Up to 16 words behind a piece become zeros, all of them
  // behind one of length 0.
  void (*gather)(const float* x, const int64_t* places, int64_t rows,
                 const AmxPiece* pieces, int64_t count, float* to,
                 int64_t pitch);

  // words[i] = first[i] and second[i] as a pair
  void (*join)(const Bf16* first, const Bf16* second, int64_t count,
               float* words);
  // to[r * pitch + w] = x[2 w * x_pitch + r] and x[(2 w + 1) * x_pitch + r] as
  // a pair, for r < rows and 2 w < depth; 0 behind, in whole chunks.
  void (*turn)(const Bf16* x, int64_t x_pitch, int64_t rows, int64_t depth,
               float* to, int64_t pitch);

  template <typename Value>
  const AmxFunctions<Value>& To() const;
};
template <>
inline const AmxFunctions<Bf16>& AmxKernels::To() const {
  return rounded;
}
template <>
inline const AmxFunctions<float>& AmxKernels::To() const {
  return floats;
}

// Null where `isa` has no matrix registers or the compiler does not know them.
const AmxKernels* AmxKernelsFor(Isa isa);

}  // namespace p3d

#endif  // P3D_KERNELS_CONV_BF16_AMX_HPP_
