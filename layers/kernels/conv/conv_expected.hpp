#ifndef P3D_KERNELS_CONV_EXPECTED_HPP_
#define P3D_KERNELS_CONV_EXPECTED_HPP_

#include <vector>

#include "kernels/conv/conv_library.hpp"

namespace p3d {
namespace cuda {

// What our own kernel made of a form, with which others' results are compared:
// all of it, or its beginning, middle and end, for there may be a thousand
// million values.
class ConvExpected {
 public:
  // Copies `result` from the GPU.
  ConvExpected(const ConvForm& form, const void* result);

  // Whether it tells right from wrong: zeros, and what has overflown, do not.
  bool Tells() const;
  // How far off that result on the GPU is at most, over the largest value that
  // is expected; infinite where it is no number.
  double Error(const void* result) const;
  // How far off it may be: two roundings of the largest value, and what a sum
  // in another order may add.
  double Tolerance() const;

 private:
  const ConvForm form_;
  const std::vector<float> values_;
  const float largest_;
};

}  // namespace cuda
}  // namespace p3d

#endif  // P3D_KERNELS_CONV_EXPECTED_HPP_
