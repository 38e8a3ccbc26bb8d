#include "engine/blob.hpp"

#include <algorithm>
#include <iomanip>
#include <limits>
#include <sstream>

#include "kernels/error.hpp"

namespace p3d {

std::string ShapeString(const Shape& shape) {
  std::ostringstream out;
  double count = 1;  // a shape from a hostile file may overflow an integer
  for (int64_t dim : shape) {
    out << dim << " ";
    count *= static_cast<double>(dim);
  }
  out << std::setprecision(15) << "(" << count << ")";
  return out.str();
}

template <typename Dtype>
Blob<Dtype>::Blob()
    : data_(std::make_shared<Storage<Dtype>>()),
      diff_(std::make_shared<Storage<Dtype>>()) {}

template <typename Dtype>
Blob<Dtype>::Blob(const Shape& shape) : Blob() {
  Reshape(shape);
}

template <typename Dtype>
void Blob<Dtype>::Reshape(const Shape& shape) {
  constexpr int64_t kMost = std::numeric_limits<int32_t>::max();
  constexpr size_t kMostAxes = 32;
  Check(shape.size() <= kMostAxes, "a blob has at most ", kMostAxes,
        " axes, not ", shape.size());
  int64_t count = 1;
  int64_t bound = 1;  // without the empty axes: no part of a shape overflows
  for (int64_t dim : shape) {
    Check(dim >= 0, "a blob cannot have the shape ", ShapeString(shape));
    Check(dim <= kMost && (dim == 0 || bound <= kMost / dim),
          "a blob holds at most 2^31 - 1 values, the shape asks for more: use "
          "a smaller batch or input");
    count *= dim;
    if (dim != 0) bound *= dim;
  }
  Check(fixed_.empty() || shape == shape_, fixed_, " keeps its shape ",
        ShapeString(shape_),
        ", which it was made for: it cannot get the shape ",
        ShapeString(shape));
  shape_ = shape;
  count_ = count;
  data_->Resize(count);
  diff_->Resize(count);
}

template <typename Dtype>
int Blob<Dtype>::CanonicalAxis(int64_t axis) const {
  Check(axis >= -num_axes() && axis < num_axes(), "axis ", axis,
        " is out of range for a blob of ", num_axes(), " axes, shape ",
        ShapeString(shape_));
  return static_cast<int>(axis < 0 ? axis + num_axes() : axis);
}

template <typename Dtype>
int64_t Blob<Dtype>::count(int begin, int end) const {
  Check(begin >= 0 && begin <= end && end <= num_axes(), "axes ", begin, " to ",
        end, " are out of range for the shape ", ShapeString(shape_));
  int64_t product = 1;
  for (int i = begin; i < end; ++i) product *= shape_[i];
  return product;
}

template <typename Dtype>
Geometry Blob<Dtype>::geometry() const {
  Geometry geometry;
  if (num_axes() > 0) geometry.num = shape_[0];
  if (num_axes() > 1) geometry.channels = shape_[1];
  if (num_axes() > 2) geometry.pixels = count(2);
  return geometry;
}

template <typename Dtype>
void Blob<Dtype>::FailShared(int64_t count) const {
  Fail("the blob's shape is ", ShapeString(shape_),
       ", and one that shares its ", "values was reshaped to ", count,
       ": call reshape() of the net, or ", "forward(), first");
}

template <typename Dtype>
void Blob<Dtype>::ShareData(const Blob& other) {
  Check(count_ == other.count_, "cannot share ", ShapeString(other.shape_),
        " as ", ShapeString(shape_));
  data_ = other.data_;
}

template <typename Dtype>
void Blob<Dtype>::ShareDiff(const Blob& other) {
  Check(count_ == other.count_, "cannot share ", ShapeString(other.shape_),
        " as ", ShapeString(shape_));
  diff_ = other.diff_;
}

template class Blob<float>;
template class Blob<double>;

}  // namespace p3d
