#ifndef P3D_KERNELS_ACCURACY_HPP_
#define P3D_KERNELS_ACCURACY_HPP_

#include <cstdint>
#include <vector>

#include "kernels/axis_view.hpp"
#include "kernels/labels.hpp"

namespace p3d {

// Per class, how often it was the label and how often it was found.
struct Hits {
  std::vector<int64_t> all;
  std::vector<int64_t> found;
};

// A label counts as found where fewer than top_k other classes score as high as
// it or higher: a tie counts against it, and so does a NaN.
template <typename Dtype>
Hits CountHits(const AxisView& view, const Dtype* score,
               const Labels<Dtype>& labels, int64_t top_k);

}  // namespace p3d

#endif  // P3D_KERNELS_ACCURACY_HPP_
