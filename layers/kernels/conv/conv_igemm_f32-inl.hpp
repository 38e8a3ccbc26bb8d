// The micro-kernels of floats: that of conv_igemm_tile-inl.hpp, and those that
// only floats have. To be included as that.

using Words = Vector;
inline Words LoadWords(const float* p) { return Load(p); }
inline Words BroadcastWord(const float* p) { return Broadcast(*p); }

#include "kernels/conv/conv_ending-inl.hpp"
#include "kernels/conv/conv_igemm_tile-inl.hpp"

template <int kRows, int kVectors>
void Tile(const IgemmTile& t) {
  RunTile<kRows, kVectors>(t);
}

// Depthwise: a vector of input channels times that of their weights. A run is
// one tap.
template <int kRows, int kVectors>
P3D_INLINE void MultiplyChannels(const IgemmTile& t,
                                 Vector (&sum)[kRows][kVectors]) {
  P3D_EACH_ROW(P3D_START_ROW)
  const Mask mask = FirstLanes(t.width - (kVectors - 1) * kLanes);
  for (const TapRun *run = t.runs, *last = run + t.num_runs; run != last;
       ++run) {
    const float* w = t.weights + run->row * (kVectors * kLanes);
    Vector b[kVectors];
#define P3D_MULTIPLY_CHANNELS(r, v)                                     \
  if (r < kRows && v < kVectors) {                                      \
    const Vector a =                                                    \
        LoadSome<(v + 1 < kVectors)>(x##r + run->x + v * kLanes, mask); \
    P3D_SUM(r, v) = MultiplyAdd(a, b[v % kVectors], P3D_SUM(r, v));     \
  }
#define P3D_MULTIPLY_CHANNELS_ROW(r) P3D_EACH_VECTOR(P3D_MULTIPLY_CHANNELS, r)
    P3D_EACH_VECTOR(P3D_LOAD_WEIGHTS, 0)
    P3D_EACH_ROW(P3D_MULTIPLY_CHANNELS_ROW)
  }
}

template <int kRows, int kVectors>
void DepthwiseTile(const IgemmTile& t) {
  Vector sum[kRows][kVectors];
  Begin(t, sum);
  MultiplyChannels(t, sum);
  End(t, sum);
}
