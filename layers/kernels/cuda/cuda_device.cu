#include "kernels/cuda/cuda_device.hpp"

// The header that this file implements comes first.
#include <cuda_runtime.h>

#include <atomic>
#include <cstdint>
#include <cstdio>
#include <map>
#include <mutex>

#include "kernels/cuda/cuda_overlap.hpp"
#include "kernels/cuda/start_kernel_cuda.hpp"
#include "kernels/cuda/wgmma_cuda.hpp"
#include "kernels/error.hpp"

#define P3D_TEXT(x) #x
#define P3D_TEXT_OF(x) P3D_TEXT(x)

namespace p3d {
namespace cuda {
namespace {

// As nvcc was told, "750,800,900".
const char kCompiledFor[] = P3D_TEXT_OF((__CUDA_ARCH_LIST__));

void CheckCuda(cudaError_t error, const char* call) {
  if (error == cudaSuccess) return;
  cudaGetLastError();  // or the next call reports it once more
  Fail("the GPU fails in ", call, ": ", cudaGetErrorString(error), " (",
       cudaGetErrorName(error), ")");
}

std::string Version(int version) {
  return std::to_string(version / 1000) + "." +
         std::to_string(version % 1000 / 10);
}

std::string GiB(size_t bytes) {
  char text[32];
  std::snprintf(text, sizeof(text), "%.2f GiB", bytes / 1073741824.);
  return text;
}

// Where this thread launches kernels while it captures a graph.
thread_local cudaStream_t capture_stream = nullptr;

// The device in use and its stream. Every thread of CUDA's has a current device
// of its own, so each call enters it.
class Current {
 public:
  void Use(int device) {
    const std::lock_guard<std::mutex> lock(mutex_);
    if (device == device_) return;
    Check(in_use_ == 0, "GPU ", device_, " holds ", GiB(in_use_),
          " of values; choose a GPU before nets are run");
    CheckCuda(cudaSetDevice(device), "cudaSetDevice");
    cudaStream_t& stream = streams_[device];
    if (!stream) {
      CheckCuda(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking),
                "cudaStreamCreate");
      CheckCuda(
          cudaStreamCreateWithFlags(&copies_[device], cudaStreamNonBlocking),
          "cudaStreamCreate");
      KeepPool(device);
      HasWgmma();  // tries it, which is not to happen while a graph is captured
    }
    stream_ = stream;
    copy_stream_ = copies_[device];
    device_ = device;
  }

  cudaStream_t Enter() const {
    Check(!capture_stream,
          "a graph for the GPU is being captured, which takes only kernels and "
          "what "
          "copies or zeroes on the GPU");
    const std::lock_guard<std::mutex> lock(mutex_);
    if (device_ < 0) return nullptr;
    CheckCuda(cudaSetDevice(device_), "cudaSetDevice");
    return stream_;
  }

  // The stream of copies beside the kernels.
  cudaStream_t EnterCopies() const {
    Enter();
    return copy_stream_;
  }

  void Add(void* memory, size_t bytes) {
    const std::lock_guard<std::mutex> lock(mutex_);
    sizes_[memory] = bytes;
    in_use_ += bytes;
  }
  // An error here is that of earlier work; whoever waits next learns of it.
  void Release(void* memory) noexcept {
    const std::lock_guard<std::mutex> lock(mutex_);
    in_use_ -= sizes_[memory];
    sizes_.erase(memory);
    cudaSetDevice(device_);
    cudaFreeAsync(memory, stream_);
  }

  void Release(cudaGraphExec_t graph) noexcept {
    const std::lock_guard<std::mutex> lock(mutex_);
    cudaSetDevice(device_);
    cudaStreamSynchronize(stream_);
    cudaGraphExecDestroy(graph);
  }

  // Without a device of its own a thread would set GPU 0 up for it.
  void ReleaseHost(void* memory) noexcept {
    cudaSetDevice(device_);
    cudaFreeHost(memory);
  }

  void Release(cudaEvent_t event) noexcept {
    const std::lock_guard<std::mutex> lock(mutex_);
    cudaSetDevice(device_);
    cudaEventDestroy(event);
  }

  int device() const { return device_; }
  void Uncount(void* memory) {
    const std::lock_guard<std::mutex> lock(mutex_);
    in_use_ -= sizes_[memory];
    sizes_.erase(memory);
  }
  size_t in_use() const {
    const std::lock_guard<std::mutex> lock(mutex_);
    return in_use_;
  }

