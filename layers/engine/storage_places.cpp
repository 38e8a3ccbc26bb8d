// What a PlanGraph asks of a Storage: where values are, and that they be there.
#include "engine/storage.hpp"

namespace p3d {

template <typename Dtype>
bool Storage<Dtype>::Places::SameOnGpu(const Places& other) const {
  if (!SameMemory(other) || caffe != other.caffe || last != other.last ||
      narrow != other.narrow) {
    return false;
  }
  if (narrow && !(narrow_place == other.narrow_place)) return false;
  if ((last || narrow) && !(geometry == other.geometry)) return false;
  if (caffe || last) return true;
  return host_caffe == other.host_caffe && host_last == other.host_last;
}

template <typename Dtype>
typename Storage<Dtype>::Places Storage<Dtype>::places() const {
  Places now;
  now.caffe = gpu_.caffe;
  now.last = gpu_.last;
  now.narrow = gpu_.narrow;
  now.host_caffe = host_.caffe;
  now.host_last = host_.last;
  now.narrow_place = gpu_.narrow_place;
  now.geometry = last_geometry_;
  if (gpu_caffe_) now.caffe_memory = gpu_caffe_->data();
  if (gpu_last_) now.last_memory = gpu_last_->data();
  if (gpu_bound_) now.last_memory = gpu_bound_;
  if (gpu_narrow_) now.narrow_memory = gpu_narrow_->data();
  if (gpu_narrow_bound_) now.narrow_memory = gpu_narrow_bound_;
  return now;
}

template <typename Dtype>
size_t Storage<Dtype>::gpu_bytes() const {
  return (gpu_caffe_ ? gpu_caffe_->bytes() : 0) +
         (gpu_last_ ? gpu_last_->bytes() : 0) +
         (gpu_narrow_ ? gpu_narrow_->bytes() : 0);
}

template <typename Dtype>
void Storage<Dtype>::BringToGpu(const Places& then) {
  if (on(Side::kGpu) || (!on(Side::kHost) && !source_)) return;
  if (then.caffe) data(Order::kCaffe, Geometry(), Side::kGpu);
  if (then.last) data(Order::kChannelsLast, then.geometry, Side::kGpu);
  if (then.narrow) Narrow(then.narrow_place, then.geometry, Side::kGpu);
  if (then.narrow && !then.caffe && !then.last) DropWide();
}

template <typename Dtype>
void Storage<Dtype>::SetOnGpu(const Places& now) {
  gpu_.caffe = now.caffe;
  gpu_.last = now.last;
  gpu_.narrow = now.narrow;
  gpu_.narrow_place = now.narrow_place;
  last_geometry_ = now.geometry;
}

template <typename Dtype>
void Storage<Dtype>::Replayed(const Places& now, bool written) {
  if (written) {
    ++version_;
    source_ = nullptr;
    host_ = Valid();
  } else if (!(last_geometry_ == now.geometry)) {
    host_.last = host_.narrow = false;
  }
  SetOnGpu(now);
}

template <typename Dtype>
void Storage<Dtype>::Restore(const Places& then) {
  host_.caffe = then.host_caffe;
  host_.last = then.host_last;
  SetOnGpu(then);
  // Memory may have been released, where the host has the values.
  const Places now = places();
  gpu_.caffe = then.caffe && now.caffe_memory == then.caffe_memory;
  gpu_.last = then.last && now.last_memory == then.last_memory;
}

#define P3D_INSTANTIATE(Dtype)                                          \
  template bool Storage<Dtype>::Places::SameOnGpu(const Places&) const; \
  template Storage<Dtype>::Places Storage<Dtype>::places() const;       \
  template size_t Storage<Dtype>::gpu_bytes() const;                    \
  template void Storage<Dtype>::BringToGpu(const Places&);              \
  template void Storage<Dtype>::Replayed(const Places&, bool);          \
  template void Storage<Dtype>::Restore(const Places&)
P3D_INSTANTIATE(float);
P3D_INSTANTIATE(double);
#undef P3D_INSTANTIATE

}  // namespace p3d
