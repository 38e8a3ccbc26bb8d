#ifndef P3D_ENGINE_GPU_HPP_
#define P3D_ENGINE_GPU_HPP_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "kernels/buffer.hpp"
#include "kernels/cuda/cuda_functions.hpp"

namespace p3d {

// Where values lie and arithmetic is done.
enum class Side { kHost, kGpu };

// Where layers run from now on, those that can; as Caffe's mode.
Side mode();
// Throws Error for kGpu where no device is in use.
void set_mode(Side side);

// What values between layers are, and what products take of them (see
// narrow.hpp). Sums, parameters and their gradients are floats always, and so
// are the values of layers that have no kernels for fewer digits. On the host
// bfloat16 alone is another than floats, for convolutions (see KindOfValues).
Precision precision();
// From now on. Nothing changes for nets of doubles.
void set_precision(Precision precision);

// While it lives, mode() and precision() do not change for this thread, whoever
// sets them: what has begun in one way ends so.
class SteadyMode {
 public:
  SteadyMode();
  ~SteadyMode();
  SteadyMode(const SteadyMode&) = delete;
  SteadyMode& operator=(const SteadyMode&) = delete;
};

// Waits for the GPU in GPU mode, so that a clock tells what was done.
void Finish();

// Loads the library with the kernels for GPUs, once. Throws Error where it
// cannot be loaded or is of another build.
void LoadGpu(const std::string& path);
// The functions of that library; throws Error where none is loaded.
const cuda::Functions& Gpu();

// The kernels of one kind of values, and the stream of the device in use to
// give them.
template <typename Value>
struct GpuKernels : cuda::Kernels<Value> {
  GpuKernels(const cuda::Kernels<Value>& kernels, CUstream_st* stream)
      : cuda::Kernels<Value>(kernels), stream(stream) {}
  CUstream_st* const stream;
};
template <typename Value>
GpuKernels<Value> GpuOf();

// Memory on the device in use, undefined at first, that its owner can neither
// copy nor grow.
class GpuBuffer {
 public:
  explicit GpuBuffer(size_t bytes)
      : data_(Gpu().DeviceAllocate(bytes)), bytes_(bytes) {}
  ~GpuBuffer() { Gpu().DeviceRelease(data_); }
  GpuBuffer(const GpuBuffer&) = delete;
  GpuBuffer& operator=(const GpuBuffer&) = delete;

  void* data() const { return data_; }
  size_t bytes() const { return bytes_; }

 private:
  void* data_;
  size_t bytes_;
};

// Memory on `side`, zeroed or undefined, for a plan.
class SideBuffer {
 public:
  SideBuffer(Side side, size_t bytes) : side_(side), bytes_(bytes) {
    if (side == Side::kHost) {
      host_.reset(new Buffer(bytes));
    } else {
      gpu_.reset(new GpuBuffer(bytes));
    }
  }
  Side side() const { return side_; }
  size_t bytes() const { return bytes_; }
  void* data() const { return host_ ? host_->data() : gpu_->data(); }

 private:
  Side side_;
  size_t bytes_;
  std::unique_ptr<Buffer> host_;
  std::unique_ptr<GpuBuffer> gpu_;
};

// Memory for the GpuScratches of some work, one behind the other. It stays
// where it is from one run of the work to the next, as kernels in a graph need
// it.
class GpuStack {
 public:
  // While it lives, GpuScratches of this thread lie on `stack`.
  class Use {
   public:
    explicit Use(GpuStack* stack);
    ~Use();
    Use(const Use&) = delete;
    Use& operator=(const Use&) = delete;

   private:
    GpuStack* const before_;
  };

  // Bytes on the stack in use, if there is one; those that came last go first.
  class Place {
   public:
    explicit Place(size_t bytes);
    ~Place();
    Place(const Place&) = delete;
    Place& operator=(const Place&) = delete;
    // Null where there is no room for them, yet or at all.
    void* data() const { return data_; }

   private:
    GpuStack* const stack_;
    const size_t bytes_;
    void* data_ = nullptr;
  };

  // Makes room for the most that was on it at a time. Throws OutOfMemory.
  void Grow();
  const void* memory() const { return buffer_ ? buffer_->data() : nullptr; }
  size_t bytes() const { return buffer_ ? buffer_->bytes() : 0; }

 private:
  size_t used_ = 0, most_ = 0;
  std::unique_ptr<GpuBuffer> buffer_;
};

// GpuBuffer as an array, for the length of a function. Its memory may be used
// again at once: what the device does happens in one order.
template <typename T>
class GpuScratch {
 public:
  explicit GpuScratch(int64_t count)
      : place_(static_cast<size_t>(count) * sizeof(T)) {
    if (place_.data()) return;
    buffer_.reset(new GpuBuffer(static_cast<size_t>(count) * sizeof(T)));
  }
  T* data() const {
    return static_cast<T*>(buffer_ ? buffer_->data() : place_.data());
  }

 private:
  const GpuStack::Place place_;
  std::unique_ptr<GpuBuffer> buffer_;
};

// An array that stays where it is for as long as it need not grow: memory of a
// layer's own, as kernels in a graph need it.
template <typename T>
class GpuMemory {
 public:
  // At least `count` of them, undefined.
  T* Hold(int64_t count) {
    const size_t bytes = static_cast<size_t>(count) * sizeof(T);
    if (!buffer_ || buffer_->bytes() < bytes)
      buffer_.reset(new GpuBuffer(bytes));
    return data();
  }
  T* data() const { return static_cast<T*>(buffer_->data()); }

 private:
  std::unique_ptr<GpuBuffer> buffer_;
};

}  // namespace p3d

#endif  // P3D_ENGINE_GPU_HPP_
