#include <cmath>

#include "kernels/tvl1_rows.hpp"

#if defined(__x86_64__)

#include "kernels/cpu/lanes_avx2-inl.hpp"

namespace p3d {
namespace {

#include "kernels/tvl1_rows-inl.hpp"

const Tvl1Rows kRows = {Pull, Flow, Dual};

}  // namespace
}  // namespace p3d

#include "kernels/cpu/lanes_end-inl.hpp"

#endif  // __x86_64__

namespace p3d {

const Tvl1Rows* Tvl1RowsAvx2() {
#if defined(__x86_64__)
  return &kRows;
#else
  return nullptr;
#endif
}

}  // namespace p3d
