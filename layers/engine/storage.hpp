#ifndef P3D_ENGINE_STORAGE_HPP_
#define P3D_ENGINE_STORAGE_HPP_

#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <vector>

#include "engine/values.hpp"
#include "kernels/buffer.hpp"
#include "kernels/order.hpp"

namespace p3d {

// The values of a blob, wherever they are: on the host or on the GPU, in
// Caffe's order or channels last, rounded to 16 bits too, in several of these
// places, packed for a kernel, or nowhere yet. Whoever asks for a place
// gets it; copies and conversions happen then and only then (as Caffe's
// SyncedMemory does for CPU and GPU). Where nothing is valid, a source makes
// the values when they are first asked for: a filler, the inverse of packing,
// or a net that runs again for a blob that its plan had fused away; without a
// source they are 0.
//
// Where the channels-last geometry is trivial both orders share one memory.
template <typename Dtype>
class Storage : public std::enable_shared_from_this<Storage<Dtype>> {
 public:
  using Source = std::function<void()>;
  // How values of 16 bits lie.
  struct NarrowPlace {
    Precision kind = Precision::kBf16;
    Order order = Order::kCaffe;
    bool operator==(const NarrowPlace& other) const {
      return kind == other.kind && order == other.order;
    }
  };

  int64_t count() const { return count_; }
  // Changes the number of values. Fewer keep the first ones, as in Caffe;
  // more leave them undefined but finite.
  void Resize(int64_t count);

  // Reading; throws what the source throws.
  const Dtype* data(Order order, const Geometry& geometry,
                    Side side = Side::kHost);
  // Reading and writing: all other places become stale.
  Dtype* mutable_data(Order order, const Geometry& geometry,
                      Side side = Side::kHost);
  // Writing only: what was there is lost, nothing is converted.
  Dtype* write_data(Order order, const Geometry& geometry,
                    Side side = Side::kHost);
  // The same for values of another kind than Dtype, which float has.
  template <typename Value>
  const Value* data_of(Order order, const Geometry& geometry, Side side);
  template <typename Value>
  Value* mutable_data_of(Order order, const Geometry& geometry, Side side);
  template <typename Value>
  Value* write_data_of(Order order, const Geometry& geometry, Side side);

  // Counts the times that the values may have changed.
  uint64_t version() const { return version_; }

  // Values that will be made by `source` when asked for; it has to call
  // write_data or Take. What is there now is lost.
  void SetSource(Source source);
  bool has_values();
  bool has_source() const { return source_ != nullptr; }
  // Whether there are values of 16 bits on `side` and no others.
  bool narrow(Side side) const {
    const Valid& there = side == Side::kHost ? host_ : gpu_;
    return there.narrow && !there.wide();
  }
  // The order in which reading costs no conversion.
  Order held_order(const Geometry& geometry, Side side = Side::kHost);
  // Takes over the values of another storage of the same count, which is left
  // without any. Views of this one show them.
  void Take(Storage* other);
  // A storage with a copy of the values that the engine itself works on, which
  // nobody outside can have changed since the last Touch; null if there is
  // none.
  std::shared_ptr<Storage> CopyOfEngineSide();

  // --- views: memory in Caffe's order that somebody outside holds

  // The memory that a view shows. Whoever holds the pointer may write to it at
  // any time, which counts from the next Touch on.
  std::shared_ptr<Buffer> Lend();
  // The same where nobody has to be waited for: null where a source has to make
  // the values, or another thread is at them.
  std::shared_ptr<Buffer> LendIfThere();
  bool lent() const { return lent_; }
  // Before a forward: what was written through views becomes the truth.
  void Touch();
  // After a forward: views show what the forward made.
  void Sync();
  // Whether somebody holds a view right now.
  bool view_out() const { return caffe_ && caffe_.use_count() > 1; }

  // --- memory that is somebody else's (the plan's arena)

  // The channels-last values on `side` will lie at `memory` from now on, or in
  // memory of the storage's own again where it is null...
  void Bind(Dtype* memory, Side side = Side::kHost);
  // ... and those of 16 bits.
  void BindNarrow(void* memory, Side side);
  // Frees the memory of Dtypes on the GPU where it can be done without: 16 bits
  // are there as well, and the host has the values. Not for whoever is about to
  // read Dtypes there: 16 bits may be left from another precision.
  void DropWide();

  // --- for a graph of kernels, which knows nothing but addresses

