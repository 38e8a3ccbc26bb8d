#ifndef P3D_KERNELS_CHANNEL_SUMS_CUDA_HPP_
#define P3D_KERNELS_CHANNEL_SUMS_CUDA_HPP_

#include <algorithm>
#include <cstdint>

#include "kernels/affine.hpp"
#include "kernels/cuda/cuda_launch.hpp"
#include "kernels/cuda/runs_cuda.hpp"

namespace p3d {
namespace cuda {

// SumChannels of channel_sums.hpp for .cu files. The values are shared out to
// blocks; how depends on the shape alone, lest results depend on the GPU.
// Within a block it depends on whether the lanes may take runs of values.
struct ChannelShares {
  explicit ChannelShares(const Broadcast& b, int64_t images = 1)
      : images(images),
        channels(b.dim),
        inner(std::max<int64_t>(1, b.inner)),
        values(b.outer * b.inner) {
    constexpr int kWidth = 32;
    constexpr int64_t kBlockValues = 4096;  // at least
    constexpr int64_t kShares = 2048;       // in all, to aim at
    while (b.inner == 1 && width < channels && width < kWidth) width *= 2;
    groups = std::max<int64_t>(1, (channels + width - 1) / width);
    parts = std::min(std::max<int64_t>(1, kShares / groups),
                     std::max<int64_t>(1, values * width / kBlockValues));
    parts = std::max<int64_t>(1, parts / images) * images;
  }

  // Of what a block sums up: one of the `groups` of `width` neighbouring
  // channels, and one of the `parts` of each channel's `values`, as many of
  // each image.
  int64_t images, channels, inner, values, groups, parts;
  int width = 1;
};

namespace detail {

// The sums of each value of some runs. An odd number of Pairs, so that the
// lanes of a block have theirs in different banks of its memory.
template <int n>
struct RunSums {
  template <typename Sums>  // or a Run of Pairs
  P3D_HOST_DEVICE void operator+=(const Sums& other) {
    P3D_UNROLL
    for (int k = 0; k < n; ++k) values[k] += other.values[k];
  }
  Pair values[n | 1];
};

// A lane's share of the values of channel d, or of n channels from d on.
template <int n, bool channels>
struct SummedRuns : Runs<n, channels> {
  using Base = Runs<n, channels>;
  int64_t place, pixels, places, image;

  // The sums of the Pairs f(k, in...) for value k of every run.
  template <typename Function, typename... In>
  P3D_HOST_DEVICE RunSums<n> Sum(const Function& f, const In*... in) const {
    RunSums<n> sums = {};
    int64_t i = this->first, p = place;
    P3D_UNROLL_4
    for (int64_t at = 0; at < this->end; ++at) {
      sums += Base::template Apply<Pair>(f, Base::Read(in + i)...);
      i += this->step;
      p += places;
      if (p >= pixels) {
        p -= pixels;
        i += image;
      }
    }
    return sums;
  }
};

// Row part * groups + group, column: the sums over that part of a channel, or
// of n channels.
template <int n, bool channels, typename Term>
struct PartSums {
  ChannelShares shares;
  Term term;
  Pair* sums;  // [channel, part]

