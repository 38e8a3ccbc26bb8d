#ifndef P3D_KERNELS_CHANNEL_SUMS_HPP_
#define P3D_KERNELS_CHANNEL_SUMS_HPP_

#include <algorithm>
#include <cstdint>

#include "kernels/affine.hpp"
#include "kernels/ranges.hpp"
#include "kernels/scratch.hpp"

namespace p3d {

// Sums over all values that share a coefficient, in double.

struct Pair {
  double first = 0;
  double second = 0;
  void operator+=(const Pair& other) {
    first += other.first;
    second += other.second;
  }
};

namespace detail {

// The sum of at(i) over [begin, end); independent lanes, so that a compiler
// that may not reorder sums can use vectors.
template <typename At>
Pair SumPlane(int64_t begin, int64_t end, const At& at) {
  constexpr int64_t kLanes = 8;
  double first[kLanes] = {}, second[kLanes] = {};
  int64_t i = begin;
  for (; i + kLanes <= end; i += kLanes) {
    for (int64_t lane = 0; lane < kLanes; ++lane) {
      const Pair value = at(i + lane);
      first[lane] += value.first;
      second[lane] += value.second;
    }
  }
  Pair sum;
  for (; i < end; ++i) sum += at(i);
  for (int64_t lane = 0; lane < kLanes; ++lane) {
    sum += {first[lane], second[lane]};
  }
  return sum;
}

// sums[d] of rows [begin, end) of one value per d, the seconds behind the
// firsts.
template <typename Term>
void SumRows(int64_t begin, int64_t end, int64_t dim, const Term& term,
             double* sums) {
  std::fill(sums, sums + 2 * dim, 0.0);
  for (int64_t row = begin; row < end; ++row) {
    for (int64_t d = 0; d < dim; ++d) {
      const Pair value = term(d)(row * dim + d);
      sums[d] += value.first;
      sums[dim + d] += value.second;
    }
  }
}

}  // namespace detail

// first[d] and second[d] = the sums over all o and i of the pairs term(d)(place
// of [o, d, i]), added up in an order that does not depend on the number of
// threads.
template <typename Term>
void SumChannels(const Broadcast& b, const Term& term, double* first,
                 double* second) {
  const bool planes = b.inner != 1;
  const int64_t step = RowsPerRange(planes ? b.inner : b.dim);
  const int64_t parts = planes ? b.outer : (b.outer + step - 1) / step;
  const Scratch<double> scratch(2 * parts * b.dim);
  double* sums = scratch.data();
  if (planes) {
    ParallelRanges(b.outer * b.dim, step, [&](int64_t begin, int64_t end) {
      for (int64_t plane = begin; plane < end; ++plane) {
        const int64_t o = plane / b.dim, d = plane % b.dim;
        const Pair sum =
            detail::SumPlane(plane * b.inner, (plane + 1) * b.inner, term(d));
        sums[2 * o * b.dim + d] = sum.first;
        sums[(2 * o + 1) * b.dim + d] = sum.second;
      }
    });
  } else {
    ParallelRanges(b.outer, step, [&](int64_t begin, int64_t end) {
      detail::SumRows(begin, end, b.dim, term,
                      sums + 2 * (begin / step) * b.dim);
    });
  }
  for (int64_t d = 0; d < b.dim; ++d) {
    Pair sum;
    for (int64_t part = 0; part < parts; ++part) {
      sum += {sums[2 * part * b.dim + d], sums[(2 * part + 1) * b.dim + d]};
    }
    first[d] = sum.first;
    second[d] = sum.second;
  }
}

}  // namespace p3d

#endif  // P3D_KERNELS_CHANNEL_SUMS_HPP_
