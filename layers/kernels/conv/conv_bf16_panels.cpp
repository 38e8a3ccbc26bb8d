#include "kernels/conv/conv_bf16_panels.hpp"

#include <algorithm>

#include "kernels/conv/tap_copy-inl.hpp"

namespace p3d {

void PairRows(const Bf16Kernels& kernels, const float* from, int64_t rows,
              int64_t length, float* words) {
  const int64_t values = rows * length;
  const Scratch<Bf16> rounded(values + length);
  kernels.round(from, values, rounded.data());
  std::fill_n(rounded.data() + values, length, Bf16(0));
  for (int64_t r = 0; r < rows; r += 2, words += length) {
    const Bf16* const first = rounded.data() + r * length;
    JoinPairs(first, first + length, length, words);
  }
}

}  // namespace p3d
