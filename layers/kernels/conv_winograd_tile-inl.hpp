// The transforms of conv_winograd.hpp, written once for all instruction sets. A
// source file of one set includes this inside its target region and an unnamed
// namespace, behind its lanes_<set>-inl.hpp. There is no include guard: each of
// those files has its own copy.

#define P3D_INLINE inline __attribute__((always_inline))

struct Four {
  Vector a, b, c, d;
};
struct Two {
  Vector a, b;
};

// B^T, G and A^T times a column.
P3D_INLINE Four InputColumn(Vector a, Vector b, Vector c, Vector d) {
  return {a - c, b + c, c - b, b - d};
}
P3D_INLINE Four WeightColumn(Vector a, Vector b, Vector c) {
  const Vector half = Broadcast(.5f);
  const Vector outer = half * (a + c), inner = half * b;
  return {a, outer + inner, outer - inner, c};
}
P3D_INLINE Two OutputColumn(Vector a, Vector b, Vector c, Vector d) {
  return {a + b + c, b - c - d};
}

// Row `i` of the positions.
P3D_INLINE void StoreRow(const Four& row, int i, int64_t step, float* to) {
  to += 4 * i * step;
  Store(to, row.a);
  Store(to + step, row.b);
  Store(to + 2 * step, row.c);
  Store(to + 3 * step, row.d);
}

// The same without the first and the last.
P3D_INLINE void StoreInner(const Four& row, int i, int64_t step, float* to) {
  to += 4 * i * step;
  Store(to + step, row.b);
  Store(to + 2 * step, row.c);
}

// Channels from c on, all of a vector or those of `mask`.
template <bool kWhole>
P3D_INLINE Vector LoadPixel(const WinogradInput& t, int i, int64_t c,
                            Mask mask) {
  const float* const from = t.pixels[i] + c;
  return kWhole ? Load(from) : LoadLanes(from, mask);
}

template <bool kWhole>
P3D_INLINE Four InputPixels(const WinogradInput& t, int column, int64_t c,
                            Mask mask) {
  return InputColumn(LoadPixel<kWhole>(t, column, c, mask),
                     LoadPixel<kWhole>(t, column + 4, c, mask),
                     LoadPixel<kWhole>(t, column + 8, c, mask),
                     LoadPixel<kWhole>(t, column + 12, c, mask));
}

template <bool kWhole>
P3D_INLINE void InputVector(const WinogradInput& t, int64_t c, Mask mask) {
  const Four j0 = InputPixels<kWhole>(t, 0, c, mask);
  const Four j1 = InputPixels<kWhole>(t, 1, c, mask);
  const Four j2 = InputPixels<kWhole>(t, 2, c, mask);
  const Four j3 = InputPixels<kWhole>(t, 3, c, mask);
  StoreRow(InputColumn(j0.a, j1.a, j2.a, j3.a), 0, t.step, t.v + c);
  StoreRow(InputColumn(j0.b, j1.b, j2.b, j3.b), 1, t.step, t.v + c);
  StoreRow(InputColumn(j0.c, j1.c, j2.c, j3.c), 2, t.step, t.v + c);
  StoreRow(InputColumn(j0.d, j1.d, j2.d, j3.d), 3, t.step, t.v + c);
}

void TransformInput(const WinogradInput& t) {
  int64_t c = 0;
  for (; c + kLanes <= t.channels; c += kLanes) {
    InputVector<true>(t, c, Mask());
  }
  if (c < t.channels) InputVector<false>(t, c, FirstLanes(t.channels - c));
}

void TransformWeights(const WinogradWeights& t) {
  for (int64_t i = 0; i < t.count; i += kLanes) {
    const float* const row0 = t.taps + i;
    const float* const row1 = row0 + 3 * t.tap_step;
    const float* const row2 = row1 + 3 * t.tap_step;
    const int64_t next = t.tap_step, last = 2 * t.tap_step;
    const Four j0 = WeightColumn(Load(row0), Load(row1), Load(row2));
    const Four j1 =
        WeightColumn(Load(row0 + next), Load(row1 + next), Load(row2 + next));
    const Four j2 =
        WeightColumn(Load(row0 + last), Load(row1 + last), Load(row2 + last));
    StoreInner(WeightColumn(j0.a, j1.a, j2.a), 0, t.step, t.u + i);
    StoreRow(WeightColumn(j0.b, j1.b, j2.b), 1, t.step, t.u + i);
    StoreRow(WeightColumn(j0.c, j1.c, j2.c), 2, t.step, t.u + i);
    StoreInner(WeightColumn(j0.d, j1.d, j2.d), 3, t.step, t.u + i);
  }
}

// What max(floor, v) makes of v.
P3D_INLINE Vector Floor(bool relu) {
  return Broadcast(relu ? 0.f : -__builtin_inff());
}

// The epilogue for a vector of channels. Absent steps are replaced by ones that
// change nothing.
template <bool kWhole, bool kResidual>
struct Ending {
  P3D_INLINE Ending(const WinogradOutput& t, int64_t channel, Mask lanes)
      : mask(lanes),
        scale(t.epilogue.scale ? Get(t.epilogue.scale + channel)
                               : Broadcast(1.f)),
        shift(t.epilogue.shift ? Get(t.epilogue.shift + channel)
                               : Broadcast(0.f)),
        floor(Floor(t.epilogue.inner_relu ||
                    (!kResidual && t.epilogue.outer_relu))),
        outer_floor(Floor(t.epilogue.outer_relu)),
        alpha(Broadcast(t.epilogue.alpha)),
        beta(Broadcast(t.epilogue.beta)),
        residual(kResidual ? t.epilogue.residual + channel : nullptr),
        y(t.y + channel) {}
  P3D_INLINE Vector Get(const float* from) const {
    return kWhole ? Load(from) : LoadLanes(from, mask);
  }
  P3D_INLINE void Put(Vector sum, int64_t place) const {
    if (place < 0) return;
    Vector value = Max(floor, MultiplyAdd(sum, scale, shift));
    if (kResidual) {
      value = MultiplyAdd(alpha, value, beta * Get(residual + place));
      value = Max(outer_floor, value);
    }
    if (kWhole) {
      Store(y + place, value);
    } else {
      StoreLanes(y + place, mask, value);
    }
  }
  const Mask mask;
  const Vector scale, shift, floor, outer_floor, alpha, beta;
  const float* const residual;
  float* const y;
};

template <bool kWhole, bool kResidual>
P3D_INLINE void OutputVector(const WinogradOutput& t, int64_t channel,
                             Mask mask) {
  const Ending<kWhole, kResidual> end(t, channel, mask);
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
    end.Put(row0.a, places[0]);
    end.Put(row0.b, places[1]);
    end.Put(row1.a, places[2]);
    end.Put(row1.b, places[3]);
  }
}

template <bool kResidual>
void OutputPanel(const WinogradOutput& t) {
  int64_t c = 0;
  for (; c + kLanes <= t.width; c += kLanes) {
    OutputVector<true, kResidual>(t, c, Mask());
  }
  if (c < t.width) {
    OutputVector<false, kResidual>(t, c, FirstLanes(t.width - c));
  }
}

void TransformOutput(const WinogradOutput& t) {
  if (t.epilogue.residual) {
    OutputPanel<true>(t);
  } else {
    OutputPanel<false>(t);
  }
}
