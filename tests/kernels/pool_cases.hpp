#ifndef P3D_TESTS_KERNELS_POOL_CASES_HPP_
#define P3D_TESTS_KERNELS_POOL_CASES_HPP_

// How a pooling is written in tests: num channels ceil|floor axis..., an axis
// being in,kernel,stride,pad.

#include <algorithm>
#include <sstream>
#include <string>

#include "kernels/pool.hpp"

namespace testing {

inline p3d::PoolShape Parse(const std::string& text,
                            p3d::PoolRounding* rounding) {
  std::istringstream in(text);
  p3d::PoolShape shape;
  std::string word;
  in >> shape.num >> shape.channels >> word;
  *rounding =
      word == "ceil" ? p3d::PoolRounding::kCeil : p3d::PoolRounding::kFloor;
  while (in >> word) {
    p3d::PoolAxis axis;
    std::replace(word.begin(), word.end(), ',', ' ');
    std::istringstream(word) >> axis.in >> axis.kernel >> axis.stride >>
        axis.pad;
    shape.axes.push_back(axis);
  }
  return shape;
}

}  // namespace testing

#endif  // P3D_TESTS_KERNELS_POOL_CASES_HPP_
