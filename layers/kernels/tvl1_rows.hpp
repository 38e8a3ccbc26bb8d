#ifndef P3D_KERNELS_TVL1_ROWS_HPP_
#define P3D_KERNELS_TVL1_ROWS_HPP_

#include <cstdint>

namespace p3d {

// An iteration of Tvl1Iterate for one row of one of the two components is two
// of these; they are compiled for every instruction set.
struct Tvl1Rows {
  // What moves both components of the flow of a row towards the images: `pull`
  // times the gradient. |pull| is at most `most`, lambda * theta.
  void (*Pull)(int64_t width, float most, const float* residual,
               const float* gradient_x, const float* gradient_y,
               const float* flow_x, const float* flow_y, float* pull);
  // flow += pull * gradient + theta * the divergence of the dual variables,
  // whose row above is given too (zeroes above the first one). Returns the sum
  // of squares of what changed.
  float (*Flow)(int64_t width, float theta, const float* pull,
                const float* gradient, const float* dual_x, const float* dual_y,
                const float* dual_y_above, float* flow);
  // The dual variables after the flow: `below` is its next row, the same row
  // again for the last one. step: tau / theta
  void (*Dual)(int64_t width, float step, const float* flow, const float* below,
               float* dual_x, float* dual_y);
};

// Null where the machine does not know the set.
const Tvl1Rows* Tvl1RowsGeneric();
const Tvl1Rows* Tvl1RowsAvx2();
const Tvl1Rows* Tvl1RowsAvx512();

}  // namespace p3d

#endif  // P3D_KERNELS_TVL1_ROWS_HPP_
