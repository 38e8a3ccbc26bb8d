// CUDA's runtime for a GPU that is none: programs that nvcc compiled (to PTX,
// with --no-compress) and that are linked with this instead of libcudart run
// their kernels as block.hpp says. What is asked of the GPU is done at once.
//
//   - What a kernel does wrong ends with a line on stderr; that launch and
//     whatever is asked from then on fail as with a real GPU that met a wrong
//     address.
//   - Its compute capability is $P3D_SIMULATED_CAPABILITY (default 9.0), its
//     memory that of device_memory.hpp.
//   - Kernels may begin before earlier ones have ended if that is asked for, or
//     $P3D_SIMULATED_OVERLAP is 1.
//   - $P3D_PTX_PROFILE names a file for what kernels ask of a GPU, see
//     profile.hpp.
//   - While a stream is captured, kernels, and what copies or zeroes on the
//     GPU, are noted down; copies of the host's memory, and whatever waits or
//     allocates, are errors.

#include <cuda_runtime.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "block.hpp"
#include "device_memory.hpp"
#include "fat_binary.hpp"
#include "profile.hpp"
#include "program.hpp"

namespace {

using ptx::DeviceMemory;
using ptx::Kernel;
using Graph = std::vector<std::function<cudaError_t()>>;

int Capability() {
  return static_cast<int>(10 * ptx::Setting("P3D_SIMULATED_CAPABILITY", 9) +
                          0.5);
}

// A kernel of a program, parsed when it is first needed.
struct Function {
  std::shared_ptr<const std::string> module;
  std::string name;
  std::unique_ptr<Kernel> kernel;
  size_t most_shared = 48 << 10;  // bytes that a launch may ask for
};

// Never destroyed: programs' static objects may outlive it.
struct Device {
  DeviceMemory memory;
  std::recursive_mutex mutex;
  std::map<const void*, Function> functions;  // by the host's
  cudaError_t fault = cudaSuccess;            // that the GPU met
  uint32_t launches = 0;                      // that have run
};

Device& TheDevice() {
  static Device* device = new Device;
  return *device;
}

thread_local cudaError_t last_error = cudaSuccess;
thread_local Graph* capture = nullptr;
thread_local cudaStream_t captured = nullptr;

cudaError_t Return(cudaError_t error) {
  if (error == cudaSuccess) error = TheDevice().fault;
  if (error != cudaSuccess) last_error = error;
  return error;
}

// For calls that a graph does not take.
cudaError_t ReturnUncaptured() {
  return Return(capture ? cudaErrorStreamCaptureUnsupported : cudaSuccess);
}

// Now, or when the graph is launched.
cudaError_t Do(cudaStream_t stream, std::function<cudaError_t()> work) {
  if (capture && stream == captured) {
    capture->push_back(std::move(work));
    return cudaSuccess;
  }
  if (capture) return Return(cudaErrorStreamCaptureImplicit);
  const std::lock_guard<std::recursive_mutex> lock(TheDevice().mutex);
  if (TheDevice().fault != cudaSuccess) return Return(cudaSuccess);
  return Return(work());
}

// Blocks on all processors. Throws what one of them met.
void RunBlocks(const ptx::Launch& launch) {
  const int64_t count = int64_t{launch.grid.x} * launch.grid.y * launch.grid.z;
  std::atomic<int64_t> next{0};
  std::mutex mutex;
  std::exception_ptr error;
  ptx::Counts counts;
  counts.launches = 1;
  const auto work = [&] {
    try {
      ptx::Block block(launch);
      for (int64_t i = next++; i < count; i = next++)
        block.Run(ptx::Block::Backwards() ? count - 1 - i : i);
      const std::lock_guard<std::mutex> lock(mutex);
      counts += block.counts();
    } catch (const std::exception&) {
      const std::lock_guard<std::mutex> lock(mutex);
      if (!error) error = std::current_exception();
      next = count;
    }
  };
  const int64_t processors = std::thread::hardware_concurrency();
  std::vector<std::thread> others;
  // A thread has two blocks at least: two alone run in a certain order.
  for (int64_t i = 1; i < std::min(processors, count / 2); ++i)
    others.emplace_back(work);
  work();
  for (std::thread& other : others) other.join();
  if (error) std::rethrow_exception(error);
  if (ptx::Profiling()) ptx::AddToProfile(*launch.kernel, counts);
}

cudaError_t RunKernel(ptx::Launch launch) {
  Device& device = TheDevice();
  const std::lock_guard<std::recursive_mutex> lock(device.mutex);
  launch.number = ++device.launches;
  try {
    RunBlocks(launch);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "PTX: %s\n", error.what());
    device.fault = cudaErrorIllegalAddress;
  }
  return device.fault;
}

