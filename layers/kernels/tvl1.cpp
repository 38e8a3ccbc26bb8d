#include "kernels/tvl1.hpp"

#include <algorithm>
#include <utility>

#include "kernels/cpu/isa.hpp"
#include "kernels/tvl1_rows.hpp"

namespace p3d {
namespace {

const Tvl1Rows& Rows() {
  switch (ActiveIsa()) {
    case Isa::kAmx:
    case Isa::kAvx512:
      return *Tvl1RowsAvx512();
    case Isa::kAvx2:
      return *Tvl1RowsAvx2();
    default:
      return *Tvl1RowsGeneric();
  }
}

// Iterations that go over the images together. More find as many rows in the
// nearer caches, and do more that is not needed.
constexpr int64_t kTogether = 4;

constexpr int64_t kWarped = 4, kState = 6;  // images
constexpr int64_t kImages = kWarped + 2 * kState;
// Behind the images: zeroes, what Smooth sorts, and what it reads beyond.
constexpr int64_t kRowsMore = 1 + 5 + 1;

// Of a row of one image. Rows of the images alternate, and are an odd number of
// cache lines long, for those of one place not to fight for one line.
int64_t Length(int64_t width) { return (((width + 15) / 16 + 1) | 1) * 16; }

// How many of `count` iterations there are until little enough changes.
int64_t Needed(const double* changed, int64_t count, double enough) {
  int64_t needed = 1;
  while (needed < count && changed[needed - 1] > enough) ++needed;
  return needed;
}

}  // namespace

Tvl1Level::Tvl1Level(int64_t height, int64_t width)
    : height_(height),
      width_(width),
      stride_(kImages * Length(width)),
      images_((height * stride_ + kRowsMore * Length(width)) * sizeof(float)),
      residual_(Image(0)),
      gradient_{Image(1), Image(2)},
      inverse_(Image(3)),
      zeroes_(Image(0) + height * stride_),
      states_{StateAt(kWarped), StateAt(kWarped + kState)} {}

float* Tvl1Level::Image(int64_t index) const {
  return static_cast<float*>(images_.data()) + index * Length(width_);
}

Tvl1Level::State Tvl1Level::StateAt(int64_t image) const {
  return {
      {Image(image), Image(image + 1)},
      {Image(image + 2), Image(image + 3), Image(image + 4), Image(image + 5)}};
}

void Tvl1Level::Warp(const float* first, const float* warped) {
  constexpr float kTiny = 1e-20f;  // instead of 0
  for (int64_t y = 0; y < height_; ++y) {
    for (int64_t x = 0; x < width_; ++x, ++first, warped += 3) {
      const int64_t i = y * stride_ + x;
      const float gx = warped[1], gy = warped[2];
      const float moved = gx * flow(0)[i] + gy * flow(1)[i];
      residual_[i] = warped[0] - (*first + moved);
      gradient_[0][i] = gx;
      gradient_[1][i] = gy;
      inverse_[i] = -1 / std::max(gx * gx + gy * gy, kTiny);
    }
  }
}

void Tvl1Level::Smooth(int side) {
  const Tvl1Rows& rows = Rows();
  const int which = side == 3 ? 0 : 1, reach = side / 2;
  float* sorted[5];
  for (int i = 0; i < side; ++i) {
    // A vector's room on the left.
    sorted[i] = zeroes_ + (i + 1) * Length(width_) + 16;
  }
  State &from = states_[start_], &to = states_[1 - start_];
  for (int c = 0; c < 2; ++c) {
    for (int64_t y = 0; y < height_; ++y) {
      const float* reached[5];
      for (int i = 0; i < side; ++i) {
        const int64_t row = std::max<int64_t>(0, y + i - reach);
        reached[i] = from.flow[c] + std::min(row, height_ - 1) * stride_;
      }
      rows.SortColumns[which](width_, reached, sorted);
      for (int i = 0; i < side; ++i) {
        std::fill_n(sorted[i] - reach, reach, sorted[i][0]);
        std::fill_n(sorted[i] + width_, reach, sorted[i][width_ - 1]);
      }
      rows.Medians[which](width_, sorted, to.flow[c] + y * stride_);
    }
    std::swap(from.flow[c], to.flow[c]);
  }
}

double Tvl1Level::Iterate(const Tvl1Weights& weights, int64_t iterations,
                          double enough) {
  for (float* u : Start().flow) {
    for (int64_t y = 0; y < height_; ++y) {
      u[y * stride_ + width_] = u[y * stride_ + width_ - 1];
    }
  }
  double changed = 0;
  int64_t done = 0;
  do {
    double each[kTogether];
    const int64_t count =
        std::min(kTogether, std::max<int64_t>(iterations - done, 1));
    Together(weights, count, each);
    const int64_t needed = Needed(each, count, enough);
    // What they began with is still there.
    if (needed < count) Together(weights, needed, each);
    start_ = 1 - start_;
    done += needed;
    changed = each[needed - 1];
  } while (done < iterations && changed > enough);
  return changed;
}

// An iteration is a row behind the one before it, whose rows it finds in a
// cache: the dual variables of a row follow once the flow of the next row is
// there.
void Tvl1Level::Together(const Tvl1Weights& weights, int64_t count,
                         double* changed) {
  const Tvl1Rows& rows = Rows();
  std::fill_n(changed, count, 0.);
  for (int64_t front = 0; front < height_ + count; ++front) {
    const int64_t first = std::max<int64_t>(0, front - height_ + 1);
    for (int64_t i = first; i <= std::min(count, front); ++i) {
      const Tvl1Row row = Row(weights, front - i, i);
      if (i == count) {
        rows.Dual(row);
      } else {
        changed[i] += i == 0 ? rows.Flow(row) : rows.DualFlow(row);
      }
    }
  }
}

// For the flow of an iteration, and the dual variables of the one before it.
Tvl1Row Tvl1Level::Row(const Tvl1Weights& weights, int64_t y,
                       int64_t iteration) const {
  const int64_t at = y * stride_, below = y + 1 < height_ ? at + stride_ : at;
  const State &flows = iteration == 0 ? Start() : End(), &out = End();
  const State& duals = iteration <= 1 ? Start() : End();
  Tvl1Row row = {width_,
                 weights.lambda * weights.theta,
                 weights.theta,
                 weights.tau / weights.theta,
                 residual_ + at,
                 inverse_ + at,
                 {}};
  for (int c = 0; c < 2; ++c) {
    const int along_x = 2 * c, along_y = along_x + 1;
    row.components[c] = {gradient_[c] + at,
                         flows.flow[c] + at,
                         flows.flow[c] + below,
                         duals.dual[along_x] + at,
                         duals.dual[along_y] + at,
                         y == 0 ? zeroes_ : flows.dual[along_y] + at - stride_,
                         out.flow[c] + at,
                         out.dual[along_x] + at,
                         out.dual[along_y] + at};
  }
  return row;
}

}  // namespace p3d
