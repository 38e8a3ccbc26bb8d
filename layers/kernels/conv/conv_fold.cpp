#include "kernels/conv/conv_fold.hpp"

namespace p3d {
namespace {

bool Pointwise(const ConvAxis& axis) {
  return axis.kernel == 1 && axis.pad_begin == 0 && axis.pad_end == 0;
}

// The outputs of the inner axis are then equally far apart across its rows.
bool Joins(const ConvAxis& outer, const ConvAxis& inner) {
  return Pointwise(outer) && Pointwise(inner) && outer.stride == 1 &&
         inner.in % inner.stride == 0;
}

}  // namespace

ConvShape FoldAxes(ConvShape shape) {
  std::vector<ConvAxis>& axes = shape.axes;
  for (size_t i = axes.size(); i-- > 1 && axes.size() > 2;) {
    if (!Joins(axes[i - 1], axes[i])) continue;
    axes[i].in *= axes[i - 1].in;
    axes.erase(axes.begin() + static_cast<int64_t>(i) - 1);
  }
  return shape;
}

}  // namespace p3d
