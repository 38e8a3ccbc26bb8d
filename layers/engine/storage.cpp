#include "engine/storage.hpp"

#include <algorithm>
#include <cstring>

#include "engine/storage_log.hpp"
#include "kernels/error.hpp"

namespace p3d {

thread_local StorageLog* StorageLog::current_ = nullptr;

namespace {

Order OtherThan(Order order) {
  return order == Order::kCaffe ? Order::kChannelsLast : Order::kCaffe;
}

// Memory of at least `bytes`, that which is there if it is enough.
template <typename Pointer>
void* Enough(Pointer* memory, size_t bytes) {
  using Memory = typename Pointer::element_type;
  if (!*memory || (*memory)->bytes() < bytes) {
    memory->reset(new Memory(bytes));
  }
  return (*memory)->data();
}

void NoteIn(StorageLog* log, Storage<float>* storage, bool made) {
  log->Note(storage, made);
}
void NoteIn(StorageLog*, Storage<double>*, bool) {}  // has no plans

}  // namespace

template <typename Dtype>
void Storage<Dtype>::Note(bool made) {
  if (StorageLog* log = StorageLog::current()) NoteIn(log, this, made);
}

template <typename Dtype>
void Storage<Dtype>::Resize(int64_t count) {
  if (count == count_) return;
  const size_t bytes = static_cast<size_t>(count) * sizeof(Dtype);
  const bool fits = count < count_ || (caffe_ && caffe_->bytes() >= bytes);
  if (fits && has_values()) data(Order::kCaffe, Geometry());
  const bool keep = fits && host_.caffe;
  host_ = gpu_ = Valid();
  host_.caffe = keep;
  if (!fits) caffe_.reset();
  last_.reset();
  narrow_.reset();
  gpu_caffe_.reset();
  gpu_last_.reset();
  gpu_narrow_.reset();
  bound_ = gpu_bound_ = nullptr;
  narrow_bound_ = gpu_narrow_bound_ = nullptr;
  packed_.clear();
  source_ = nullptr;
  count_ = count;
  ++version_;
}

template <typename Dtype>
Dtype* Storage<Dtype>::at(Side side, Order order) {
  void* memory = nullptr;
  if (side == Side::kHost) {
    if (order == Order::kCaffe) {
      memory = Enough(&caffe_, bytes());
    } else {
      memory = bound_ ? bound_ : Enough(&last_, bytes());
    }
  } else if (order == Order::kCaffe) {
    memory = Enough(&gpu_caffe_, bytes());
  } else {
    memory = gpu_bound_ ? gpu_bound_ : Enough(&gpu_last_, bytes());
  }
  return static_cast<Dtype*>(memory);
}

template <typename Dtype>
void Storage<Dtype>::Convert(Side side, Order to) {
  const Geometry& geometry = last_geometry_;
  const Dtype* from = at(side, OtherThan(to));
  Dtype* into = at(side, to);
  if (side == Side::kHost) {
    (to == Order::kCaffe ? ToCaffeOrder<Dtype>
                         : ToChannelsLast<Dtype>)(geometry, from, into);
  } else {
    const auto gpu = GpuOf<Dtype>();
    (to == Order::kCaffe ? gpu.ToCaffeOrder : gpu.ToChannelsLast)(
        gpu.stream, geometry, from, into);
  }
  valid(side).at(to) = true;
}

template <typename Dtype>
void Storage<Dtype>::Fetch(Side side, Order order) {
  if (side == Side::kHost) {
    Gpu().CopyToHost(at(Side::kHost, order), at(Side::kGpu, order), bytes());
  } else {
    Gpu().CopyToDevice(at(Side::kGpu, order), at(Side::kHost, order), bytes());
  }
  valid(side).at(order) = true;
}

template <typename Dtype>
void Storage<Dtype>::Bring(Side side, Order order) {
  if (valid(side).at(order)) return;
  const Order turned = OtherThan(order);
  if (!valid(side).at(turned)) {
    Valid& there = valid(side == Side::kHost ? Side::kGpu : Side::kHost);
    Fetch(side, there.at(order) ? order : turned);
  }
  if (!valid(side).at(order)) Convert(side, order);
}

template <typename Dtype>
void Storage<Dtype>::Materialise(Side side) {
  if (has_values()) return;
  if (!source_) {
    Dtype* memory = at(side, Order::kCaffe);
    if (side == Side::kHost) {
      std::fill(memory, memory + count_, Dtype(0));
    } else {
      Gpu().ZeroOnDevice(memory, bytes());
    }
    valid(side).caffe = true;
    return;
  }
  const Source source = source_;
  const StorageLog::Pause others_are_its_own;
  source();
  Check(has_values(), "a blob's values could not be made again");
}

template <typename Dtype>
bool Storage<Dtype>::LiesLast(Side side) const {
  const Valid& here = side == Side::kHost ? host_ : gpu_;
  return here.last ||
         (here.narrow && here.narrow_place.order == Order::kChannelsLast);
}

template <typename Dtype>
bool Storage<Dtype>::has_values() {
  Note(false);
  return on(Side::kHost) || on(Side::kGpu);
}

template <typename Dtype>
Order Storage<Dtype>::held_order(const Geometry& geometry, Side side) {
  Note(false);
  const Valid& here = side == Side::kHost ? host_ : gpu_;
  const Side other = side == Side::kHost ? Side::kGpu : Side::kHost;
  const bool last = LiesLast(side) || (LiesLast(other) && !here.caffe);
  return last && last_geometry_ == geometry ? Order::kChannelsLast
                                            : Order::kCaffe;
}

template <typename Dtype>
const Dtype* Storage<Dtype>::data(Order order, const Geometry& geometry,
                                  Side side) {
  Note(false);
  if (geometry.trivial()) order = Order::kCaffe;
  const auto there = [&] {
    return valid(side).at(order) &&
           (order == Order::kCaffe || last_geometry_ == geometry);
  };
  if (there()) return at(side, order);
  std::lock_guard<std::recursive_mutex> lock(mutex_);
  if (there()) return at(side, order);
  Materialise(side);
  if (!host_.wide() && !gpu_.wide()) Widen();
  if (order == Order::kChannelsLast && !(last_geometry_ == geometry)) {
    if (host_.last || gpu_.last) Bring(side, Order::kCaffe);
    for (Valid* valid : {&host_, &gpu_}) {
      valid->last = false;
      valid->narrow &= valid->narrow_place.order == Order::kCaffe;
    }
    last_geometry_ = geometry;
  }
  Bring(side, order);
  return at(side, order);
}

template <typename Dtype>
Dtype* Storage<Dtype>::mutable_data(Order order, const Geometry& geometry,
                                    Side side) {
  data(order, geometry, side);
  return write_data(order, geometry, side);
}

template <typename Dtype>
Dtype* Storage<Dtype>::write_data(Order order, const Geometry& geometry,
                                  Side side) {
  Note(true);
  const Order place = geometry.trivial() ? Order::kCaffe : order;
  // Where there is no room for it, what is there stays.
  Dtype* const memory = at(side, place);
  ++version_;
  source_ = nullptr;
  host_ = gpu_ = Valid();
  valid(side).at(place) = true;
  if (place == Order::kChannelsLast) last_geometry_ = geometry;
  return memory;
}

template <typename Dtype>
void* Storage<Dtype>::NarrowMemory(Side side) {
  constexpr size_t kBytes = 2;
  const size_t bytes = static_cast<size_t>(count_) * kBytes;
  if (side == Side::kHost) {
    return narrow_bound_ ? narrow_bound_ : Enough(&narrow_, bytes);
  }
  return gpu_narrow_bound_ ? gpu_narrow_bound_ : Enough(&gpu_narrow_, bytes);
}

template <typename Dtype>
void Storage<Dtype>::SetSource(Source source) {
  Note(true);
  source_ = std::move(source);
  host_ = gpu_ = Valid();
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
std::shared_ptr<Buffer> Storage<Dtype>::LendIfThere() {
  std::unique_lock<std::recursive_mutex> lock(mutex_, std::try_to_lock);
  const bool there = lock && (has_values() || !source_);
  return there ? Lend() : nullptr;
}

template <typename Dtype>
void Storage<Dtype>::Touch() {
  if (!lent_) return;
  std::lock_guard<std::recursive_mutex> lock(mutex_);
  // A view may have been written to and dropped since the last Touch, so the
  // flag outlives the view by one round.
  lent_ = view_out();
  if (!host_.caffe) return;
  host_.last = host_.narrow = false;
  gpu_ = Valid();
  ++version_;
}

template <typename Dtype>
void Storage<Dtype>::Sync() {
  if (view_out() && !host_.caffe) data(Order::kCaffe, Geometry());
}

template <typename Dtype>
void Storage<Dtype>::Bind(Dtype* memory, Side side) {
  Dtype*& bound = side == Side::kHost ? bound_ : gpu_bound_;
  if (memory == bound) return;
  if (memory && side == Side::kHost) last_.reset();
  if (memory && side == Side::kGpu) gpu_last_.reset();
  bound = memory;
  valid(side).last = false;
}

template <typename Dtype>
void Storage<Dtype>::Take(Storage* other) {
  Check(other->count_ == count_, "cannot take ", other->count_,
        " values in place of ", count_);
  other->Materialise(Side::kHost);
  if (other->host_.last && !other->bound_) {
    last_ = std::move(other->last_);
    last_geometry_ = other->last_geometry_;
    bound_ = nullptr;
    host_ = gpu_ = Valid();
    host_.last = true;
  } else {
    const Dtype* from = other->data(Order::kCaffe, Geometry());
    std::copy(from, from + count_, write_data(Order::kCaffe, Geometry()));
  }
  source_ = nullptr;
  ++version_;
  other->host_ = other->gpu_ = Valid();
}

template <typename Dtype>
std::shared_ptr<Storage<Dtype>> Storage<Dtype>::CopyOfEngineSide() {
  if (!has_values()) return nullptr;
  if (!host_.wide() && !gpu_.wide()) Widen();
  const bool last = host_.last || gpu_.last;
  auto copy = std::make_shared<Storage>();
  copy->Resize(count_);
  // Not the mirror that views show, if there is anything else.
  if (!last && lent_ && host_.narrow && LiesLast(Side::kHost)) {
    WidenTo(Side::kHost,
            copy->write_data(Order::kChannelsLast, last_geometry_));
    return copy;
  }
  const Side side =
      (last ? gpu_.last && !host_.last : gpu_.caffe) ? Side::kGpu : Side::kHost;
  const Order order = last ? Order::kChannelsLast : Order::kCaffe;
  Dtype* to = copy->write_data(order, last ? last_geometry_ : Geometry());
  if (side == Side::kHost) {
    std::memcpy(to, at(side, order), bytes());
  } else {
    Gpu().CopyToHost(to, at(side, order), bytes());
  }
  return copy;
}

template <typename Dtype>
typename Storage<Dtype>::PackedCopy& Storage<Dtype>::CopyOf(uint64_t key,
                                                            size_t bytes) {
  for (PackedCopy& copy : packed_) {
    if (copy.key == key && copy.memory->bytes() == bytes) return copy;
  }
  packed_.push_back({key, 0, std::make_shared<Buffer>(bytes)});
  return packed_.back();
}

template <typename Dtype>
std::shared_ptr<const Dtype> Storage<Dtype>::Packed(uint64_t key, int64_t size,
                                                    const PackFunction& pack,
                                                    const PackFunction& unpack,
                                                    bool only) {
  std::lock_guard<std::recursive_mutex> lock(mutex_);
  PackedCopy& copy = CopyOf(key, static_cast<size_t>(size) * sizeof(Dtype));
  const std::shared_ptr<Buffer> memory = copy.memory;
  if (copy.version != version_) {
    // An old packed copy may be the only one: read before it goes.
    pack(data(Order::kCaffe, Geometry()), static_cast<Dtype*>(memory->data()));
    copy.version = version_;
    const auto old = [this](const PackedCopy& other) {
      return other.version != version_;
    };
    packed_.erase(std::remove_if(packed_.begin(), packed_.end(), old),
                  packed_.end());
  }
  // What is on the GPU may be what another net reads there right now.
  if (only && !stays_ && host_.caffe && !lent_ && !on(Side::kGpu)) {
    caffe_.reset();
    last_.reset();
    host_ = Valid();
    source_ = [this, memory, unpack] {
      unpack(static_cast<const Dtype*>(memory->data()),
             at(Side::kHost, Order::kCaffe));
      host_.caffe = true;
    };
  }
  return {memory, static_cast<const Dtype*>(memory->data())};
}

template class Storage<float>;
template class Storage<double>;

}  // namespace p3d
