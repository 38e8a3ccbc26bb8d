#ifndef P3D_ENGINE_LAYERS_PARTS_HPP_
#define P3D_ENGINE_LAYERS_PARTS_HPP_

#include <algorithm>
#include <string>
#include <vector>

#include "engine/blob.hpp"
#include "engine/fields.hpp"
#include "kernels/copy_rows.hpp"

namespace p3d {

// A blob and its parts along one axis: what Concat joins and Slice cuts.

// The axis that a layer's param names, of which `old` is the older name.
template <typename Dtype>
int PartsAxis(const Fields& param, const std::string& old,
              const Blob<Dtype>& blob) {
  const bool old_name = param.Has(old);
  Check(!old_name || !param.Has("axis"), "is given both axis and ", old,
        "; give one of them");
  return blob.CanonicalAxis(param.Int(old_name ? old : "axis"));
}

// A blob's values or its gradients: &Blob::storage or &Blob::diff_storage.
template <typename Dtype>
using StorageOf = Storage<Dtype>& (Blob<Dtype>::*)() const;

namespace detail {

// Runs copy(order, kind) in the order in which the source lies, where that has
// the parts of a pixel together, on `narrow` values or others of `side`.
template <typename Dtype, typename Copy>
void InOrderOf(const Blob<Dtype>& source, StorageOf<Dtype> values, int axis,
               bool narrow, Side side, const Copy& copy) {
  WithHeldValues<Dtype>(narrow, side, [&](auto kind) {
    const Order held = (source.*values)().held_order(source.geometry(), side);
    copy(axis == 1 ? OrderOf<decltype(kind)>(held) : Order::kCaffe, kind);
  });
}

// Runs copy(i, rows, width, place of the part in a row of the whole, stride)
// for every part: rows of the whole hold one row of each.
template <typename Dtype, typename Copy>
void EachPart(const Blob<Dtype>& whole, const std::vector<Blob<Dtype>*>& parts,
              int axis, Order order, const Copy& copy) {
  const AxisView view = whole.around(axis);
  const bool last = order == Order::kChannelsLast;
  const int64_t inner = last ? 1 : view.inner;
  const int64_t rows = last ? view.outer * view.inner : view.outer;
  int64_t place = 0;
  for (size_t i = 0; i < parts.size(); ++i) {
    const int64_t width = parts[i]->shape(axis) * inner;
    copy(i, rows, width, place, view.channels * inner);
    place += width;
  }
}

}  // namespace detail

// Overwrites the whole with its parts.
template <typename Dtype>
void JoinParts(const std::vector<Blob<Dtype>*>& parts, int axis,
               StorageOf<Dtype> values, Side side, const Blob<Dtype>& whole) {
  const bool narrow = std::all_of(
      parts.begin(), parts.end(),
      [&](const Blob<Dtype>* part) { return (part->*values)().narrow(side); });
  const auto join = [&](Order order, auto kind) {
    using Value = decltype(kind);
    Value* to = (whole.*values)().template write_data_of<Value>(
        order, whole.geometry(), side);
    detail::EachPart(
        whole, parts, axis, order,
        [&](size_t i, int64_t rows, int64_t width, int64_t place,
            int64_t stride) {
          const Value* from = (parts[i]->*values)().template data_of<Value>(
              order, parts[i]->geometry(), side);
          RunOn<Value>(side, CopyRows<Dtype>, &cuda::Kernels<Value>::CopyRows,
                       rows, width, Rows<const Value>{from, width},
                       Rows<Value>{to + place, stride});
        });
  };
  detail::InOrderOf(*parts[0], values, axis, narrow, side, join);
}

// Overwrites those parts with theirs of the whole that are `wanted`.
template <typename Dtype>
void CutParts(const Blob<Dtype>& whole, int axis, StorageOf<Dtype> values,
              Side side, const std::vector<bool>& wanted,
              const std::vector<Blob<Dtype>*>& parts) {
  const bool narrow = (whole.*values)().narrow(side);
  const auto cut = [&](Order order, auto kind) {
    using Value = decltype(kind);
    const Value* from = (whole.*values)().template data_of<Value>(
        order, whole.geometry(), side);
    detail::EachPart(
        whole, parts, axis, order,
        [&](size_t i, int64_t rows, int64_t width, int64_t place,
            int64_t stride) {
          if (!wanted[i]) return;
          Value* to = (parts[i]->*values)().template write_data_of<Value>(
              order, parts[i]->geometry(), side);
          RunOn<Value>(side, CopyRows<Dtype>, &cuda::Kernels<Value>::CopyRows,
                       rows, width, Rows<const Value>{from + place, stride},
                       Rows<Value>{to, width});
        });
  };
  detail::InOrderOf(whole, values, axis, narrow, side, cut);
}

}  // namespace p3d

#endif  // P3D_ENGINE_LAYERS_PARTS_HPP_
