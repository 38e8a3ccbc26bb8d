#include "engine/gpu.hpp"

#include <dlfcn.h>

#include <algorithm>
#include <atomic>
#include <mutex>

#include "kernels/error.hpp"

namespace p3d {
namespace {

std::atomic<Side> the_mode{Side::kHost};
std::atomic<Precision> the_precision{Precision::kFloat32};
std::atomic<const cuda::Functions*> the_functions{nullptr};

// What SteadyMode keeps, and how many of them live.
thread_local Side steady_mode = Side::kHost;
thread_local Precision steady_precision = Precision::kFloat32;
thread_local int steady_modes = 0;

thread_local GpuStack* the_stack = nullptr;

const char* Reason() {
  const char* reason = dlerror();
  return reason ? reason : "for no stated reason";
}

}  // namespace

Side mode() { return steady_modes > 0 ? steady_mode : the_mode.load(); }

void set_mode(Side side) {
  Check(side == Side::kHost || Gpu().DeviceStream(),
        "no GPU was chosen; call set_device first");
  the_mode = side;
}

Precision precision() {
  return steady_modes > 0 ? steady_precision : the_precision.load();
}

void set_precision(Precision precision) { the_precision = precision; }

SteadyMode::SteadyMode() {
  steady_mode = mode();
  steady_precision = precision();
  ++steady_modes;
}
SteadyMode::~SteadyMode() { --steady_modes; }

void Finish() {
  if (mode() == Side::kGpu) Gpu().DeviceSynchronize();
}

GpuStack::Use::Use(GpuStack* stack) : before_(the_stack) { the_stack = stack; }
GpuStack::Use::~Use() { the_stack = before_; }

GpuStack::Place::Place(size_t bytes)
    : stack_(the_stack),
      bytes_((std::max<size_t>(bytes, 1) + 255) / 256 * 256) {
  if (!stack_) return;
  const size_t begin = stack_->used_;
  stack_->used_ += bytes_;
  stack_->most_ = std::max(stack_->most_, stack_->used_);
  if (!stack_->buffer_ || stack_->used_ > stack_->buffer_->bytes()) return;
  data_ = static_cast<char*>(stack_->buffer_->data()) + begin;
}
GpuStack::Place::~Place() {
  if (stack_) stack_->used_ -= bytes_;
}

void GpuStack::Grow() {
  if (most_ == 0 || (buffer_ && buffer_->bytes() >= most_)) return;
  buffer_.reset();
  buffer_.reset(new GpuBuffer(most_));
}

void LoadGpu(const std::string& path) {
  static std::mutex mutex;
  const std::lock_guard<std::mutex> lock(mutex);
  if (the_functions) return;
  void* const library = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  Check(library, "the GPU library cannot be loaded: ", Reason());
  using Entry = const cuda::Functions* (*)();
  const auto entry =
      reinterpret_cast<Entry>(dlsym(library, "p3d_cuda_functions"));
  Check(entry, path, " is no GPU library of caffe-p3d: ", Reason());
  const cuda::Functions* const functions = entry();
  Check(functions->version == cuda::kFunctionsVersion &&
            functions->size == sizeof(cuda::Functions),
        path, " is of another build of caffe-p3d (version ", functions->version,
        ", this one takes ", cuda::kFunctionsVersion, "); install both again");
  the_functions = functions;
}

const cuda::Functions& Gpu() {
  const cuda::Functions* const functions = the_functions;
  Check(functions, "no GPU library is loaded");
  return *functions;
}

template <>
GpuKernels<float> GpuOf<float>() {
  return {Gpu().of_float, Gpu().DeviceStream()};
}
template <>
GpuKernels<double> GpuOf<double>() {
  return {Gpu().of_double, Gpu().DeviceStream()};
}
template <>
GpuKernels<Tf32> GpuOf<Tf32>() {
  return {Gpu().of_tf32, Gpu().DeviceStream()};
}
template <>
GpuKernels<Bf16> GpuOf<Bf16>() {
  return {Gpu().of_bf16, Gpu().DeviceStream()};
}
template <>
GpuKernels<Fp16> GpuOf<Fp16>() {
  return {Gpu().of_fp16, Gpu().DeviceStream()};
}

}  // namespace p3d
