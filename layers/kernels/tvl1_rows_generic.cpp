#include "kernels/tvl1_rows.hpp"

#include <cmath>

#include "kernels/cpu/lanes_generic-inl.hpp"

namespace p3d {
namespace {

inline Vector Min(Vector a, Vector b) { return a < b ? a : b; }
inline Vector SquareRoot(Vector v) {
  return Vector{std::sqrt(v[0]), std::sqrt(v[1]), std::sqrt(v[2]),
                std::sqrt(v[3])};
}
inline Vector Before(Vector w, Vector v) {
  return Vector{w[3], v[0], v[1], v[2]};
}
inline Vector Behind(Vector v, Vector w) {
  return Vector{v[1], v[2], v[3], w[0]};
}

#include "kernels/tvl1_rows-inl.hpp"

}  // namespace

const Tvl1Rows* Tvl1RowsGeneric() { return &kRows; }

}  // namespace p3d

#include "kernels/cpu/lanes_end-inl.hpp"
