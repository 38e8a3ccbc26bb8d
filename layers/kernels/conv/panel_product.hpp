#ifndef P3D_KERNELS_PANEL_PRODUCT_HPP_
#define P3D_KERNELS_PANEL_PRODUCT_HPP_

#include <cstdint>

#include "kernels/conv/conv_bf16_amx.hpp"
#include "kernels/conv/conv_igemm.hpp"

namespace p3d {

// A matrix product whose right side is one panel, as wide as a micro-kernel's
// tile at most:
//
//   y[r * y_pitch + j] = sum over d of a[r * a_pitch + d] * panel[d * p + j]
//
// for r < rows, j < width, d < depth, with p the width in whole vectors. With
// `add` the sum is added to y. With `turned` the left side is what PackTurned
// made of a_pitch values, of which the product begins at `first`, and the
// kernel is one that has outer tiles.
struct PanelProduct {
  const float* a;
  int64_t a_pitch;
  int64_t rows;
  const float* panel;
  int64_t width;
  int64_t depth;
  float* y;
  int64_t y_pitch;
  bool add;
  bool turned = false;
  int64_t first = 0;
};

void Multiply(const IgemmKernel& kernel, const PanelProduct& product);

// The same by matrix registers: of words, to a depth of whole chunks. The left
// side's last 16 rows are read even where there are fewer.
void Multiply(const AmxKernels& kernels, const PanelProduct& product);

// A product of two matrices that lie as they are, as sums of outer products, by
// a kernel that has outer tiles:
//
//   y[r * y_pitch + j] = sum over d of a[d * a_pitch + r] * b[d * b_pitch + j]
//
// for r < rows, j < columns, d < depth, all in words (see IgemmTileOf). Rows of
// b are read to the end of their last vector. With `add` the sum is added to y.
// Pitches of an odd number of cache lines keep rows from driving each other out
// of L1.
struct OuterProduct {
  const float* a;
  int64_t a_pitch;
  int64_t rows;
  const float* b;
  int64_t b_pitch;
  int64_t columns;
  int64_t depth;
  float* y;
  int64_t y_pitch;
  bool add;
};

void Multiply(const IgemmKernel& kernel, const OuterProduct& product);

// The left side of a turned product from the matrix a[d * a_pitch + r]: for one
// tile of rows after the other, what it reads in turn. Rows of a that lie a
// power of two apart would drive each other out of L1. `depth` counts values;
// packed are rows times as many, or times the words of values d and d + 1.
template <typename Value>
void PackTurned(const IgemmKernel& kernel, const Value* a, int64_t a_pitch,
                int64_t rows, int64_t depth, float* packed);

}  // namespace p3d

#endif  // P3D_KERNELS_PANEL_PRODUCT_HPP_
