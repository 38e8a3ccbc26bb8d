#ifndef P3D_KERNELS_RUNS_CUDA_HPP_
#define P3D_KERNELS_RUNS_CUDA_HPP_

// Elementwise kernels. Memory is read and written in 16 bytes at a time: a
// thread takes runs of neighbouring values, as many as are 16 bytes of the
// narrowest kind among them, where addresses and counts allow it, and single
// values elsewhere. What is computed is the same.

#include <cstdint>

#include "kernels/affine.hpp"
#include "kernels/aligned.hpp"
#include "kernels/cuda/cuda_launch.hpp"
#include "kernels/narrow.hpp"

namespace p3d {
namespace cuda {

constexpr int kRunBytes = 16;

// n values in registers, n a power of 2.
template <typename Value, int n>
struct alignas(n * sizeof(Value) < kRunBytes ? n * sizeof(Value) : kRunBytes)
    Run {
  P3D_HOST_DEVICE const Value& operator[](int k) const { return values[k]; }
  P3D_HOST_DEVICE Value& operator[](int k) { return values[k]; }
  Value values[n];
};

// One thread's runs: of n values from the places first, first + step, ... below
// `end` on. Those of `Channels` have n neighbouring coefficients, from d on,
// the same for all runs; others have one, d.
template <int n, bool channels>
struct Runs {
  static constexpr int kWidth = n;
  int64_t first, step, end, d;

  template <typename Value>
  P3D_HOST_DEVICE static Run<Value, n> Read(const Value* from) {
    return *reinterpret_cast<const Run<Value, n>*>(from);
  }
  template <typename From, typename To>
  P3D_HOST_DEVICE static void Write(const Run<From, n>& run, To* to) {
    Run<To, n> rounded;
    Round<n>(run.values, rounded.values);
    *reinterpret_cast<Run<To, n>*>(to) = rounded;
  }

  template <typename Value>
  P3D_HOST_DEVICE static Run<Value, n> All(Value value) {
    Run<Value, n> all;
    P3D_UNROLL
    for (int k = 0; k < n; ++k) all[k] = value;
    return all;
  }

  // The coefficient of each value of a run; 0 where there are none (null).
  template <typename Value>
  P3D_HOST_DEVICE Run<Value, n> Each(const Value* coefficients) const {
    if (channels && coefficients) return Read(coefficients + d);
    return All<Value>(coefficients ? coefficients[d] : Value(0));
  }

  // body(where a run begins) for every run.
  template <typename Body>
  P3D_HOST_DEVICE void ForEach(const Body& body) const {
    P3D_UNROLL_1
    for (int64_t i = first; i < end; i += step) body(i);
  }

  // f(k, in...) for value k of a run.
  template <typename Out, typename Function, typename... In>
  P3D_HOST_DEVICE static Run<Out, n> Apply(const Function& f,
                                           const Run<In, n>&... in) {
    Run<Out, n> out;
    P3D_UNROLL
    for (int k = 0; k < n; ++k) out[k] = f(k, in[k]...);
    return out;
  }

  // out = f(k, in...) for value k of every run. `out` may be one of `in`.
  template <typename Out, typename Function, typename... In>
  P3D_HOST_DEVICE void Map(Out* out, const Function& f, const In*... in) const {
    ForEach([&](int64_t i) { Write(Apply<Out>(f, Read(in + i)...), out + i); });
  }
};

namespace detail {

// The values that fill no run come last, one by one.
template <int n, typename Body>
struct EachRun {
  int64_t count;
  Body body;
  P3D_HOST_DEVICE void operator()(int64_t first, int64_t step) const {
    const int64_t full = count - count % n;
    body(Runs<n, false>{first * n, step * n, full, 0});
    if (full < count) body(Runs<1, false>{full + first, step, count, 0});
  }
};

// As many rows at once as there are threads for: each keeps to its channels.
template <int n, typename Body>
struct EachChannelRun {
  int64_t rows, channels;
  Body body;
  P3D_HOST_DEVICE void operator()(int64_t first, int64_t step) const {
    const int64_t groups = Quotient(channels, n);
    const int64_t together = Smaller(Quotient(step, groups), rows);
    const int64_t lanes = together > 0 ? together : 1;
    for (int64_t lane = first; lane < lanes * groups; lane += step) {
      const int64_t row = Quotient(lane, groups);
      const int64_t d = (lane - row * groups) * n;
      body(Runs<n, true>{row * channels + d, lanes * channels, rows * channels,
                         d});
    }
  }
};

template <int n, typename Body>
struct PlaneRun {
  Body body;
  P3D_HOST_DEVICE void operator()(int64_t run, int64_t d) const {
    body(Runs<n, false>{run * n, n, (run + 1) * n, d});
  }
};

template <int n, typename Body>
void LaunchPlaneRuns(CUstream_st* stream, const char* kernel,
                     const Broadcast& shape, const Body& body) {
  const int64_t runs = shape.count() / n;
  LaunchThreads(stream, kernel, runs,
                EachValue<PlaneRun<n, Body>>{
                    {shape.outer, shape.dim, shape.inner / n}, runs, {body}});
}

}  // namespace detail

// body(Runs) for all of `count` values. `Value` is the narrowest kind among
// them; `aligned` says whether their arrays are Aligned, those of coefficients
// too.
template <typename Value, typename Body>
void ForEachRun(CUstream_st* stream, const char* kernel, int64_t count,
                bool aligned, const Body& body) {
  constexpr int n = kRunBytes / sizeof(Value);
  if (count <= 0) return;
  if (!aligned) {
    return detail::LaunchThreads(stream, kernel, count,
                                 detail::EachRun<1, Body>{count, body});
  }
  detail::LaunchThreads(stream, kernel, (count + n - 1) / n,
                        detail::EachRun<n, Body>{count, body});
}

// The same for values x[row, channel], of which the channel chooses a
// coefficient; no run has values of two rows.
template <typename Value, typename Body>
void ForEachRun(CUstream_st* stream, const char* kernel, int64_t rows,
                int64_t channels, bool aligned, const Body& body) {
  constexpr int n = kRunBytes / sizeof(Value);
  const int64_t count = rows * channels;
  if (count <= 0) return;
  if (aligned && channels % n == 0) {
    return detail::LaunchThreads(
        stream, kernel, count / n,
        detail::EachChannelRun<n, Body>{rows, channels, body});
  }
  detail::LaunchThreads(stream, kernel, count,
                        detail::EachChannelRun<1, Body>{rows, channels, body});
}

// The same for values x[o, d, inner], of which d chooses a coefficient.
template <typename Value, typename Body>
void ForEachRun(CUstream_st* stream, const char* kernel, const Broadcast& shape,
                bool aligned, const Body& body) {
  constexpr int n = kRunBytes / sizeof(Value);
  if (shape.inner == 1) {
    return ForEachRun<Value>(stream, kernel, shape.outer, shape.dim, aligned,
                             body);
  }
  if (shape.count() <= 0) return;
  if (aligned && shape.inner % n == 0) {
    return detail::LaunchPlaneRuns<n>(stream, kernel, shape, body);
  }
  detail::LaunchPlaneRuns<1>(stream, kernel, shape, body);
}

}  // namespace cuda
}  // namespace p3d

#endif  // P3D_KERNELS_RUNS_CUDA_HPP_
