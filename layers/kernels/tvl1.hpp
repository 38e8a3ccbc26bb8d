#ifndef P3D_KERNELS_TVL1_HPP_
#define P3D_KERNELS_TVL1_HPP_

#include <cstdint>

namespace p3d {

// The inner iterations of TV-L1 optical flow (Zach, Pock, Bischof: A duality
// based approach for realtime TV-L1 optical flow, DAGM 2007; in steps: Sanchez,
// Meinhardt-Llopis, Facciolo: TV-L1 optical flow estimation, IPOL 2013).
//
// All arrays are images of height x width values, one row behind the other.
// With I1w the second image warped by the flow u0 that iterations began with:
struct Tvl1Images {
  int64_t height, width;
  // The residual where the flow is 0: I1w - u0 . gradient - I0.
  const float* residual;
  const float *gradient_x, *gradient_y;  // of I1w
  float *flow_x, *flow_y;                // u, in pixels
  // The dual variables of u's total variation: for x, along x and y; for y.
  float *dual_xx, *dual_xy, *dual_yx, *dual_yy;
};

struct Tvl1Weights {
  float tau;     // how far a step goes
  float lambda;  // what the images count for against smoothness
  float theta;   // how loosely both are coupled
};

// Up to `iterations` of them, at least one, as long as the sum of squares of
// what the last one changed is more than `enough`; returns it. By one thread.
double Tvl1Iterate(const Tvl1Images& images, const Tvl1Weights& weights,
                   int64_t iterations, double enough);

}  // namespace p3d

#endif  // P3D_KERNELS_TVL1_HPP_
