#ifndef P3D_KERNELS_RANGES_HPP_
#define P3D_KERNELS_RANGES_HPP_

#include <algorithm>
#include <cstdint>
#include <vector>

#include "kernels/cpu/thread_pool.hpp"

namespace p3d {

// a / b for a >= 0 and b > 0, rounded up.
inline int64_t CeilDiv(int64_t a, int64_t b) { return (a + b - 1) / b; }

// The next multiple of `unit`, for the same.
inline int64_t RoundUp(int64_t value, int64_t unit) {
  return CeilDiv(value, unit) * unit;
}

// Floats of a cache line.
constexpr int64_t kLineFloats = 16;

// Values that a loop over plain arrays should do in one task: enough to pay for
// handing it out, few enough to stay in a core's cache.
constexpr int64_t kRange = 16384;

// Calls body(begin, end) for ranges of `range` items (the last one may be
// shorter) that cover [0, count), on all threads.
template <typename Body>
void ParallelRanges(int64_t count, int64_t range, const Body& body) {
  ParallelFor(CeilDiv(count, range), [&](int64_t task) {
    body(task * range, std::min(count, (task + 1) * range));
  });
}

// The sum of what body(begin, end) returns for ranges that cover [0, count):
// the same for any number of threads.
template <typename Body>
double SumRanges(int64_t count, const Body& body) {
  if (count <= kRange) return body(int64_t{0}, count);
  std::vector<double> parts(CeilDiv(count, kRange));
  ParallelRanges(count, kRange, [&](int64_t begin, int64_t end) {
    parts[begin / kRange] = body(begin, end);
  });
  double sum = 0;
  for (double part : parts) sum += part;
  return sum;
}

// How many rows of `width` values make up one range.
inline int64_t RowsPerRange(int64_t width) {
  return std::max<int64_t>(1, kRange / std::max<int64_t>(1, width));
}

}  // namespace p3d

#endif  // P3D_KERNELS_RANGES_HPP_