  // Which values are true, and where there is memory for them on the GPU (null:
  // nowhere).
  struct Places {
    bool caffe = false, last = false, narrow = false;  // on the GPU
    bool host_caffe = false, host_last = false;
    NarrowPlace narrow_place;
    Geometry geometry;  // of what lies channels last
    const void* caffe_memory = nullptr;
    const void* last_memory = nullptr;
    const void* narrow_memory = nullptr;
    bool SameMemory(const Places& other) const {
      return caffe_memory == other.caffe_memory &&
             last_memory == other.last_memory &&
             narrow_memory == other.narrow_memory;
    }
    // Whether work on the GPU goes the same way. What is true on the host too
    // is of no consequence where all digits are on the GPU.
    bool SameOnGpu(const Places& other) const;
  };
  Places places() const;
  // Of the memory of its own there, whether its values are true or not.
  size_t gpu_bytes() const;
  // Where there are none on the GPU, makes the values true there that were by
  // then, and no others.
  void BringToGpu(const Places& then);
  // A graph has left those on the GPU; `written`: they are other values.
  void Replayed(const Places& now, bool written);
  // What is said of values since then is not so: no kernel ran.
  void Restore(const Places& then);

  // --- packed copies, shared by all layers that share these values

  // The values packed by `pack` (size Dtypes), made anew when they changed; one
  // copy for each `key` that was asked for since then. With `only` this copy
  // replaces those that are not packed, which `unpack` makes again when they
  // are asked for, unless the GPU has one. To be held while it is read.
  using PackFunction = std::function<void(const Dtype* from, Dtype* to)>;
  std::shared_ptr<const Dtype> Packed(uint64_t key, int64_t size,
                                      const PackFunction& pack,
                                      const PackFunction& unpack, bool only);
  // Packed copies never replace the values from now on: somebody may have their
  // address while they are packed, by another name or in another thread.
  void StayUnpacked() {
    std::lock_guard<std::recursive_mutex> lock(mutex_);
    stays_ = true;
  }

 private:
  // What is true now, by place.
  struct Valid {
    bool caffe = false;
    bool last = false;
    bool narrow = false;
    NarrowPlace narrow_place;
    bool wide() const { return caffe || last; }
    bool& at(Order order) { return order == Order::kCaffe ? caffe : last; }
  };
  Valid& valid(Side side) { return side == Side::kHost ? host_ : gpu_; }
  bool on(Side side) const {
    const Valid& valid = side == Side::kHost ? host_ : gpu_;
    return valid.wide() || valid.narrow;
  }
  struct PackedCopy {
    uint64_t key;
    uint64_t version;  // of the values; 0: not packed yet
    std::shared_ptr<Buffer> memory;
  };
  PackedCopy& CopyOf(uint64_t key, size_t bytes);
  // Tells the StorageLog of this thread, if there is one; `made`: whatever was
  // there is lost.
  void Note(bool made);
  void SetOnGpu(const Places& now);
  bool LiesLast(Side side) const;
  const void* Narrow(NarrowPlace place, const Geometry& geometry, Side side);
  void* WriteNarrow(NarrowPlace place, const Geometry& geometry, Side side);
  void* NarrowMemory(Side side);
  // Makes Dtypes of values that are there in 16 bits alone.
  void Widen();
  void WidenTo(Side side, Dtype* to);
  void Materialise(Side side);
  // Makes a place true by one copy and one conversion at most.
  void Bring(Side side, Order order);
  void Fetch(Side side, Order order);
  void Convert(Side side, Order to);
  // The memory of a place.
  Dtype* at(Side side, Order order);
  size_t bytes() const { return static_cast<size_t>(count_) * sizeof(Dtype); }

  int64_t count_ = 0;
  uint64_t version_ = 1;
  bool lent_ = false;
  bool stays_ = false;

  Valid host_, gpu_;
  Geometry last_geometry_;  // of what lies channels last, on both sides
  std::shared_ptr<Buffer> caffe_;
  std::unique_ptr<Buffer> last_, narrow_;
  std::unique_ptr<GpuBuffer> gpu_caffe_, gpu_last_, gpu_narrow_;
  Dtype* bound_ = nullptr;
  Dtype* gpu_bound_ = nullptr;
  void* narrow_bound_ = nullptr;
  void* gpu_narrow_bound_ = nullptr;

  std::vector<PackedCopy> packed_;

  Source source_;
  // Nets that share parameters may run in different threads.
  std::recursive_mutex mutex_;
};

template <typename Dtype>
template <typename Value>
const Value* Storage<Dtype>::data_of(Order order, const Geometry& geometry,
                                     Side side) {
  const void* const values =
      kNarrow<Value> ? Narrow({KindOf<Value>(), order}, geometry, side)
                     : data(order, geometry, side);
  return static_cast<const Value*>(values);
}

template <typename Dtype>
template <typename Value>
Value* Storage<Dtype>::mutable_data_of(Order order, const Geometry& geometry,
                                       Side side) {
  data_of<Value>(order, geometry, side);
  return write_data_of<Value>(order, geometry, side);
}

template <typename Dtype>
template <typename Value>
Value* Storage<Dtype>::write_data_of(Order order, const Geometry& geometry,
                                     Side side) {
  void* const values =
      kNarrow<Value> ? WriteNarrow({KindOf<Value>(), order}, geometry, side)
                     : write_data(order, geometry, side);
  return static_cast<Value*>(values);
}

}  // namespace p3d

#endif  // P3D_ENGINE_STORAGE_HPP_
