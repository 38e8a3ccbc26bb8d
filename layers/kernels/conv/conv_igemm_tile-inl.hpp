// The micro-kernel of conv_igemm.hpp, written once for all instruction sets and
// kinds of values. A source file of one set includes this inside its target
// region and an unnamed namespace, behind its lanes_<set>-inl.hpp,
// conv_ending-inl.hpp and what it says of its values:
//
//   Load, LoadLanes, Store, StoreLanes    from and to them
//   Words                                 kLanes words of 32 bits (IgemmTileOf)
//   LoadWords(p), BroadcastWord(p)        from const float*
//   MultiplyAdd(a, b, c)                  c plus the products of words a and b
//
// There is no include guard: each of those files has its own copy.

// Compilers keep arrays in registers where every index is a constant, so rows
// and vectors are counted by these instead of by loops.
#define P3D_EACH_ROW(X) \
  X(0) X(1) X(2) X(3) X(4) X(5) X(6) X(7) X(8) X(9) X(10) X(11)
#define P3D_EACH_VECTOR(X, r) X(r, 0) X(r, 1) X(r, 2) X(r, 3)
// Row and vector number, wrapped where they do not exist and are not used.
#define P3D_SUM(r, v) sum[r % kRows][v % kVectors]

// Sums are zero; the lines that the results go to are on their way.
template <int kRows, int kVectors, typename Value>
P3D_INLINE void Begin(const IgemmTileOf<Value>& t,
                      Vector (&sum)[kRows][kVectors]) {
#define P3D_BEGIN(r, v)                                              \
  if (r < kRows && v < kVectors) {                                   \
    P3D_SUM(r, v) = Zero();                                          \
    const int64_t place = t.y_places[r % kRows] + v * kLanes;        \
    FetchToWrite(t.y + place);                                       \
    if (t.epilogue.residual) FetchNear(t.epilogue.residual + place); \
  }
#define P3D_BEGIN_ROW(r) P3D_EACH_VECTOR(P3D_BEGIN, r)
  P3D_EACH_ROW(P3D_BEGIN_ROW)
}

#define P3D_START_ROW(r) const float* const x##r = t.x + t.x_places[r % kRows];
#define P3D_LOAD_WEIGHTS(r, v) \
  if (v < kVectors) b[v % kVectors] = LoadWords(w + v * kLanes);

#define P3D_MULTIPLY(r, v) \
  if (v < kVectors)        \
    P3D_SUM(r, v) = MultiplyAdd(a, b[v % kVectors], P3D_SUM(r, v));