 private:
  // Memory that was released is there for the next allocation at once.
  static void KeepPool(int device) {
    cudaMemPool_t pool;
    CheckCuda(cudaDeviceGetDefaultMemPool(&pool, device),
              "cudaDeviceGetDefaultMemPool");
    uint64_t all = UINT64_MAX;
    CheckCuda(
        cudaMemPoolSetAttribute(pool, cudaMemPoolAttrReleaseThreshold, &all),
        "cudaMemPoolSetAttribute");
  }

  mutable std::mutex mutex_;
  std::map<int, cudaStream_t> streams_, copies_;
  std::map<void*, size_t> sizes_;  // of allocations, in bytes
  size_t in_use_ = 0;              // their sum
  std::atomic<int> device_{-1};
  cudaStream_t stream_ = nullptr, copy_stream_ = nullptr;
};

// Never destroyed: CUDA is gone before static objects are.
Current& TheCurrent() {
  static Current* current = new Current;
  return *current;
}

// Float32 lanes of a multiprocessor.
int Lanes(int major, int minor) {
  return major == 7 || (major == 8 && minor == 0) ? 64 : 128;
}

// A graph in the making: while this lives, kernels of the thread go into it.
// They have a stream of their own, so that other threads' do not.
class Capture {
 public:
  Capture() {
    CheckCuda(cudaStreamCreateWithFlags(&stream_, cudaStreamNonBlocking),
              "cudaStreamCreate");
    const cudaError_t error =
        cudaStreamBeginCapture(stream_, cudaStreamCaptureModeThreadLocal);
    if (error != cudaSuccess) cudaStreamDestroy(stream_);
    CheckCuda(error, "cudaStreamBeginCapture");
    capture_stream = stream_;
  }
  ~Capture() {
    if (capture_stream) End();
    if (graph_) cudaGraphDestroy(graph_);
    cudaGetLastError();
    cudaStreamDestroy(stream_);
  }
  Capture(const Capture&) = delete;
  Capture& operator=(const Capture&) = delete;

  cudaGraphExec_t Finish() {
    CheckCuda(End(), "cudaStreamEndCapture");
    cudaGraphExec_t executable = nullptr;
    CheckCuda(cudaGraphInstantiateWithFlags(&executable, graph_, 0),
              "cudaGraphInstantiate");
    return executable;
  }

 private:
  cudaError_t End() {
    capture_stream = nullptr;
    return cudaStreamEndCapture(stream_, &graph_);
  }

  cudaStream_t stream_ = nullptr;
  cudaGraph_t graph_ = nullptr;
};

class Event {
 public:
  Event() { CheckCuda(cudaEventCreate(&event_), "cudaEventCreate"); }
  ~Event() { cudaEventDestroy(event_); }
  Event(const Event&) = delete;
  Event& operator=(const Event&) = delete;
  cudaEvent_t get() const { return event_; }

