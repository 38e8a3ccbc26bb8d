// The transforms of conv_winograd.hpp, written once for all instruction sets
// and kinds of values. A source file of one set includes this inside its target
// region and an unnamed namespace, behind its lanes_<set>-inl.hpp and
// conv_ending-inl.hpp. There is no include guard: each of those files has its
// own copy.

struct Four {
  Vector a, b, c, d;
};
struct Two {
  Vector a, b;
};

// B^T and A^T times a column.
P3D_INLINE Four InputColumn(Vector a, Vector b, Vector c, Vector d) {
  return {a - c, b + c, c - b, b - d};
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

// Channels from c on, all of a vector or those of `mask`.
template <bool kWhole, typename Value>
P3D_INLINE Four InputPixels(const WinogradInput<Value>& t, int column,
                            int64_t c, Mask mask) {
  return InputColumn(LoadSome<kWhole>(t.pixels[column] + c, mask),
                     LoadSome<kWhole>(t.pixels[column + 4] + c, mask),
                     LoadSome<kWhole>(t.pixels[column + 8] + c, mask),
                     LoadSome<kWhole>(t.pixels[column + 12] + c, mask));
}

template <bool kWhole, typename Value>
P3D_INLINE void InputVector(const WinogradInput<Value>& t, int64_t c,
                            Mask mask) {
  const Four j0 = InputPixels<kWhole>(t, 0, c, mask);
  const Four j1 = InputPixels<kWhole>(t, 1, c, mask);
  const Four j2 = InputPixels<kWhole>(t, 2, c, mask);
  const Four j3 = InputPixels<kWhole>(t, 3, c, mask);
  StoreRow(InputColumn(j0.a, j1.a, j2.a, j3.a), 0, t.step, t.v + c);
  StoreRow(InputColumn(j0.b, j1.b, j2.b, j3.b), 1, t.step, t.v + c);
  StoreRow(InputColumn(j0.c, j1.c, j2.c, j3.c), 2, t.step, t.v + c);
  StoreRow(InputColumn(j0.d, j1.d, j2.d, j3.d), 3, t.step, t.v + c);
}

template <typename Value>
void TransformInput(const WinogradInput<Value>& t) {
  int64_t c = 0;
  for (; c + kLanes <= t.channels; c += kLanes) {
    InputVector<true>(t, c, Mask());
  }
  if (c < t.channels) InputVector<false>(t, c, FirstLanes(t.channels - c));
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