#define P3D_MULTIPLY_ROW(r)                  \
  if (r < kRows) {                           \
    const Words a = BroadcastWord(x##r + i); \
    P3D_EACH_VECTOR(P3D_MULTIPLY, r)         \
  }
// One value of each row times a row of weights.
#define P3D_STEP                         \
  {                                      \
    Words b[kVectors];                   \
    P3D_EACH_VECTOR(P3D_LOAD_WEIGHTS, 0) \
    P3D_EACH_ROW(P3D_MULTIPLY_ROW)       \
    w += kVectors * kLanes;              \
    ++i;                                 \
  }
#define P3D_FETCH_NEXT(r) \
  if (r < kRows) FetchNear(t.x + t.next_places[r % kRows] + i);

// Every input value times a row of weights. Steps between prefetches are
// written out: a loop that ends so soon would end unforeseen.
template <int kRows, int kVectors, typename Value>
P3D_INLINE void MultiplyRuns(const IgemmTileOf<Value>& t,
                             Vector (&sum)[kRows][kVectors]) {
  static_assert(kIgemmPrefetchSteps == 8, "as many are written out");
  P3D_EACH_ROW(P3D_START_ROW)
  const char* ahead = reinterpret_cast<const char*>(t.prefetch);
  for (const TapRun *run = t.runs, *last = run + t.num_runs; run != last;
       ++run) {
    const float* w = t.weights + run->row * (kVectors * kLanes);
    int64_t i = run->x;
    const int64_t end = i + run->length;
    while (i + kIgemmPrefetchSteps <= end) {
      for (int64_t line = 0; line < t.prefetch_lines; ++line, ahead += 64) {
        FetchFar(ahead);
      }
      if (t.next_places) {
        P3D_EACH_ROW(P3D_FETCH_NEXT)
      }
      P3D_STEP P3D_STEP P3D_STEP P3D_STEP P3D_STEP P3D_STEP P3D_STEP P3D_STEP
    }
    while (i < end) P3D_STEP
  }
}

// The epilogue for one vector of output channels, in all rows.
template <bool kWhole, bool kResidual, int kVector, int kRows, int kVectors,
          typename Value>
P3D_INLINE void EndVector(const IgemmTileOf<Value>& t, Mask mask,
                          Vector (&sum)[kRows][kVectors]) {
  const int64_t channel = kVector * kLanes;
  const Ending<kWhole, kResidual, Value> end(t.epilogue, channel, mask);
  const Value* const residual = t.epilogue.residual;
  // All addresses first: the compiler has to assume that a store changes them.
#define P3D_LOCATE(r)                                        \
  Value* const y##r = t.y + t.y_places[r % kRows] + channel; \
  const Value* const other##r =                              \
      kResidual ? residual + t.y_places[r % kRows] + channel : y##r;
  P3D_EACH_ROW(P3D_LOCATE)
#define P3D_END_ROW(r) \
  if (r < kRows) end.Put(P3D_SUM(r, kVector), other##r, y##r);
  P3D_EACH_ROW(P3D_END_ROW)
}

template <bool kResidual, int kRows, int kVectors, typename Value>
P3D_INLINE void EndTile(const IgemmTileOf<Value>& t,
                        Vector (&sum)[kRows][kVectors]) {
  const int64_t lanes = t.width - (kVectors - 1) * kLanes;
  const Mask mask = FirstLanes(lanes);
#define P3D_END(r, v)                               \
  if (v < kVectors) {                               \
    if (v + 1 < kVectors || lanes == kLanes)        \
      EndVector<true, kResidual, v>(t, mask, sum);  \
    else                                            \
      EndVector<false, kResidual, v>(t, mask, sum); \
  }
  P3D_EACH_VECTOR(P3D_END, 0)
}

template <int kRows, int kVectors, typename Value>
P3D_INLINE void End(const IgemmTileOf<Value>& t,
                    Vector (&sum)[kRows][kVectors]) {
  if (t.epilogue.residual) {
    EndTile<true>(t, sum);
  } else {
    EndTile<false>(t, sum);
  }
}

template <int kRows, int kVectors, typename Value>
P3D_INLINE void RunTile(const IgemmTileOf<Value>& t) {
  Vector sum[kRows][kVectors];
  Begin(t, sum);
  MultiplyRuns(t, sum);
  End(t, sum);
}

// Sums of outer products (see IgemmTileFunctionOf).
template <int kRows, int kVectors>
P3D_INLINE void MultiplyOuter(const IgemmTile& t,
                              Vector (&sum)[kRows][kVectors]) {
  const float* x = t.x + t.x_places[0];
  const float* w = t.weights;
  const TapRun run = *t.runs;
  for (int64_t i = 0; i < run.length; ++i) {
    Words b[kVectors];
#define P3D_MULTIPLY_OUTER(r)                     \
  if (r < kRows) {                                \
    const Words a = BroadcastWord(x + r % kRows); \
    P3D_EACH_VECTOR(P3D_MULTIPLY, r)              \
  }
    P3D_EACH_VECTOR(P3D_LOAD_WEIGHTS, 0)
    P3D_EACH_ROW(P3D_MULTIPLY_OUTER)
    x += run.x;
    w += run.row;
  }
}

template <int kRows, int kVectors>
void OuterTile(const IgemmTile& t) {
  Vector sum[kRows][kVectors];
  Begin(t, sum);
  MultiplyOuter(t, sum);
  End(t, sum);
}

// Parts of tables of micro-kernels.
#define P3D_TILES_2(tile, r) tile<r, 1>, tile<r, 2>
#define P3D_TILES_4(tile, r) P3D_TILES_2(tile, r), tile<r, 3>, tile<r, 4>
#define P3D_TILES_TO_4(tiles, tile) \
  tiles(tile, 1), tiles(tile, 2), tiles(tile, 3), tiles(tile, 4)
#define P3D_TILES_TO_6(tiles, tile) \
  P3D_TILES_TO_4(tiles, tile), tiles(tile, 5), tiles(tile, 6)
#define P3D_TILES_TO_12(tiles, tile)                                           \
  P3D_TILES_TO_6(tiles, tile), tiles(tile, 7), tiles(tile, 8), tiles(tile, 9), \
      tiles(tile, 10), tiles(tile, 11), tiles(tile, 12)
