// The micro-kernels of bfloat16: those of conv_igemm_tile-inl.hpp and
// conv_winograd_tile-inl.hpp. To be included as the former.

#include "kernels/conv_ending-inl.hpp"
#include "kernels/conv_igemm_tile-inl.hpp"

template <int kRows, int kVectors>
void Tile(const IgemmTileOf<Bf16>& t) {
  RunTile<kRows, kVectors>(t);
}
// The same without rounding.
template <int kRows, int kVectors>
void SumsTile(const IgemmTile& t) {
  RunTile<kRows, kVectors>(t);
}

#include "kernels/conv_winograd_tile-inl.hpp"
