// The transforms of conv_winograd.hpp, written once for all instruction sets
// and kinds of values. A source file of one set includes this inside its target
// region and an unnamed namespace, behind its lanes_<set>-inl.hpp and
// conv_ending-inl.hpp. There is no include guard: each of those files has its
// own copy.

// A row or a column of a tile of kWidth x kWidth values.
struct Four {
  static constexpr int kWidth = 4;
  Vector a, b, c, d;
};
struct Two {
  static constexpr int kWidth = 2;
  Vector a, b;
};

P3D_INLINE Four operator+(const Four& x, const Four& y) {
  return {x.a + y.a, x.b + y.b, x.c + y.c, x.d + y.d};
}
P3D_INLINE Four operator-(const Four& x, const Four& y) {
  return {x.a - y.a, x.b - y.b, x.c - y.c, x.d - y.d};
}

// B^T and A^T times a column.
P3D_INLINE Four InputColumn(const Four& d) {
  return {d.a - d.c, d.b + d.c, d.c - d.b, d.b - d.d};
}
P3D_INLINE Two OutputColumn(Vector a, Vector b, Vector c, Vector d) {
  return {a + b + c, b - c - d};
}

// Row `i` of the positions.
template <typename Value>
P3D_INLINE void StoreRow(const Four& row, int i, int64_t step, Value* to) {
  to += 4 * i * step;
  Store(to, row.a);
  Store(to + step, row.b);
  Store(to + 2 * step, row.c);
  Store(to + 3 * step, row.d);
}

// Of a row's pixels: channels from c on, all of a vector or those of `mask`.
template <bool kWhole, typename Value>
P3D_INLINE void LoadRow(const Value* const* pixels, int64_t c, Mask mask,
                        Four* row) {
  row->a = LoadSome<kWhole>(pixels[0] + c, mask);
  row->b = LoadSome<kWhole>(pixels[1] + c, mask);
  row->c = LoadSome<kWhole>(pixels[2] + c, mask);
  row->d = LoadSome<kWhole>(pixels[3] + c, mask);
}

// In an order that needs few registers at a time. Row: a Four, or that of each
// of some tiles.
template <bool kWhole, typename Row, typename Value, typename To>
P3D_INLINE void InputVector(const Value* const* pixels, int64_t c, Mask mask,
                            int64_t step, To* to) {
  Row row0, row1, row2, row3;
  LoadRow<kWhole>(pixels + 8, c, mask, &row2);
  LoadRow<kWhole>(pixels, c, mask, &row0);
  StoreRow(InputColumn(row0 - row2), 0, step, to);
  LoadRow<kWhole>(pixels + 4, c, mask, &row1);
  StoreRow(InputColumn(row1 + row2), 1, step, to);
  StoreRow(InputColumn(row2 - row1), 2, step, to);
  LoadRow<kWhole>(pixels + 12, c, mask, &row3);
  StoreRow(InputColumn(row1 - row3), 3, step, to);
}

template <typename Value>
void TransformInput(const WinogradInput<Value>& t) {
  int64_t c = 0;
  for (; c + kLanes <= t.channels; c += kLanes) {
    InputVector<true, Four>(t.pixels, c, Mask(), t.step, t.v + c);
  }
  if (c < t.channels) {
    InputVector<false, Four>(t.pixels, c, FirstLanes(t.channels - c), t.step,
                             t.v + c);
  }
}

// Of a tile's output at `place`, if there is one.
template <bool kWhole, bool kResidual, typename Value>
P3D_INLINE void PutOutput(const WinogradOutput<Value>& t,
                          const Ending<kWhole, kResidual, Value>& end,
                          Vector sum, int64_t place, int64_t channel) {
  if (place < 0) return;
  Value* const y = t.y + place + channel;
  end.Put(sum, kResidual ? t.epilogue.residual + place + channel : y, y);
}

template <bool kWhole, bool kResidual, typename Value>
P3D_INLINE void OutputVector(const WinogradOutput<Value>& t, int64_t channel,
                             Mask mask) {
  const Ending<kWhole, kResidual, Value> end(t.epilogue, channel, mask);
  const int64_t s = t.step;
  for (int64_t tile = 0; tile < t.tiles; ++tile) {
    const float* const m = t.m + tile * t.pitch + channel;
    const int64_t* const places = t.y_places + 4 * tile;
    const Two j0 = OutputColumn(Load(m), Load(m + 4 * s), Load(m + 8 * s),
                                Load(m + 12 * s));
    const Two j1 = OutputColumn(Load(m + s), Load(m + 5 * s), Load(m + 9 * s),
                                Load(m + 13 * s));
    const Two j2 = OutputColumn(Load(m + 2 * s), Load(m + 6 * s),
                                Load(m + 10 * s), Load(m + 14 * s));
    const Two j3 = OutputColumn(Load(m + 3 * s), Load(m + 7 * s),
                                Load(m + 11 * s), Load(m + 15 * s));
    const Two row0 = OutputColumn(j0.a, j1.a, j2.a, j3.a);
    const Two row1 = OutputColumn(j0.b, j1.b, j2.b, j3.b);
    PutOutput(t, end, row0.a, places[0], channel);
    PutOutput(t, end, row0.b, places[1], channel);
    PutOutput(t, end, row1.a, places[2], channel);
    PutOutput(t, end, row1.b, places[3], channel);
  }
}

template <bool kResidual, typename Value>
void OutputPanel(const WinogradOutput<Value>& t) {
  int64_t c = 0;
  for (; c + kLanes <= t.width; c += kLanes) {
    OutputVector<true, kResidual>(t, c, Mask());
  }
  if (c < t.width) {
    OutputVector<false, kResidual>(t, c, FirstLanes(t.width - c));
  }
}

template <typename Value>
void TransformOutput(const WinogradOutput<Value>& t) {
  if (t.epilogue.residual) {
    OutputPanel<true>(t);
  } else {
    OutputPanel<false>(t);
  }
}
