#include "kernels/conv/conv_flat.hpp"

namespace p3d {

bool Still(const ConvAxis& axis) {
  return axis.kernel == 1 && axis.stride == 1 && axis.pad_begin == 0 &&
         axis.pad_end == 0;
}

ConvShape Flattened(const ConvShape& shape) {
  ConvShape flat = shape;
  std::vector<ConvAxis>& axes = flat.axes;
  if (axes.size() == 1) axes.insert(axes.begin(), ConvAxis());
  if (axes.size() > 2 && Still(axes[0])) {
    flat.num *= axes[0].in;
    axes.erase(axes.begin());
  }
  if (axes.size() > 2 && Still(axes[1]) && Still(axes[2])) {
    axes[1].in *= axes[2].in;
    axes.pop_back();
  }
  return flat;
}

}  // namespace p3d
