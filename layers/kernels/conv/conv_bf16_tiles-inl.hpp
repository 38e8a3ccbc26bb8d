// The micro-kernels of bfloat16: those of conv_igemm_tile-inl.hpp and
// conv_winograd_tile-inl.hpp. To be included as the former, with
//
//   StoreWords(p, a, b)    to float*: pairs of what is rounded of a and b

#include "kernels/conv/conv_ending-inl.hpp"
#include "kernels/conv/conv_igemm_tile-inl.hpp"

void RoundValues(const float* from, int64_t count, Bf16* to) {
  int64_t i = 0;
  for (; i + kLanes <= count; i += kLanes) Store(to + i, Load(from + i));
  if (i == count) return;
  const Mask rest = FirstLanes(count - i);
  StoreLanes(to + i, rest, LoadLanes(from + i, rest));
}

template <int kRows, int kVectors>
void Tile(const IgemmTileOf<Bf16>& t) {
  RunTile<kRows, kVectors>(t);
}
// The same without rounding.
template <int kRows, int kVectors>
void SumsTile(const IgemmTile& t) {
  RunTile<kRows, kVectors>(t);
}

#include "kernels/conv/conv_winograd_gradient-inl.hpp"

// Of two tiles, whose values lie side by side in words.
template <typename Row>
struct Both {
  Row first, second;
};

template <typename Row>
P3D_INLINE Both<Row> operator+(const Both<Row>& x, const Both<Row>& y) {
  return {x.first + y.first, x.second + y.second};
}
template <typename Row>
P3D_INLINE Both<Row> operator-(const Both<Row>& x, const Both<Row>& y) {
  return {x.first - y.first, x.second - y.second};
}

P3D_INLINE Both<Four> InputColumn(const Both<Four>& d) {
  return {InputColumn(d.first), InputColumn(d.second)};
}
P3D_INLINE Both<Four> GradientColumn(const Both<Two>& y) {
  return {GradientColumn(y.first), GradientColumn(y.second)};
}

template <bool kWhole, typename Row>
P3D_INLINE void LoadRow(const Bf16* const* pixels, int64_t c, Mask mask,
                        Both<Row>* rows) {
  LoadRow<kWhole>(pixels, c, mask, &rows->first);
  pixels += Row::kWidth * Row::kWidth;
  LoadRow<kWhole>(pixels, c, mask, &rows->second);
}

P3D_INLINE void StoreRow(const Both<Four>& rows, int i, int64_t step,
                         float* to) {
  to += 4 * i * step;
  StoreWords(to, rows.first.a, rows.second.a);
  StoreWords(to + step, rows.first.b, rows.second.b);
  StoreWords(to + 2 * step, rows.first.c, rows.second.c);
  StoreWords(to + 3 * step, rows.first.d, rows.second.d);
}

const WinogradGradient<Bf16> kGradient = {
    TransformWords<InputTiles<Both<Four>>, Bf16>,
    TransformWords<OutputTiles<Both<Two>>, Bf16>, TransformTaps};
