#ifndef P3D_KERNELS_REDUCTION_FORMULAS_HPP_
#define P3D_KERNELS_REDUCTION_FORMULAS_HPP_

#include "kernels/cuda/host_device.hpp"
#include "kernels/reduction.hpp"

namespace p3d {

// What reduction.hpp sums for a value v, and its slope there.
template <Reduction kind>
struct ReductionOf {
  template <typename Real>
  P3D_HOST_DEVICE static Real Term(Real v) {
    return kind == Reduction::kSum      ? v
           : kind == Reduction::kAbsSum ? (v < 0 ? -v : v)
                                        : v * v;
  }
  template <typename Real>
  P3D_HOST_DEVICE static Real Slope(Real v) {
    return kind == Reduction::kSum      ? Real(1)
           : kind == Reduction::kAbsSum ? static_cast<Real>((v > 0) - (v < 0))
                                        : 2 * v;
  }
};

// body(ReductionOf<reduction>())
template <typename Body>
void WithReduction(Reduction reduction, const Body& body) {
  switch (reduction) {
    case Reduction::kSum:
      return body(ReductionOf<Reduction::kSum>());
    case Reduction::kAbsSum:
      return body(ReductionOf<Reduction::kAbsSum>());
    case Reduction::kSquareSum:
      return body(ReductionOf<Reduction::kSquareSum>());
  }
}

}  // namespace p3d

#endif  // P3D_KERNELS_REDUCTION_FORMULAS_HPP_
