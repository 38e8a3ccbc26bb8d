// Winograd's transforms for the gradient of weights, and those of
// conv_winograd_tile-inl.hpp, written once for all instruction sets and kinds
// of values. To be included as that.

#include "kernels/conv/conv_winograd_tile-inl.hpp"

P3D_INLINE Two operator+(const Two& x, const Two& y) {
  return {x.a + y.a, x.b + y.b};
}
P3D_INLINE Two operator-(const Two& x, const Two& y) {
  return {x.a - y.a, x.b - y.b};
}

// A times a column.
P3D_INLINE Four GradientColumn(const Two& y) {
  return {y.a, y.a + y.b, y.a - y.b, Zero() - y.b};
}

template <bool kWhole, typename Value>
P3D_INLINE void LoadRow(const Value* const* pixels, int64_t c, Mask mask,
                        Two* row) {
  row->a = LoadSome<kWhole>(pixels[0] + c, mask);
  row->b = LoadSome<kWhole>(pixels[1] + c, mask);
}

// What is transformed: x. Row: a Four, or those of each tile that shares words.
template <typename Row>
struct InputTiles {
  template <bool kWhole, typename Value>
  static P3D_INLINE void Transform(const Value* const* pixels, int64_t c,
                                   Mask mask, int64_t step, float* to) {
    InputVector<kWhole, Row>(pixels, c, mask, step, to);
  }
};
// Or dy. Row: a Two, or those.
template <typename Row>
struct OutputTiles {
  template <bool kWhole, typename Value>
  static P3D_INLINE void Transform(const Value* const* pixels, int64_t c,
                                   Mask mask, int64_t step, float* to) {
    Row row0, row1;
    LoadRow<kWhole>(pixels, c, mask, &row0);
    LoadRow<kWhole>(pixels + 2, c, mask, &row1);
    StoreRow(GradientColumn(row0), 0, step, to);
    StoreRow(GradientColumn(row0 + row1), 1, step, to);
    StoreRow(GradientColumn(row0 - row1), 2, step, to);
    StoreRow(GradientColumn(Row() - row1), 3, step, to);
  }
};

template <typename Tiles, typename Value>
void TransformWords(const WinogradWords<Value>& t) {
  int64_t c = 0;
  for (; c + kLanes <= t.channels; c += kLanes) {
    Tiles::template Transform<true>(t.pixels, c, Mask(), t.step, t.words + c);
  }
  if (c < t.channels) {
    Tiles::template Transform<false>(t.pixels, c, FirstLanes(t.channels - c),
                                     t.step, t.words + c);
  }
}

struct Three {
  Vector a, b, c;
};

// G^T times a column.
P3D_INLINE Three TapsColumn(Vector a, Vector b, Vector c, Vector d) {
  const Vector half = Broadcast(.5f);
  const Vector sum = half * (b + c);
  return {a + sum, half * (b - c), sum + d};
}
P3D_INLINE Three SumsColumn(const float* m, int64_t step) {
  return TapsColumn(Load(m), Load(m + 4 * step), Load(m + 8 * step),
                    Load(m + 12 * step));
}
P3D_INLINE void StoreTaps(const Three& row, int i, int64_t step, float* to) {
  to += 3 * i * step;
  Store(to, row.a);
  Store(to + step, row.b);
  Store(to + 2 * step, row.c);
}

void TransformTaps(const WinogradTaps& t) {
  for (int64_t i = 0; i < t.count; i += kLanes) {
    const float* const m = t.m + i;
    const Three j0 = SumsColumn(m, t.step);
    const Three j1 = SumsColumn(m + t.step, t.step);
    const Three j2 = SumsColumn(m + 2 * t.step, t.step);
    const Three j3 = SumsColumn(m + 3 * t.step, t.step);
    float* const taps = t.taps + i;
    StoreTaps(TapsColumn(j0.a, j1.a, j2.a, j3.a), 0, t.tap_step, taps);
    StoreTaps(TapsColumn(j0.b, j1.b, j2.b, j3.b), 1, t.tap_step, taps);
    StoreTaps(TapsColumn(j0.c, j1.c, j2.c, j3.c), 2, t.tap_step, taps);
  }
}