cudaError_t Launch(const void* function, dim3 grid, dim3 block, void** args,
                   size_t shared_bytes, cudaStream_t stream,
                   bool overlaps = false) {
  Device& device = TheDevice();
  const std::lock_guard<std::recursive_mutex> lock(device.mutex);
  const auto found = device.functions.find(function);
  if (found == device.functions.end())
    return Return(cudaErrorInvalidDeviceFunction);
  Function& registered = found->second;
  if (registered.module->empty())
    return Return(cudaErrorNoKernelImageForDevice);
  try {
    if (!registered.kernel) {
      registered.kernel = std::make_unique<Kernel>(
          ptx::ParseKernel(*registered.module, registered.name));
    }
  } catch (const std::exception& error) {
    std::fprintf(stderr, "PTX: %s\n", error.what());
    return Return(cudaErrorInvalidPtx);
  }
  const Kernel& kernel = *registered.kernel;
  const int64_t threads = int64_t{block.x} * block.y * block.z;
  if (threads < 1 || threads > kernel.max_threads || grid.x < 1 ||
      grid.x > 0x7fffffff || grid.y < 1 || grid.y > 65535 || grid.z < 1 ||
      grid.z > 65535 || block.z > 64 || kernel.shared_bytes > 48 << 10 ||
      shared_bytes > registered.most_shared) {
    return Return(cudaErrorInvalidConfiguration);
  }
  overlaps |= ptx::Setting("P3D_SIMULATED_OVERLAP", 0) != 0;
  ptx::Launch launch{&kernel,
                     {grid.x, grid.y, grid.z},
                     {block.x, block.y, block.z},
                     std::vector<char>(kernel.parameter_bytes),
                     &device.memory,
                     static_cast<int>(shared_bytes),
                     overlaps};
  for (size_t i = 0; i < kernel.parameters.size(); ++i) {
    std::memcpy(&launch.parameters[kernel.parameters[i].offset], args[i],
                kernel.parameters[i].size);
  }
  return Do(stream, [launch] { return RunKernel(launch); });
}

struct Configuration {
  dim3 grid, block;
  size_t shared_bytes;
  cudaStream_t stream;
};
thread_local std::vector<Configuration> configurations;

cudaError_t Copy(void* to, const void* from, size_t bytes,
                 cudaMemcpyKind kind) {
  if (bytes == 0) return cudaSuccess;
  DeviceMemory& memory = TheDevice().memory;
  const bool to_host = kind == cudaMemcpyDeviceToHost,
             from_host = kind == cudaMemcpyHostToDevice;
  if (kind != cudaMemcpyDefault &&
      ((!to_host && !memory.Holds(to, bytes)) ||
       (!from_host && !memory.Holds(from, bytes)))) {
    std::fprintf(stderr, "PTX: a copy of %zu bytes leaves the GPU's memory\n",
                 bytes);
    return cudaErrorInvalidValue;
  }
  std::memmove(to, from, bytes);
  return cudaSuccess;
}

using Clock = std::chrono::steady_clock;

}  // namespace

struct CUevent_st {
  Clock::time_point time;
};

