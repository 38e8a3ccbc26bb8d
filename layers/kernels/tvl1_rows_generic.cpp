#include "kernels/tvl1_rows.hpp"

#include <cmath>

#include "kernels/cpu/lanes_generic-inl.hpp"

namespace p3d {
namespace {

#include "kernels/tvl1_rows-inl.hpp"

const Tvl1Rows kRows = {Pull, Flow, Dual};

}  // namespace

const Tvl1Rows* Tvl1RowsGeneric() { return &kRows; }

}  // namespace p3d

#include "kernels/cpu/lanes_end-inl.hpp"
