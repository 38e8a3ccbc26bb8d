#ifndef P3D_KERNELS_LABELS_HPP_
#define P3D_KERNELS_LABELS_HPP_

#include <cmath>
#include <cstdint>

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

  // Label i, or -1 where it is the one to ignore. Throws Error where it is no
  // class.
  int64_t at(int64_t i) const {
    const Dtype value = std::trunc(values[i]);
    if (has_ignore && value == static_cast<Dtype>(ignore)) return -1;
    Check(value >= 0 && value < classes, "label ", values[i], " at place ", i,
          " is not one of the ", classes,
          " classes, counted from 0 (loss_param { ignore_label: ... } skips "
          "labels)");
    return static_cast<int64_t>(value);
  }
};

}  // namespace p3d

#endif  // P3D_KERNELS_LABELS_HPP_
