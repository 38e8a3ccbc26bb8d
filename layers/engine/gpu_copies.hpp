#ifndef P3D_ENGINE_GPU_COPIES_HPP_
#define P3D_ENGINE_GPU_COPIES_HPP_

#include <array>
#include <cstdint>
#include <memory>

#include "engine/blob.hpp"
#include "engine/gpu.hpp"

namespace p3d {

class GpuEvent {
 public:
  GpuEvent() : event_(Gpu().CreateEvent()) {}
  ~GpuEvent() { Gpu().ReleaseEvent(event_); }
  GpuEvent(const GpuEvent&) = delete;
  GpuEvent& operator=(const GpuEvent&) = delete;
  CUevent_st* get() const { return event_; }

 private:
  CUevent_st* event_;
};

// Memory of the host from and to which a GPU copies by itself, in Caffe's
// order, and the moment from which it may be touched.
class LockedBuffer {
 public:
  explicit LockedBuffer(size_t bytes)
      : bytes_(bytes), data_(Gpu().HostAllocate(bytes)) {}
  ~LockedBuffer();
  LockedBuffer(const LockedBuffer&) = delete;
  LockedBuffer& operator=(const LockedBuffer&) = delete;

  float* data() const { return static_cast<float*>(data_); }
  size_t bytes() const { return bytes_; }
  // Behind the last copy.
  CUevent_st* event() const { return event_.get(); }
  void Wait() const { Gpu().HostWait(event_.get()); }

 private:
  GpuEvent event_;
  size_t bytes_;
  void* data_;
};

// Brings values to a blob on the GPU while the net still runs on the last ones:
// one of two buffers is filled while the other is copied.
//
//   while (...) {
//     Fill(feed.Next());
//     feed.Send();
//     net.Forward();
//   }
//
// Values arrive in memory of the feed's own and are brought into the blob's,
// whose address a PlanGraph knows, in the order of what the GPU does.
class GpuFeed {
 public:
  // For the blob's present shape. Throws OutOfMemory.
  explicit GpuFeed(Blob<float>* blob);

  // An array to fill, in Caffe's order; waits until it may be.
  float* Next() const;
  // The blob has those values from now on.
  void Send();

 private:
  Blob<float>* blob_;
  int64_t count_;
  std::array<std::unique_ptr<LockedBuffer>, 2> buffers_;
  int next_ = 0;
  GpuBuffer landing_;
  GpuEvent read_;  // behind the reading of what landed last
};

// Takes a blob's values of now back from the GPU while the net goes on.
class GpuFetch {
 public:
  // Begins; values on the host are copied at once. Throws OutOfMemory.
  void Begin(const Blob<float>& blob);
  // Waits for them: in Caffe's order, there until the next Begin.
  const float* Values() const;

 private:
  std::unique_ptr<LockedBuffer> buffer_;
};

}  // namespace p3d

#endif  // P3D_ENGINE_GPU_COPIES_HPP_
