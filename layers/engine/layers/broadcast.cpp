#include "engine/layers/broadcast.hpp"

#include "kernels/error.hpp"

namespace p3d {

template <typename Dtype>
Shape CoefficientShape(const Blob<Dtype>& bottom, int64_t axis,
                       int64_t num_axes) {
  const Shape& shape = bottom.shape();
  const int begin = bottom.CanonicalAxis(axis);
  Check(num_axes >= -1, "num_axes is ", num_axes,
        "; it has to be -1 (all that follow) or more");
  Check(begin + num_axes <= bottom.num_axes(), "num_axes ", num_axes,
        " from axis ", begin, " on are more than the bottom has; its shape is ",
        ShapeString(shape));
  const int end =
      num_axes < 0 ? bottom.num_axes() : begin + static_cast<int>(num_axes);
  return Shape(shape.begin() + begin, shape.begin() + end);
}

template <typename Dtype>
void CheckCoefficients(const Blob<Dtype>& bottom, int64_t axis,
                       const Blob<Dtype>& coefficients) {
  if (coefficients.num_axes() == 0) return;
  const int begin = bottom.CanonicalAxis(axis);
  bool fits = begin + coefficients.num_axes() <= bottom.num_axes();
  for (int i = 0; fits && i < coefficients.num_axes(); ++i) {
    fits = bottom.shape()[begin + i] == coefficients.shape()[i];
  }
  Check(fits, "coefficients of the shape ", ShapeString(coefficients.shape()),
        " do not match the axes from ", begin, " on of the bottom, ",
        ShapeString(bottom.shape()));
}

template <typename Dtype>
bool IsPerChannel(const Blob<Dtype>& bottom, int64_t axis,
                  const Blob<Dtype>& coefficients) {
  return coefficients.num_axes() == 1 && bottom.num_axes() >= 2 &&
         bottom.CanonicalAxis(axis) == 1;
}

template <typename Dtype>
Placement Place(const Blob<Dtype>& bottom, int64_t axis,
                const Blob<Dtype>& coefficients, Order held) {
  if (coefficients.num_axes() == 0) {
    return {{1, 1, bottom.count()}, held};
  }
  if (IsPerChannel(bottom, axis, coefficients)) {
    return {Broadcast::Channels(bottom.geometry(), held), held};
  }
  const int begin = bottom.CanonicalAxis(axis);
  return {{bottom.count(0, begin), coefficients.count(),
           bottom.count(begin + coefficients.num_axes())},
          Order::kCaffe};
}

template <typename Dtype>
Dtype* ZeroDiff(Blob<Dtype>* blob, Side side) {
  blob->diff_storage().SetSource(nullptr);
  return blob->mutable_diff(Order::kCaffe, side);
}

#define P3D_INSTANTIATE(Dtype)                                                 \
  template Shape CoefficientShape(const Blob<Dtype>&, int64_t, int64_t);       \
  template void CheckCoefficients(const Blob<Dtype>&, int64_t,                 \
                                  const Blob<Dtype>&);                         \
  template bool IsPerChannel(const Blob<Dtype>&, int64_t, const Blob<Dtype>&); \
  template Placement Place(const Blob<Dtype>&, int64_t, const Blob<Dtype>&,    \
                           Order);                                             \
  template Dtype* ZeroDiff(Blob<Dtype>*, Side)
P3D_INSTANTIATE(float);
P3D_INSTANTIATE(double);
#undef P3D_INSTANTIATE

}  // namespace p3d