 private:
  cudaEvent_t event_ = nullptr;
};

// Bytes, of the pool of the device in use.
size_t OfPool(cudaMemPoolAttr attribute) {
  cudaMemPool_t pool;
  CheckCuda(cudaDeviceGetDefaultMemPool(&pool, TheCurrent().device()),
            "cudaDeviceGetDefaultMemPool");
  uint64_t bytes = 0;
  CheckCuda(cudaMemPoolGetAttribute(pool, attribute, &bytes),
            "cudaMemPoolGetAttribute");
  return static_cast<size_t>(bytes);
}

__global__ void Nothing() {}

// A kernel that was compiled for other GPUs fails when it is launched.
void CheckCompiled(int device) {
  Nothing<<<1, 1>>>();
  const cudaError_t error = cudaGetLastError();
  if (error == cudaSuccess) return;
  const DeviceInfo info = DescribeDevice(device);
  Check(error != cudaErrorNoKernelImageForDevice &&
            error != cudaErrorUnsupportedPtxVersion,
        "GPU ", device, " (", info.name, ") has compute capability ",
        info.major, ".", info.minor, ", the kernels are compiled for ",
        kCompiledFor,
        "; install with -C cmake.define.CMAKE_CUDA_ARCHITECTURES=", info.major,
        info.minor);
  CheckCuda(error, "the first launch of a kernel");
}

}  // namespace

int DeviceCount() {
  int count = 0;
  const cudaError_t error = cudaGetDeviceCount(&count);
  if (error == cudaErrorNoDevice) {
    cudaGetLastError();
    return 0;
  }
  int driver = 0;
  cudaDriverGetVersion(&driver);
  Check(driver > 0,
        "there is no NVIDIA driver (libcuda.so.1); install it, or "
        "use a machine with an NVIDIA GPU");
  Check(error != cudaErrorInsufficientDriver, "the NVIDIA driver knows CUDA ",
        Version(driver), ", this library needs ", Version(CUDART_VERSION),
        "; update the driver, or install with an nvcc of CUDA ", driver / 1000,
        " on the PATH");
  CheckCuda(error, "cudaGetDeviceCount");
  return count;
}

DeviceInfo DescribeDevice(int device) {
  const int count = DeviceCount();
  Check(count > 0,
        "the NVIDIA driver finds no GPU; nvidia-smi -L lists them, "
        "CUDA_VISIBLE_DEVICES can hide them");
  Check(device >= 0 && device < count, "there is no GPU ", device,
        "; this machine has ", count, ", counted from 0");
  cudaDeviceProp properties;
  CheckCuda(cudaGetDeviceProperties(&properties, device),
            "cudaGetDeviceProperties");
  DeviceInfo info;
  info.name = properties.name;
  info.major = properties.major;
  info.minor = properties.minor;
  int kilohertz = 0;
  CheckCuda(cudaDeviceGetAttribute(&kilohertz, cudaDevAttrClockRate, device),
            "cudaDeviceGetAttribute");
  info.gflops = 2e-6 * kilohertz * properties.multiProcessorCount *
                Lanes(info.major, info.minor);
  // Not back to the one before: that would set GPU 0 up, and take its memory,
  // in every process that uses another one alone. Each call enters its own.
  CheckCuda(cudaSetDevice(device), "cudaSetDevice");
  CheckCuda(cudaMemGetInfo(&info.free, &info.memory), "cudaMemGetInfo");
  return info;
}

std::string DeviceSoftware() {
  int driver = 0;
  CheckCuda(cudaDriverGetVersion(&driver), "cudaDriverGetVersion");
  return "CUDA " + Version(CUDART_VERSION) + ", driver for CUDA " +
         Version(driver);
}

void UseDevice(int device) {
  DescribeDevice(device);
  KernelsOverlap() = false;  // until this one is known
  TheCurrent().Use(device);
  CheckCompiled(device);
  KernelsOverlap() = CanOverlap();
}

CUstream_st* DeviceStream() {
  return capture_stream ? capture_stream : TheCurrent().Enter();
}

int DeviceInUse() { return TheCurrent().device(); }

void* DeviceKeep(size_t bytes) {
  void* const memory = DeviceAllocate(bytes);
  TheCurrent().Uncount(memory);
  return memory;
}

void* DeviceAllocate(size_t bytes) {
  const cudaStream_t stream = TheCurrent().Enter();
  void* memory = nullptr;
  const cudaError_t error =
      cudaMallocAsync(&memory, bytes > 0 ? bytes : 1, stream);
  if (error == cudaErrorMemoryAllocation) {
    cudaGetLastError();
    const int device = TheCurrent().device();
    const DeviceInfo info = DescribeDevice(device);
    throw OutOfMemory("GPU " + std::to_string(device) + " (" + info.name +
                      ", " + GiB(info.memory) + ") has no room for " +
                      GiB(bytes) + " more: " + GiB(TheCurrent().in_use()) +
                      " are in use here, " + GiB(info.free) +
                      " are free; a smaller batch needs less");
  }
  CheckCuda(error, "cudaMallocAsync");
  TheCurrent().Add(memory, bytes);
  return memory;
}

void DeviceRelease(void* memory) noexcept {
  if (memory) TheCurrent().Release(memory);
}

size_t DeviceBytesInUse() { return TheCurrent().in_use(); }

// What the pool keeps for later allocations is free as well.
size_t DeviceFree() {
  TheCurrent().Enter();
  size_t free = 0, all = 0;
  CheckCuda(cudaMemGetInfo(&free, &all), "cudaMemGetInfo");
  return free + OfPool(cudaMemPoolAttrReservedMemCurrent) -
         OfPool(cudaMemPoolAttrUsedMemCurrent);
}

size_t DeviceMostReserved() {
  TheCurrent().Enter();
  return OfPool(cudaMemPoolAttrReservedMemHigh);
}

void CopyToDevice(void* to, const void* from, size_t bytes) {
  const cudaStream_t stream = TheCurrent().Enter();
  CheckCuda(cudaMemcpyAsync(to, from, bytes, cudaMemcpyHostToDevice, stream),
            "cudaMemcpyAsync");
  // The host may change `from` from now on.
  CheckCuda(cudaStreamSynchronize(stream), "cudaStreamSynchronize");
}

void CopyToHost(void* to, const void* from, size_t bytes) {
  const cudaStream_t stream = TheCurrent().Enter();
  CheckCuda(cudaMemcpyAsync(to, from, bytes, cudaMemcpyDeviceToHost, stream),
            "cudaMemcpyAsync");
  CheckCuda(cudaStreamSynchronize(stream), "cudaStreamSynchronize");
}

// A graph takes nothing of no bytes.
void CopyOnDevice(void* to, const void* from, size_t bytes) {
  if (bytes == 0) return;
  CheckCuda(cudaMemcpyAsync(to, from, bytes, cudaMemcpyDeviceToDevice,
                            DeviceStream()),
            "cudaMemcpyAsync");
}

void ZeroOnDevice(void* memory, size_t bytes) {
  if (bytes == 0) return;
  CheckCuda(cudaMemsetAsync(memory, 0, bytes, DeviceStream()),
            "cudaMemsetAsync");
}

void DeviceSynchronize() {
  CheckCuda(cudaStreamSynchronize(TheCurrent().Enter()),
            "cudaStreamSynchronize");
}

void* HostAllocate(size_t bytes) {
  TheCurrent().Enter();
  void* memory = nullptr;
  const cudaError_t error =
      cudaHostAlloc(&memory, bytes > 0 ? bytes : 1, cudaHostAllocDefault);
  if (error == cudaErrorMemoryAllocation) {
    cudaGetLastError();
    throw OutOfMemory("no " + GiB(bytes) +
                      " of the host's memory can be page-locked; a smaller "
                      "batch needs less");
  }
  CheckCuda(error, "cudaHostAlloc");
  return memory;
}

// An error here is that of earlier work; whoever waits next learns of it.
void HostRelease(void* memory) noexcept {
  if (memory) TheCurrent().ReleaseHost(memory);
}

CUevent_st* CreateEvent() {
  TheCurrent().Enter();
  cudaEvent_t event = nullptr;
  CheckCuda(cudaEventCreateWithFlags(&event, cudaEventDisableTiming),
            "cudaEventCreate");
  return event;
}

void ReleaseEvent(CUevent_st* event) noexcept {
  if (event) TheCurrent().Release(event);
}

void RecordEvent(CUevent_st* event) {
  CheckCuda(cudaEventRecord(event, TheCurrent().Enter()), "cudaEventRecord");
}

void DeviceWait(CUevent_st* event) {
  CheckCuda(cudaStreamWaitEvent(TheCurrent().Enter(), event, 0),
            "cudaStreamWaitEvent");
}

void HostWait(CUevent_st* event) {
  TheCurrent().Enter();
  CheckCuda(cudaEventSynchronize(event), "cudaEventSynchronize");
}

void CopyAhead(void* to, const void* from, size_t bytes, CUevent_st* after,
               CUevent_st* done) {
  const cudaStream_t stream = TheCurrent().EnterCopies();
  CheckCuda(cudaStreamWaitEvent(stream, after, 0), "cudaStreamWaitEvent");
  CheckCuda(cudaMemcpyAsync(to, from, bytes, cudaMemcpyHostToDevice, stream),
            "cudaMemcpyAsync");
  CheckCuda(cudaEventRecord(done, stream), "cudaEventRecord");
}

void CopyBack(void* to, const void* from, size_t bytes) {
  CheckCuda(cudaMemcpyAsync(to, from, bytes, cudaMemcpyDeviceToHost,
                            TheCurrent().Enter()),
            "cudaMemcpyAsync");
}
double DeviceSeconds(const std::function<void()>& launch) {
  const cudaStream_t stream = TheCurrent().Enter();
  const Event begin, end;
  CheckCuda(cudaEventRecord(begin.get(), stream), "cudaEventRecord");
  launch();
  CheckCuda(cudaEventRecord(end.get(), stream), "cudaEventRecord");
  CheckCuda(cudaEventSynchronize(end.get()), "cudaEventSynchronize");
  float milliseconds = 0;
  CheckCuda(cudaEventElapsedTime(&milliseconds, begin.get(), end.get()),
            "cudaEventElapsedTime");
  return milliseconds / 1000.;
}

bool DeviceCapturing() { return capture_stream != nullptr; }

CUgraphExec_st* CaptureGraph(const std::function<void()>& launch) {
  TheCurrent().Enter();
  Capture capture;
  launch();
  return capture.Finish();
}

void LaunchGraph(CUgraphExec_st* graph) {
  CheckCuda(cudaGraphLaunch(graph, TheCurrent().Enter()), "cudaGraphLaunch");
}

void ReleaseGraph(CUgraphExec_st* graph) noexcept {
  if (graph) TheCurrent().Release(graph);
}

}  // namespace cuda
}  // namespace p3d
