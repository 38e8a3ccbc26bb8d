#ifndef P3D_ENGINE_BLOB_HPP_
#define P3D_ENGINE_BLOB_HPP_

#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "engine/storage.hpp"
#include "kernels/axis_view.hpp"
#include "kernels/order.hpp"

namespace p3d {

using Shape = std::vector<int64_t>;

// "2 3 16 160 160 (2457600)", as Caffe writes shapes.
std::string ShapeString(const Shape& shape);

// Values and gradients of one shape, (N, C, L, H, W) or any other.
template <typename Dtype>
class Blob : public std::enable_shared_from_this<Blob<Dtype>> {
 public:
  Blob();
  explicit Blob(const Shape& shape);

  // Throws Error for a negative size and beyond 2^31 - 1 values, as Caffe does,
  // and for another shape than that of a parameter.
  void Reshape(const Shape& shape);
  void ReshapeLike(const Blob& other) { Reshape(other.shape()); }

  // What reads it relies on its shape from now on; `what` names it in errors.
  void FixShape(std::string what) { fixed_ = std::move(what); }
  // That name, "" where there is none.
  const std::string& fixed() const { return fixed_; }

  const Shape& shape() const { return shape_; }
  // Axis -1 is the last one.
  int64_t shape(int axis) const { return shape_[CanonicalAxis(axis)]; }
  int num_axes() const { return static_cast<int>(shape_.size()); }
  int64_t count() const { return count_; }
  // The product of the axes [begin, end), 1 where there are none.
  int64_t count(int begin, int end) const;
  int64_t count(int begin) const { return count(begin, num_axes()); }
  // An axis counted from the front; throws Error where there is no such axis.
  int CanonicalAxis(int64_t axis) const;
  // The values in Caffe's order around one axis, counted from the front.
  AxisView around(int axis) const {
    return {count(0, axis), shape(axis), count(axis + 1)};
  }
  // num = axis 0, channels = axis 1, pixels = the rest.
  Geometry geometry() const;
  // The order in which the values lie right now, for layers that can do both.
  Order order(Side side = Side::kHost) const {
    return data_->held_order(geometry(), side);
  }
  Order diff_order(Side side = Side::kHost) const {
    return diff_->held_order(geometry(), side);
  }

  // Values in `order` on `side`: to read, to change, to overwrite (see
  // Storage). On the GPU these are addresses for kernels. Throws Error where a
  // blob that shares them got a shape of fewer.
  const Dtype* data(Order order = Order::kCaffe,
                    Side side = Side::kHost) const {
    return Whole(*data_).data(order, geometry(), side);
  }
  Dtype* mutable_data(Order order = Order::kCaffe, Side side = Side::kHost) {
    return Whole(*data_).mutable_data(order, geometry(), side);
  }
  Dtype* write_data(Order order = Order::kCaffe, Side side = Side::kHost) {
    return Whole(*data_).write_data(order, geometry(), side);
  }
  const Dtype* diff(Order order = Order::kCaffe,
                    Side side = Side::kHost) const {
    return Whole(*diff_).data(order, geometry(), side);
  }
  Dtype* mutable_diff(Order order = Order::kCaffe, Side side = Side::kHost) {
    return Whole(*diff_).mutable_data(order, geometry(), side);
  }
  Dtype* write_diff(Order order = Order::kCaffe, Side side = Side::kHost) {
    return Whole(*diff_).write_data(order, geometry(), side);
  }

  // The same for values of another kind (see Storage).
  template <typename Value>
  const Value* data_of(Order order, Side side) const {
    return Whole(*data_).template data_of<Value>(order, geometry(), side);
  }
  template <typename Value>
  Value* write_data_of(Order order, Side side) {
    return Whole(*data_).template write_data_of<Value>(order, geometry(), side);
  }
  template <typename Value>
  const Value* diff_of(Order order, Side side) const {
    return Whole(*diff_).template data_of<Value>(order, geometry(), side);
  }
  template <typename Value>
  Value* write_diff_of(Order order, Side side) {
    return Whole(*diff_).template write_data_of<Value>(order, geometry(), side);
  }

  // Overwrites the values with those of a blob of the same shape, in `order` on
  // `side`, as values of a kind.
  template <typename Value = Dtype>
  void CopyFrom(const Blob& other, Order order, Side side);

  // Makes this blob another view of the other's values; counts must agree.
  void ShareData(const Blob& other);
  void ShareDiff(const Blob& other);

  Storage<Dtype>& storage() const { return *data_; }
  Storage<Dtype>& diff_storage() const { return *diff_; }
  // The values' storage itself, and its replacement by another of the same
  // count.
  const std::shared_ptr<Storage<Dtype>>& shared_storage() const {
    return data_;
  }
  void set_storage(std::shared_ptr<Storage<Dtype>> data) {
    data_ = std::move(data);
  }

  // That of the net which makes its values, null where none does.
  const std::shared_ptr<std::recursive_mutex>& net_mutex() const {
    return net_mutex_;
  }
  void set_net_mutex(std::shared_ptr<std::recursive_mutex> mutex) {
    net_mutex_ = std::move(mutex);
  }

  // A storage of this blob's, which holds as many values as its shape says.
  Storage<Dtype>& Whole(Storage<Dtype>& storage) const {
    if (storage.count() < count_) FailShared(storage.count());
    return storage;
  }

 private:
  [[noreturn]] void FailShared(int64_t count) const;

  Shape shape_;
  int64_t count_ = 0;
  std::string fixed_;  // "": it is not
  std::shared_ptr<Storage<Dtype>> data_;
  std::shared_ptr<Storage<Dtype>> diff_;
  std::shared_ptr<std::recursive_mutex> net_mutex_;
};

template <typename Dtype>
template <typename Value>
void Blob<Dtype>::CopyFrom(const Blob& other, Order order, Side side) {
  const Value* from = other.data_of<Value>(order, side);
  CopyOn(side, from, count_, write_data_of<Value>(order, side));
}

}  // namespace p3d

#endif  // P3D_ENGINE_BLOB_HPP_
