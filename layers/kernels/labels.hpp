#ifndef P3D_KERNELS_LABELS_HPP_
#define P3D_KERNELS_LABELS_HPP_

#include <cmath>
#include <cstdint>

#include "kernels/cuda/host_device.hpp"
#include "kernels/error.hpp"

namespace p3d {

// Class numbers as Caffe keeps them: floating point values that are cut off to
// integers. One of them may stand for "do not count this".
template <typename Dtype>
struct Labels {
  const Dtype* values;
  int64_t classes;
  bool has_ignore = false;
  int64_t ignore = 0;

  static constexpr int64_t kIgnored = -1, kNoClass = -2;

  // Label i, or kIgnored where it is the one to ignore. Throws Error where it
  // is no class.
  int64_t at(int64_t i) const {
    const int64_t label = find(i);
    if (label == kNoClass) Refuse(i, values[i]);
    return label;
  }
  // The same, or kNoClass.
  P3D_HOST_DEVICE int64_t find(int64_t i) const {
    const Dtype value = std::trunc(values[i]);
    if (has_ignore && value == static_cast<Dtype>(ignore)) return kIgnored;
    const bool known = value >= 0 && value < static_cast<Dtype>(classes);
    return known ? static_cast<int64_t>(value) : kNoClass;
  }
  // The Error for a value at place i that is no class.
  [[noreturn]] void Refuse(int64_t i, double value) const {
    Fail("label ", value, " at place ", i, " is not one of the ", classes,
         " classes, counted from 0 (loss_param { ignore_label: ... } skips "
         "labels)");
  }
};

// Which of the rows of two arrays belong together: those whose value, cut off
// to an integer, is not 0.
template <typename Dtype>
struct PairLabels {
  const Dtype* values;

  // Whether pair r does. Throws Error where that cannot be told.
  bool at(int64_t r) const {
    if (!known(r)) Refuse(r, values[r]);
    return find(r);
  }
  P3D_HOST_DEVICE bool known(int64_t r) const { return values[r] == values[r]; }
  P3D_HOST_DEVICE bool find(int64_t r) const {
    return std::trunc(values[r]) != 0;
  }
  // The Error for a NaN.
  [[noreturn]] void Refuse(int64_t r, double) const {
    Fail("label ", r,
         " is NaN; give 1 for a similar pair, 0 for a dissimilar "
         "one");
  }
};

}  // namespace p3d

#endif  // P3D_KERNELS_LABELS_HPP_