extern "C" {

// What nvcc writes into programs.

void** __cudaRegisterFatBinary(void* wrapper) {
  auto* module = new std::shared_ptr<const std::string>;
  try {
    *module =
        std::make_shared<const std::string>(ptx::PtxOf(wrapper, Capability()));
  } catch (const std::exception& error) {
    std::fprintf(stderr, "PTX: %s\n", error.what());
    *module = std::make_shared<const std::string>();
  }
  return reinterpret_cast<void**>(module);
}
void __cudaRegisterFatBinaryEnd(void**) {}
void __cudaUnregisterFatBinary(void**) {}
char __cudaInitModule(void**) { return 1; }
void __cudaRegisterFunction(void** module, const char* host, char*,
                            const char* name, int, uint3*, uint3*, dim3*, dim3*,
                            int*) {
  Device& device = TheDevice();
  const std::lock_guard<std::recursive_mutex> lock(device.mutex);
  Function& function = device.functions[host];
  function.module =
      *reinterpret_cast<std::shared_ptr<const std::string>*>(module);
  function.name = name;
  function.kernel.reset();
}
unsigned __cudaPushCallConfiguration(dim3 grid, dim3 block, size_t shared_bytes,
                                     CUstream_st* stream) {
  configurations.push_back({grid, block, shared_bytes, stream});
  return 0;
}
cudaError_t __cudaPopCallConfiguration(dim3* grid, dim3* block,
                                       size_t* shared_bytes, void* stream) {
  const Configuration popped = configurations.back();
  configurations.pop_back();
  *grid = popped.grid;
  *block = popped.block;
  *shared_bytes = popped.shared_bytes;
  *static_cast<cudaStream_t*>(stream) = popped.stream;
  return cudaSuccess;
}
cudaError_t __cudaGetKernel(cudaKernel_t* kernel, const void* function) {
  *kernel = reinterpret_cast<cudaKernel_t>(const_cast<void*>(function));
  return cudaSuccess;
}
cudaError_t __cudaLaunchKernel(cudaKernel_t kernel, dim3 grid, dim3 block,
                               void** args, size_t shared_bytes,
                               cudaStream_t stream) {
  return Launch(kernel, grid, block, args, shared_bytes, stream);
}
cudaError_t cudaLaunchKernel(const void* function, dim3 grid, dim3 block,
                             void** args, size_t shared_bytes,
                             cudaStream_t stream) {
  return Launch(function, grid, block, args, shared_bytes, stream);
}
cudaError_t cudaLaunchKernelExC(const cudaLaunchConfig_t* config,
                                const void* function, void** args) {
  bool overlaps = false;
  for (unsigned i = 0; i < config->numAttrs; ++i) {
    // The only attribute that is used.
    const cudaLaunchAttribute& attribute = config->attrs[i];
    if (attribute.id != cudaLaunchAttributeProgrammaticStreamSerialization)
      return Return(cudaErrorInvalidValue);
    overlaps |= attribute.val.programmaticStreamSerializationAllowed != 0;
  }
  return Launch(function, config->gridDim, config->blockDim, args,
                config->dynamicSmemBytes, config->stream, overlaps);
}
cudaError_t cudaFuncGetAttributes(cudaFuncAttributes* attributes,
                                  const void* function) {
  *attributes = {};
  const auto found = TheDevice().functions.find(function);
  if (found == TheDevice().functions.end())
    return Return(cudaErrorInvalidDeviceFunction);
  const std::string& module = *found->second.module;
  const size_t target = module.find(".target sm_");
  if (target == std::string::npos)
    return Return(cudaErrorNoKernelImageForDevice);
  attributes->ptxVersion = std::atoi(&module[target + 11]);
  attributes->binaryVersion = Capability();
  return Return(cudaSuccess);
}

cudaError_t cudaFuncSetAttribute(const void* function, cudaFuncAttribute which,
                                 int value) {
  const auto found = TheDevice().functions.find(function);
  if (found == TheDevice().functions.end())
    return Return(cudaErrorInvalidDeviceFunction);
  // Of capability 9.0; the only attribute that is used.
  if (which != cudaFuncAttributeMaxDynamicSharedMemorySize || value < 0 ||
      value > 227 << 10)
    return Return(cudaErrorInvalidValue);
  found->second.most_shared = value;
  return Return(cudaSuccess);
}

// Errors.

cudaError_t cudaGetLastError() {
  const cudaError_t error = last_error;
  last_error = TheDevice().fault;
  return error;
}
const char* cudaGetErrorName(cudaError_t error) {
  switch (error) {
    case cudaSuccess:
      return "cudaSuccess";
    case cudaErrorMemoryAllocation:
      return "cudaErrorMemoryAllocation";
    case cudaErrorIllegalAddress:
      return "cudaErrorIllegalAddress";
    case cudaErrorInvalidConfiguration:
      return "cudaErrorInvalidConfiguration";
    case cudaErrorInvalidPtx:
      return "cudaErrorInvalidPtx";
    case cudaErrorStreamCaptureUnsupported:
      return "cudaErrorStreamCaptureUnsupported";
    default:
      return "another error of the PTX machine";
  }
}
const char* cudaGetErrorString(cudaError_t error) {
  return cudaGetErrorName(error);
}

// The device.

cudaError_t cudaGetDeviceCount(int* count) {
  *count = 1;
  return cudaSuccess;
}
cudaError_t cudaGetDevice(int* device) {
  *device = 0;
  return cudaSuccess;
}
cudaError_t cudaSetDevice(int) { return Return(cudaSuccess); }
cudaError_t cudaDriverGetVersion(int* version) {
  *version = CUDART_VERSION;
  return cudaSuccess;
}
cudaError_t cudaGetDeviceProperties(cudaDeviceProp* properties, int) {
  *properties = {};
  std::strcpy(properties->name, "PTX on the host");
  properties->major = Capability() / 10;
  properties->minor = Capability() % 10;
  properties->multiProcessorCount = 1;
  properties->totalGlobalMem = DeviceMemory::size();
  return Return(cudaSuccess);
}
cudaError_t cudaDeviceGetAttribute(int* value, cudaDeviceAttr, int) {
  *value = 1;
  return Return(cudaSuccess);
}

// Memory.

cudaError_t cudaMallocAsync(void** memory, size_t bytes, cudaStream_t) {
  if (capture) return ReturnUncaptured();
  *memory = TheDevice().memory.Allocate(bytes);
  return Return(*memory ? cudaSuccess : cudaErrorMemoryAllocation);
}
cudaError_t cudaMalloc(void** memory, size_t bytes) {
  return cudaMallocAsync(memory, bytes, nullptr);
}
cudaError_t cudaFreeAsync(void* memory, cudaStream_t) {
  const std::lock_guard<std::recursive_mutex> lock(TheDevice().mutex);
  if (!memory) return Return(cudaSuccess);
  return Return(TheDevice().memory.Release(memory) ? cudaSuccess
                                                   : cudaErrorInvalidValue);
}
cudaError_t cudaFree(void* memory) { return cudaFreeAsync(memory, nullptr); }
cudaError_t cudaHostAlloc(void** memory, size_t bytes, unsigned) {
  if (capture) return ReturnUncaptured();
  *memory = std::malloc(bytes);
  return Return(*memory ? cudaSuccess : cudaErrorMemoryAllocation);
}
cudaError_t cudaFreeHost(void* memory) {
  std::free(memory);
  return Return(cudaSuccess);
}
cudaError_t cudaMemGetInfo(size_t* free, size_t* all) {
  *all = DeviceMemory::size();
  *free = *all - TheDevice().memory.in_use();
  return Return(cudaSuccess);
}
cudaError_t cudaDeviceGetDefaultMemPool(cudaMemPool_t* pool, int) {
  *pool = nullptr;
  return Return(cudaSuccess);
}
cudaError_t cudaMemPoolSetAttribute(cudaMemPool_t, cudaMemPoolAttr, void*) {
  return Return(cudaSuccess);
}
cudaError_t cudaMemPoolGetAttribute(cudaMemPool_t, cudaMemPoolAttr,
                                    void* value) {
  *static_cast<uint64_t*>(value) = TheDevice().memory.in_use();
  return Return(cudaSuccess);
}
cudaError_t cudaMemcpyAsync(void* to, const void* from, size_t bytes,
                            cudaMemcpyKind kind, cudaStream_t stream) {
  if (capture && kind != cudaMemcpyDeviceToDevice) return ReturnUncaptured();
  return Do(stream, [=] { return Copy(to, from, bytes, kind); });
}
cudaError_t cudaMemcpy(void* to, const void* from, size_t bytes,
                       cudaMemcpyKind kind) {
  if (capture) return ReturnUncaptured();
  return cudaMemcpyAsync(to, from, bytes, kind, nullptr);
}
cudaError_t cudaMemsetAsync(void* memory, int value, size_t bytes,
                            cudaStream_t stream) {
  return Do(stream, [=] {
    if (bytes > 0 && !TheDevice().memory.Holds(memory, bytes))
      return cudaErrorInvalidValue;
    std::memset(memory, value, bytes);
    return cudaSuccess;
  });
}

// Streams, events and graphs.

cudaError_t cudaStreamCreateWithFlags(cudaStream_t* stream, unsigned) {
  *stream = reinterpret_cast<cudaStream_t>(new char);
  return Return(cudaSuccess);
}
cudaError_t cudaStreamDestroy(cudaStream_t stream) {
  delete reinterpret_cast<char*>(stream);
  return Return(cudaSuccess);
}
cudaError_t cudaStreamSynchronize(cudaStream_t) { return ReturnUncaptured(); }
cudaError_t cudaStreamWaitEvent(cudaStream_t, cudaEvent_t, unsigned) {
  return ReturnUncaptured();
}
cudaError_t cudaEventCreateWithFlags(cudaEvent_t* event, unsigned) {
  *event = new CUevent_st;
  return Return(cudaSuccess);
}
cudaError_t cudaEventCreate(cudaEvent_t* event) {
  return cudaEventCreateWithFlags(event, 0);
}
cudaError_t cudaEventDestroy(cudaEvent_t event) {
  delete event;
  return Return(cudaSuccess);
}
cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t) {
  event->time = Clock::now();
  return ReturnUncaptured();
}
cudaError_t cudaEventSynchronize(cudaEvent_t) { return ReturnUncaptured(); }
cudaError_t cudaEventElapsedTime(float* milliseconds, cudaEvent_t begin,
                                 cudaEvent_t end) {
  *milliseconds =
      std::chrono::duration<float, std::milli>(end->time - begin->time).count();
  return Return(cudaSuccess);
}
cudaError_t cudaStreamBeginCapture(cudaStream_t stream, cudaStreamCaptureMode) {
  if (capture) return Return(cudaErrorIllegalState);
  capture = new Graph;
  captured = stream;
  return Return(cudaSuccess);
}
cudaError_t cudaStreamEndCapture(cudaStream_t, cudaGraph_t* graph) {
  *graph = reinterpret_cast<cudaGraph_t>(capture);
  capture = nullptr;
  captured = nullptr;
  return Return(cudaSuccess);
}
cudaError_t cudaGraphInstantiateWithFlags(cudaGraphExec_t* executable,
                                          cudaGraph_t graph,
                                          unsigned long long) {
  *executable = reinterpret_cast<cudaGraphExec_t>(
      new Graph(*reinterpret_cast<Graph*>(graph)));
  return Return(cudaSuccess);
}
cudaError_t cudaGraphLaunch(cudaGraphExec_t executable, cudaStream_t) {
  if (capture) return ReturnUncaptured();
  const std::lock_guard<std::recursive_mutex> lock(TheDevice().mutex);
  cudaError_t error = TheDevice().fault;
  for (const auto& work : *reinterpret_cast<Graph*>(executable)) {
    if (error == cudaSuccess) error = work();
  }
  return Return(error);
}
cudaError_t cudaGraphDestroy(cudaGraph_t graph) {
  delete reinterpret_cast<Graph*>(graph);
  return Return(cudaSuccess);
}
cudaError_t cudaGraphExecDestroy(cudaGraphExec_t executable) {
  delete reinterpret_cast<Graph*>(executable);
  return Return(cudaSuccess);
}

}  // extern "C"
