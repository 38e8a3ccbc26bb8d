// What a Storage does with values of 16 bits.
#include "engine/storage.hpp"
#include "kernels/error.hpp"
#include "kernels/narrow_copies.hpp"

namespace p3d {
namespace {

// Calls body(Value()) for the kind of values of 16 bits.
template <typename Body>
void WithNarrow(Precision kind, const Body& body) {
  if (kind == Precision::kBf16) return body(Bf16());
  body(Fp16());
}

// Between Dtypes and values of 16 bits; from Caffe's order too.
void ToNarrow(Side side, Precision kind, const float* from, int64_t count,
              void* memory) {
  WithNarrow(kind, [&](auto value) {
    auto* const to = static_cast<decltype(value)*>(memory);
    if (side == Side::kHost) return Narrow(from, count, to);
    const auto gpu = GpuOf<decltype(value)>();
    gpu.Narrow(gpu.stream, from, count, to);
  });
}
void ToNarrowLast(Side side, Precision kind, const Geometry& geometry,
                  const float* from, void* memory) {
  WithNarrow(kind, [&](auto value) {
    auto* const to = static_cast<decltype(value)*>(memory);
    if (side == Side::kHost) return NarrowToChannelsLast(geometry, from, to);
    const auto gpu = GpuOf<decltype(value)>();
    gpu.ToChannelsLast(gpu.stream, geometry, from, to);
  });
}
void ToWide(Side side, Precision kind, const void* memory, int64_t count,
            float* to) {
  WithNarrow(kind, [&](auto value) {
    const auto* const from = static_cast<const decltype(value)*>(memory);
    if (side == Side::kHost) return Widen(from, count, to);
    const auto gpu = GpuOf<decltype(value)>();
    gpu.Widen(gpu.stream, from, count, to);
  });
}
void ToNarrow(Side, Precision, const double*, int64_t, void*) {
  Fail("doubles are not rounded to 16 bits");
}
void ToNarrowLast(Side, Precision, const Geometry&, const double*, void*) {
  Fail("doubles are not rounded to 16 bits");
}
void ToWide(Side, Precision, const void*, int64_t, double*) {
  Fail("doubles are not rounded to 16 bits");
}

}  // namespace

template <typename Dtype>
const void* Storage<Dtype>::Narrow(NarrowPlace place, const Geometry& geometry,
                                   Side side) {
  Note(false);
  if (geometry.trivial()) place.order = Order::kCaffe;
  Valid& here = valid(side);
  const auto there = [&] {
    return here.narrow && here.narrow_place == place &&
           (place.order == Order::kCaffe || last_geometry_ == geometry);
  };
  if (there()) return NarrowMemory(side);
  std::lock_guard<std::recursive_mutex> lock(mutex_);
  if (there()) return NarrowMemory(side);
  // In one go where nothing lies channels last yet.
  const bool turned = place.order == Order::kChannelsLast &&
                      !LiesLast(Side::kHost) && !LiesLast(Side::kGpu);
  const Order order = turned ? Order::kCaffe : place.order;
  const Dtype* from = data(order, geometry, side);
  void* const to = NarrowMemory(side);
  if (turned) {
    ToNarrowLast(side, place.kind, geometry, from, to);
    last_geometry_ = geometry;
  } else {
    ToNarrow(side, place.kind, from, count_, to);
  }
  here.narrow_place = place;
  here.narrow = true;
  return to;
}

template <typename Dtype>
void* Storage<Dtype>::WriteNarrow(NarrowPlace place, const Geometry& geometry,
                                  Side side) {
  Note(true);
  if (geometry.trivial()) place.order = Order::kCaffe;
  void* const memory = NarrowMemory(side);
  ++version_;
  source_ = nullptr;
  host_ = gpu_ = Valid();
  valid(side).narrow = true;
  valid(side).narrow_place = place;
  if (place.order == Order::kChannelsLast) last_geometry_ = geometry;
  return memory;
}

template <typename Dtype>
void Storage<Dtype>::Widen() {
  const Side side = gpu_.narrow ? Side::kGpu : Side::kHost;
  const Order order = valid(side).narrow_place.order;
  WidenTo(side, at(side, order));
  valid(side).at(order) = true;
}

template <typename Dtype>
void Storage<Dtype>::WidenTo(Side side, Dtype* to) {
  ToWide(side, valid(side).narrow_place.kind, NarrowMemory(side), count_, to);
}

template <typename Dtype>
void Storage<Dtype>::BindNarrow(void* memory, Side side) {
  void*& bound = side == Side::kHost ? narrow_bound_ : gpu_narrow_bound_;
  if (memory == bound) return;
  if (memory && side == Side::kHost) narrow_.reset();
  if (memory && side == Side::kGpu) gpu_narrow_.reset();
  bound = memory;
  valid(side).narrow = false;
}

template <typename Dtype>
void Storage<Dtype>::DropWide() {
  Note(false);
  std::lock_guard<std::recursive_mutex> lock(mutex_);
  if (!gpu_.narrow || !host_.wide()) return;
  gpu_.caffe = gpu_.last = false;
  gpu_caffe_.reset();
  gpu_last_.reset();
}

#define P3D_INSTANTIATE(Dtype)                                              \
  template const void* Storage<Dtype>::Narrow(NarrowPlace, const Geometry&, \
                                              Side);                        \
  template void* Storage<Dtype>::WriteNarrow(NarrowPlace, const Geometry&,  \
                                             Side);                         \
  template void Storage<Dtype>::WidenTo(Side, Dtype*);                      \
  template void Storage<Dtype>::Widen();                                    \
  template void Storage<Dtype>::BindNarrow(void*, Side);                    \
  template void Storage<Dtype>::DropWide()
P3D_INSTANTIATE(float);
P3D_INSTANTIATE(double);
#undef P3D_INSTANTIATE

}  // namespace p3d
