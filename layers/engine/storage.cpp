#include "engine/storage.hpp"

#include <algorithm>
#include <cstring>

#include "kernels/error.hpp"

namespace p3d {

template <typename Dtype>
void Storage<Dtype>::Resize(int64_t count) {
  if (count == count_) return;
  if (last_valid_ && !caffe_valid_ && last_geometry_.count() == count_) {
    LastToCaffe();
  }
  const size_t bytes = static_cast<size_t>(count) * sizeof(Dtype);
  if (caffe_ && caffe_->bytes() < bytes) {
    caffe_.reset();
    caffe_valid_ = false;
  }
  last_.reset();
  bound_ = nullptr;
  last_valid_ = false;
  packed_.reset();
  source_ = nullptr;
  count_ = count;
  ++version_;
}

template <typename Dtype>
Dtype* Storage<Dtype>::caffe_memory() {
  const size_t bytes = static_cast<size_t>(count_) * sizeof(Dtype);
  if (!caffe_ || caffe_->bytes() < bytes) {
    caffe_ = std::make_shared<Buffer>(bytes);
  }
  return static_cast<Dtype*>(caffe_->data());
}

template <typename Dtype>
Dtype* Storage<Dtype>::last_memory(const Geometry& geometry) {
  last_geometry_ = geometry;
  if (bound_) return bound_;
  const size_t bytes = static_cast<size_t>(count_) * sizeof(Dtype);
  if (!last_ || last_->bytes() < bytes) last_.reset(new Buffer(bytes));
  return static_cast<Dtype*>(last_->data());
}

template <typename Dtype>
void Storage<Dtype>::LastToCaffe() {
  ToCaffeOrder<Dtype>(last_geometry_, last_memory(last_geometry_),
                      caffe_memory());
  caffe_valid_ = true;
}

template <typename Dtype>
void Storage<Dtype>::Materialise() {
  if (has_values()) return;
  std::lock_guard<std::recursive_mutex> lock(mutex_);
  if (has_values()) return;
  if (!source_) {
    Dtype* memory = caffe_memory();
    std::fill(memory, memory + count_, Dtype(0));
    caffe_valid_ = true;
    return;
  }
  const Source source = source_;
  source();
  Check(has_values(), "a blob's values could not be made again");
}

template <typename Dtype>
const Dtype* Storage<Dtype>::data(Order order, const Geometry& geometry) {
  Materialise();
  if (order == Order::kCaffe || geometry.trivial()) {
    if (!caffe_valid_) LastToCaffe();
    return caffe_memory();
  }
  if (!last_valid_ || !(last_geometry_ == geometry)) {
    if (!caffe_valid_) LastToCaffe();
    ToChannelsLast<Dtype>(geometry, caffe_memory(), last_memory(geometry));
    last_valid_ = true;
  }
  return last_memory(geometry);
}

template <typename Dtype>
Dtype* Storage<Dtype>::mutable_data(Order order, const Geometry& geometry) {
  data(order, geometry);
  return write_data(order, geometry);
}

template <typename Dtype>
Dtype* Storage<Dtype>::write_data(Order order, const Geometry& geometry) {
  ++version_;
  source_ = nullptr;
  caffe_valid_ = order == Order::kCaffe || geometry.trivial();
  last_valid_ = !caffe_valid_;
  return caffe_valid_ ? caffe_memory() : last_memory(geometry);
}

template <typename Dtype>
void Storage<Dtype>::SetSource(Source source) {
  source_ = std::move(source);
  caffe_valid_ = last_valid_ = false;
  ++version_;
}

template <typename Dtype>
std::shared_ptr<Buffer> Storage<Dtype>::Lend() {
  std::lock_guard<std::recursive_mutex> lock(mutex_);
  data(Order::kCaffe, Geometry());
  lent_ = true;
  return caffe_;
}

template <typename Dtype>
void Storage<Dtype>::Touch() {
  if (!lent_) return;
  // A view may have been written to and dropped since the last Touch, so the
  // flag outlives the view by one round.
  lent_ = view_out();
  if (!caffe_valid_) return;
  last_valid_ = false;
  ++version_;
}

template <typename Dtype>
void Storage<Dtype>::Sync() {
  if (view_out() && !caffe_valid_) data(Order::kCaffe, Geometry());
}

template <typename Dtype>
void Storage<Dtype>::Bind(Dtype* memory) {
  if (memory == bound_) return;
  if (memory) last_.reset();
  bound_ = memory;
  last_valid_ = false;
}

template <typename Dtype>
void Storage<Dtype>::Take(Storage* other) {
  Check(other->count_ == count_, "cannot take ", other->count_,
        " values in place of ", count_);
  other->Materialise();
  if (other->last_valid_ && !other->bound_) {
    last_ = std::move(other->last_);
    last_geometry_ = other->last_geometry_;
    bound_ = nullptr;
    last_valid_ = true;
    caffe_valid_ = false;
  } else {
    const Dtype* from = other->data(Order::kCaffe, Geometry());
    std::copy(from, from + count_, write_data(Order::kCaffe, Geometry()));
  }
  source_ = nullptr;
  ++version_;
  other->caffe_valid_ = other->last_valid_ = false;
}

template <typename Dtype>
std::shared_ptr<Storage<Dtype>> Storage<Dtype>::CopyOfEngineSide() const {
  if (!last_valid_ && !caffe_valid_) return nullptr;
  auto copy = std::make_shared<Storage>();
  copy->Resize(count_);
  const Geometry geometry = last_valid_ ? last_geometry_ : Geometry();
  const void* from = last_valid_ && !bound_ ? last_->data()
                     : last_valid_          ? bound_
                                            : caffe_->data();
  Dtype* to = copy->write_data(
      last_valid_ ? Order::kChannelsLast : Order::kCaffe, geometry);
  std::memcpy(to, from, static_cast<size_t>(count_) * sizeof(Dtype));
  return copy;
}

template <typename Dtype>
const Dtype* Storage<Dtype>::Packed(uint64_t key, int64_t size,
                                    const PackFunction& pack,
                                    const PackFunction& unpack, bool only) {
  std::lock_guard<std::recursive_mutex> lock(mutex_);
  const bool current =
      packed_ && packed_key_ == key && packed_version_ == version_;
  if (!current) {
    // The old packed copy may be the only one: read before it goes.
    const Dtype* from = data(Order::kCaffe, Geometry());
    const size_t bytes = static_cast<size_t>(size) * sizeof(Dtype);
    if (!packed_ || packed_->bytes() != bytes) packed_.reset(new Buffer(bytes));
    pack(from, static_cast<Dtype*>(packed_->data()));
    packed_key_ = key;
    packed_version_ = version_;
  }
  if (only && caffe_valid_ && !lent_) {
    caffe_.reset();
    last_.reset();
    caffe_valid_ = last_valid_ = false;
    source_ = [this, unpack] {
      unpack(static_cast<const Dtype*>(packed_->data()), caffe_memory());
      caffe_valid_ = true;
    };
  }
  return static_cast<const Dtype*>(packed_->data());
}

template class Storage<float>;
template class Storage<double>;

}  // namespace p3d
