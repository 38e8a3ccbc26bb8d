#ifndef P3D_KERNELS_TVL1_ROWS_HPP_
#define P3D_KERNELS_TVL1_ROWS_HPP_

#include <cstdint>

namespace p3d {

// A row of one component of the flow, along x or y, and of what belongs to it.
// What comes out may be where it came from.
struct Tvl1Component {
  const float* gradient;
  const float *flow, *flow_below;  // the same row again for the last one
  const float *dual_x, *dual_y;
  const float* dual_y_above;  // zeroes for the first row
  float *flow_out, *dual_x_out, *dual_y_out;
};

// Rows begin at multiples of 64 bytes and have 16 values of room behind the
// last multiple of 16 that they reach. Those behind the width may be anything
// that is a number, but for the flow's first one, which repeats the last value
// within: so there is no slope at the border.
struct Tvl1Row {
  int64_t width;
  float most;  // lambda * theta
  float theta;
  float step;  // tau / theta
  // Of the images where the flow is 0; and -1 over the gradient's square.
  const float *residual, *inverse;
  Tvl1Component components[2];
};

// An iteration is two steps, the flow's and the dual variables'; they are
// compiled for every instruction set.
struct Tvl1Rows {
  // The flow moves towards the images, and by the divergence of its dual
  // variables, whose row above is one further. Returns the sum of squares of
  // what changed.
  float (*Flow)(const Tvl1Row& row);
  // The dual variables follow the flow.
  void (*Dual)(const Tvl1Row& row);
  // Both: Dual of an iteration, then Flow of the next one, in one pass.
  float (*DualFlow)(const Tvl1Row& row);

  // The medians of a row's windows of side x side values, in two steps, for the
  // sides 3 (0) and 5 (1). `rows` are the `side` rows that the windows reach;
  // `sorted`, of the least to the greatest values of each column, repeats its
  // first and last ones side / 2 times beyond the width for the second step.
  void (*SortColumns[2])(int64_t width, const float* const* rows,
                         float* const* sorted);
  void (*Medians[2])(int64_t width, const float* const* sorted, float* medians);
};

// Null where the machine does not know the set.
const Tvl1Rows* Tvl1RowsGeneric();
const Tvl1Rows* Tvl1RowsAvx2();
const Tvl1Rows* Tvl1RowsAvx512();

}  // namespace p3d

#endif  // P3D_KERNELS_TVL1_ROWS_HPP_
