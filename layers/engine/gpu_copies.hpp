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

// Memory of the host from and to which a GPU copies by itself, and the moment
// from which it may be touched.
class LockedBuffer {
 public:
  explicit LockedBuffer(size_t bytes)
      : bytes_(bytes), data_(Gpu().HostAllocate(bytes)) {}
  ~LockedBuffer();
  LockedBuffer(const LockedBuffer&) = delete;
  LockedBuffer& operator=(const LockedBuffer&) = delete;

  void* data() const { return data_; }
  size_t bytes() const { return bytes_; }
  // Behind the last copy.
  CUevent_st* event() const { return event_.get(); }
  void Wait() const { Gpu().HostWait(event_.get()); }

 private:
  GpuEvent event_;
  size_t bytes_;
  void* data_;
};

// Where values arrive on the GPU while it still works on the last ones: one of
// two buffers is filled while the other is copied.
class Landing {
 public:
  // Throws OutOfMemory.
  explicit Landing(size_t bytes);

  // The buffer to fill; waits until it may be.
  void* Next() const;
  // Copies it; `launch` is given what arrived, and launches kernels that read
  // it.
  template <typename Launch>
  void Send(const Launch& launch) {
    launch(Copy());
    Gpu().RecordEvent(read_.get());
  }

 private:
  void* Copy();

  std::array<std::unique_ptr<LockedBuffer>, 2> buffers_;
  int next_ = 0;
  GpuBuffer memory_;
  GpuEvent read_;  // behind the reading of what arrived last
};

// Brings values to a blob on the GPU while the net still runs on the last ones.
//
//   while (...) {
//     Fill(feed.Next());
//     feed.Send(&blob);
//     net.Forward();
//   }
//
// They arrive in memory of the feed's own and are brought into the blob's,
// whose address a PlanGraph knows, in the order of what the GPU does.
class GpuFeed {
 public:
  // For blobs of `count` values. Throws OutOfMemory.
  explicit GpuFeed(int64_t count)
      : count_(count), landing_(static_cast<size_t>(count) * sizeof(float)) {}

  // An array to fill, in Caffe's order; waits until it may be.
  float* Next() const { return static_cast<float*>(landing_.Next()); }
  // The blob has those values from now on. Throws Error for another count.
  void Send(Blob<float>* blob);

 private:
  int64_t count_;
  Landing landing_;
};

// The same for pixels of 8 bits, a quarter of the bytes, which become floats,
// or values of 16 bits, on the GPU.
class GpuPixelFeed {
 public:
  // What to fill: pixels[n, c, p], mean[n, c, means], scale[n, c]; see
  // pixels_cuda.hpp.
  struct Batch {
    uint8_t* pixels;
    float* mean;
    float* scale;
  };

  // For blobs of this geometry and so many means per channel, which divide its
  // pixels. Throws OutOfMemory, and Error where they do not.
  GpuPixelFeed(const Geometry& geometry, int64_t means);

  Batch Next() const { return At(landing_.Next()); }
  void Send(Blob<float>* blob);

  const Geometry& geometry() const { return geometry_; }
  int64_t means() const { return means_; }

 private:
  // Of one of the buffers.
  size_t bytes() const;
  Batch At(void* buffer) const;

  Geometry geometry_;
  int64_t means_;
  Landing landing_;
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
