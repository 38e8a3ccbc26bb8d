#ifndef P3D_KERNELS_TVL1_HPP_
#define P3D_KERNELS_TVL1_HPP_

#include <cstdint>

#include "kernels/buffer.hpp"

namespace p3d {

struct Tvl1Row;

struct Tvl1Weights {
  float tau;     // how far a step goes
  float lambda;  // what the images count for against smoothness
  float theta;   // how loosely both are coupled
};

// TV-L1 optical flow at one level of a pyramid (Zach, Pock, Bischof: A duality
// based approach for realtime TV-L1 optical flow, DAGM 2007; in steps: Sanchez,
// Meinhardt-Llopis, Facciolo: TV-L1 optical flow estimation, IPOL 2013), from
// an image I0 to an image I1 of height x width values, at least one.
//
// The flow u and the dual variables of its total variation are 0 at first. Used
// by one thread at a time.
class Tvl1Level {
 public:
  // Throws NoMemory.
  Tvl1Level(int64_t height, int64_t width);

  int64_t height() const { return height_; }
  int64_t width() const { return width_; }
  // In memory, of what flow() and dual() are.
  int64_t row_stride() const { return stride_; }

  // u in pixels, along x (0) and y (1); elsewhere after Smooth and Iterate. It
  // may be written to.
  float* flow(int axis) { return Start().flow[axis]; }
  // For u along x, in the directions x (0) and y (1); for u along y (2, 3).
  float* dual(int which) { return Start().dual[which]; }

  // Iterations go on from here, with u as it is: `first` (height, width) is I0,
  // `warped` (height, width, 3) is I1 and its gradient along x and y at places
  // moved by u.
  void Warp(const float* first, const float* warped);

  // u becomes its median over side x side pixels, 3 or 5; outside of the image
  // its border goes on.
  void Smooth(int side);

  // Up to `iterations` of them, at least one, as long as the sum of squares of
  // what the last one changed is more than `enough`; returns it.
  double Iterate(const Tvl1Weights& weights, int64_t iterations, double enough);

 private:
  struct State {
    float* flow[2];
    float* dual[4];
  };
  float* Image(int64_t index) const;
  State StateAt(int64_t image) const;
  const State& Start() const { return states_[start_]; }
  const State& End() const { return states_[1 - start_]; }
  // Iterations from the one state to the other.
  void Together(const Tvl1Weights& weights, int64_t count, double* changed);
  Tvl1Row Row(const Tvl1Weights& weights, int64_t y, int64_t iteration) const;

  int64_t height_, width_, stride_;
  Buffer images_;
  float *residual_, *gradient_[2], *inverse_, *zeroes_;
  State states_[2];
  int start_ = 0;
};

}  // namespace p3d

#endif  // P3D_KERNELS_TVL1_HPP_