  P3D_HOST_DEVICE RunSums<n> Sum(int64_t row, int64_t lane) const {
    constexpr int kAcross = channels ? n : 1, kAlong = channels ? 1 : n;
    const int64_t part = Quotient(row, shares.groups);
    const int64_t columns = Quotient(shares.width, kAcross);
    const int64_t first = Quotient(lane, columns);
    SummedRuns<n, channels> runs;
    runs.d = Channel(row, lane - first * columns);
    if (runs.d >= shares.channels) return {};
    const int64_t values = Quotient(shares.values, kAlong);
    const int64_t at = Quotient(values * part, shares.parts) + first;
    const int64_t stop = Quotient(values * (part + 1), shares.parts);
    const int64_t step = Quotient(kThreads, columns);
    runs.end = at < stop ? Quotient(stop - at + step - 1, step) : 0;
    // Carries the place along instead of dividing for it.
    const int64_t pixels = Quotient(shares.inner, kAlong);
    const int64_t image = shares.channels * shares.inner;
    const int64_t image_at = Quotient(at, pixels),
                  images = Quotient(step, pixels);
    runs.pixels = pixels;
    runs.place = at - image_at * pixels;
    runs.places = step - images * pixels;
    runs.first = image_at * image + runs.d * shares.inner + runs.place * kAlong;
    runs.step = images * image + runs.places * kAlong;
    runs.image = image - shares.inner;
    return term(runs);
  }
  P3D_HOST_DEVICE void Store(int64_t row, int64_t column,
                             const RunSums<n>& sum) const {
    const int64_t c = Channel(row, column);
    if (c >= shares.channels) return;
    Pair* to = sums + c * shares.parts + Quotient(row, shares.groups);
    Pair whole = {0, 0};
    P3D_UNROLL
    for (int k = 0; k < n; ++k) {
      if (channels) to[k * shares.parts] = sum.values[k];
      whole += sum.values[k];
    }
    if (!channels) *to = whole;
  }
  P3D_HOST_DEVICE int64_t Channel(int64_t row, int64_t column) const {
    const int64_t part = Quotient(row, shares.groups);
    return (row - part * shares.groups) * shares.width +
           column * (channels ? n : 1);
  }
};

// Row r: the sums of a channel's parts of an image, for finish(r, sums).
template <typename Finish>
struct JoinedSums {
  int64_t parts;
  const Pair* sums;
  Finish finish;

  P3D_HOST_DEVICE Pair Sum(int64_t r, int64_t lane) const {
    Pair sum = {0, 0};
    for (int64_t part = lane; part < parts; part += kThreads) {
      sum += sums[r * parts + part];
    }
    return sum;
  }
  P3D_HOST_DEVICE void Store(int64_t r, const Pair& sum) const {
    finish(r, sum);
  }
};

template <int n, bool channels, typename Term>
void SumParts(CUstream_st* stream, const char* kernel,
              const ChannelShares& shares, const Term& term, Pair* sums) {
  SumColumns(stream, kernel, shares.groups * shares.parts,
             channels ? shares.width / n : 1,
             PartSums<n, channels, Term>{shares, term, sums});
}

}  // namespace detail

// How many doubles SumChannels needs as scratch.
inline int64_t ChannelSumsSize(const Broadcast& b, int64_t images = 1) {
  return 2 * ChannelShares(b, images).parts * b.dim;
}

// finish(c, the sums over all o and i) for every c, in two launches. `term`
// makes the sums of a lane's runs: of values of the kind Value, read from
// arrays [o, c, i] that are Aligned or not. With several `images`, which share
// out what o counts, finish(c * images + image, the sums over that image's).
template <typename Value, typename Term, typename Finish>
void SumChannels(CUstream_st* stream, const char* kernel, const Broadcast& b,
                 bool aligned, const Term& term, double* scratch,
                 const Finish& finish, int64_t images = 1) {
  // Four channels' sums are as many as fit into a lane's registers.
  constexpr int n = sizeof(Value) > 4 ? kRunBytes / sizeof(Value) : 4;
  const ChannelShares shares(b, images);
  const bool channels = b.inner == 1;
  const bool runs =
      aligned && b.count() > 0 && (channels ? b.dim : b.inner) % n == 0;
  Pair* sums = reinterpret_cast<Pair*>(scratch);
  (runs ? channels ? detail::SumParts<n, true, Term>
                   : detail::SumParts<n, false, Term>
   : channels
       ? detail::SumParts<1, true, Term>
       : detail::SumParts<1, false, Term>)(stream, kernel, shares, term, sums);
  SumRows(stream, kernel, shares.channels * images,
          detail::JoinedSums<Finish>{shares.parts / images, sums, finish});
}

}  // namespace cuda
}  // namespace p3d

#endif  // P3D_KERNELS_CHANNEL_SUMS_CUDA_HPP_
