// Winograd's transforms of floats: those of conv_winograd_tile-inl.hpp, and
// that of weights, which only floats have. To be included as that.

#include "kernels/conv/conv_ending-inl.hpp"
#include "kernels/conv/conv_winograd_gradient-inl.hpp"

const WinogradGradient<float> kGradient = {
    TransformWords<InputTiles<Four>, float>,
    TransformWords<OutputTiles<Two>, float>, TransformTaps};

// G times a column.
P3D_INLINE Four WeightColumn(Vector a, Vector b, Vector c) {
  const Vector half = Broadcast(.5f);
  const Vector outer = half * (a + c), inner = half * b;
  return {a, outer + inner, outer - inner, c};
}
// The same without the first and the last.
P3D_INLINE void StoreInner(const Four& row, int i, int64_t step, float* to) {
  to += 4 * i * step;
  Store(to + step, row.b);
  Store(to + 2 * step, row.c);
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
