#ifndef P3D_KERNELS_CHANNEL_SUMS_CUDA_HPP_
#define P3D_KERNELS_CHANNEL_SUMS_CUDA_HPP_

#include <algorithm>
#include <cstdint>

#include "kernels/affine.hpp"
#include "kernels/cuda_launch.hpp"

namespace p3d {
namespace cuda {

// SumChannels of channel_sums.hpp for .cu files. The values are shared out to
// blocks; how depends on the shape alone, lest results depend on the GPU.
struct ChannelShares {
  explicit ChannelShares(const Broadcast& b)
      : channels(b.dim), values(b.outer * b.inner) {
    constexpr int kWidth = 32;              // at most: a line of memory
    constexpr int64_t kBlockValues = 4096;  // at least
    constexpr int64_t kShares = 2048;       // in all, to aim at
    if (b.inner == 1) {
      while (width < channels && width < kWidth) width *= 2;
      pixels = std::max<int64_t>(1, values);
      step_p = channels;
    } else {
      pixels = step_c = std::max<int64_t>(1, b.inner);
    }
    groups = std::max<int64_t>(1, (channels + width - 1) / width);
    parts = std::min(std::max<int64_t>(1, kShares / groups),
                     std::max<int64_t>(1, values * width / kBlockValues));
  }

  // Of what a block sums up: one of the `groups` of `width` neighbouring
  // channels, and one of the `parts` of each channel's `values`.
  int64_t channels, values, groups, parts;
  int width = 1;
  // Value n * pixels + p of channel c lies at
  // n * channels * pixels + c * step_c + p * step_p.
  int64_t pixels, step_c = 1, step_p = 1;
};

namespace detail {

// Row part * groups + group, column: the sums of term(c, i) over that part of
// channel c.
template <typename Term>
struct PartSums {
  ChannelShares shares;
  Term term;
  Pair* sums;  // [channel, part]

  P3D_HOST_DEVICE Pair Sum(int64_t row, int64_t lane) const {
    const int64_t part = Quotient(row, shares.groups);
    const int64_t first = Quotient(lane, shares.width);
    const int64_t c = Channel(row, lane - first * shares.width);
    Pair sum = {0, 0};
    if (c >= shares.channels) return sum;
    const int64_t end = Quotient(shares.values * (part + 1), shares.parts);
    const int64_t step = Quotient(kThreads, shares.width);
    int64_t at = Quotient(shares.values * part, shares.parts) + first;
    // Carries the place along instead of multiplying for it.
    const int64_t pixels = shares.pixels, image = shares.channels * pixels;
    const int64_t step_n = Quotient(step, pixels), n = Quotient(at, pixels);
    const int64_t rest = step - step_n * pixels;
    const int64_t step_i = step_n * image + rest * shares.step_p;
    int64_t p = at - n * pixels;
    int64_t i = n * image + c * shares.step_c + p * shares.step_p;
    P3D_UNROLL_4
    for (; at < end; at += step) {
      sum += term(c, i);
      i += step_i;
      p += rest;
      if (p >= pixels) {
        p -= pixels;
        i += image - pixels * shares.step_p;
      }
    }
    return sum;
  }
  P3D_HOST_DEVICE void Store(int64_t row, int64_t column,
                             const Pair& sum) const {
    const int64_t c = Channel(row, column);
    if (c >= shares.channels) return;
    sums[c * shares.parts + Quotient(row, shares.groups)] = sum;
  }
  P3D_HOST_DEVICE int64_t Channel(int64_t row, int64_t column) const {
    const int64_t part = Quotient(row, shares.groups);
    return (row - part * shares.groups) * shares.width + column;
  }
};

// Row c: the sums of a channel's parts, for finish(c, sums).
template <typename Finish>
struct JoinedSums {
  int64_t parts;
  const Pair* sums;
  Finish finish;

  P3D_HOST_DEVICE Pair Sum(int64_t c, int64_t lane) const {
    Pair sum = {0, 0};
    for (int64_t part = lane; part < parts; part += kThreads) {
      sum += sums[c * parts + part];
    }
    return sum;
  }
  P3D_HOST_DEVICE void Store(int64_t c, const Pair& sum) const {
    finish(c, sum);
  }
};

}  // namespace detail

// How many doubles SumChannels needs as scratch.
inline int64_t ChannelSumsSize(const Broadcast& b) {
  return 2 * ChannelShares(b).parts * b.dim;
}

// finish(c, sums of the Pairs term(c, place of [o, c, i]) over all o and i) for
// every c, in two launches.
template <typename Term, typename Finish>
void SumChannels(CUstream_st* stream, const char* kernel, const Broadcast& b,
                 const Term& term, double* scratch, const Finish& finish) {
  const ChannelShares shares(b);
  Pair* sums = reinterpret_cast<Pair*>(scratch);
  SumColumns(stream, kernel, shares.groups * shares.parts, shares.width,
             detail::PartSums<Term>{shares, term, sums});
  SumRows(stream, kernel, shares.channels,
          detail::JoinedSums<Finish>{shares.parts, sums, finish});
}

}  // namespace cuda
}  // namespace p3d

#endif  // P3D_KERNELS_CHANNEL_SUMS_CUDA_HPP_
