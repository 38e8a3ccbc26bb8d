#ifndef P3D_KERNELS_CUDA_DEVICE_HPP_
#define P3D_KERNELS_CUDA_DEVICE_HPP_

#include <cstddef>
#include <functional>
#include <string>

#include "kernels/error.hpp"

struct CUstream_st;     // a cudaStream_t is a pointer to it,
struct CUevent_st;      // a cudaEvent_t to this
struct CUgraphExec_st;  // and a cudaGraphExec_t to this

namespace p3d {
namespace cuda {

// The GPUs of this machine, and memory on the one in use. All functions may
// throw Error and may be called from any thread. What they and the kernels do
// happens in the order of the calls, in one stream per GPU; copies to the host
// wait for it. CopyAhead alone happens beside it.

// A GPU has no room for what was asked for: less of it may fit.
class OutOfMemory : public Error {
 public:
  using Error::Error;
};

struct DeviceInfo {
  std::string name;
  int major = 0, minor = 0;  // compute capability
  size_t memory = 0;         // bytes
  size_t free = 0;           // of them
  double gflops = 0;         // of float32 multiply-adds, at the highest clock
};

// Throws Error that says what to install where no driver, or too old a one, is
// there; 0 where it knows no GPU.
int DeviceCount();
// Throws Error for an index that does not exist.
DeviceInfo DescribeDevice(int device);
// "CUDA 13.0, driver 13.1", or what stands in for them.
std::string DeviceSoftware();

// From now on everything happens on `device`, from whichever thread. Throws
// Error where it does not exist or these kernels were not compiled for it, and
// while memory on another one is in use.
void UseDevice(int device);
// Returns the stream of the device in use (0 before the first UseDevice), for
// kernels that the calling thread is about to launch.
CUstream_st* DeviceStream();
// -1 before the first UseDevice.
int DeviceInUse();

// Undefined contents. Throws OutOfMemory that names what is free and what was
// wanted.
void* DeviceAllocate(size_t bytes);
// Null is fine.
void DeviceRelease(void* memory) noexcept;
// The same for as long as the process lives, for what kernels need to work: it
// does not count as in use.
void* DeviceKeep(size_t bytes);
// Of allocations and in bytes, at this moment.
size_t DeviceBytesInUse();
// Bytes that DeviceAllocate may still give, on the device in use.
size_t DeviceFree();
// The most bytes there that this process had reserved for DeviceAllocate at a
// time; what it released it still has.
size_t DeviceMostReserved();

void CopyToDevice(void* to, const void* from, size_t bytes);
void CopyToHost(void* to, const void* from, size_t bytes);
void CopyOnDevice(void* to, const void* from, size_t bytes);
void ZeroOnDevice(void* memory, size_t bytes);
// Waits until all is done; throws what went wrong since the last wait.
void DeviceSynchronize();
// Waits, and returns what the kernels that `launch` launches took.
double DeviceSeconds(const std::function<void()>& launch);

// Copies that the host does not wait for, from and to page-locked memory of its
// own, and events to wait for them by. Throws OutOfMemory where no more of its
// memory can be locked.
void* HostAllocate(size_t bytes);
// Nothing may be copied from it or to it any more. Null is fine.
void HostRelease(void* memory) noexcept;
CUevent_st* CreateEvent();
// Null is fine.
void ReleaseEvent(CUevent_st* event) noexcept;
// The event will have happened when all that was asked for so far is done.
void RecordEvent(CUevent_st* event);
// What is asked for from now on begins after the event, as it was recorded
// last.
void DeviceWait(CUevent_st* event);
// The host waits for it; at once if it was never recorded. Throws what went
// wrong since the last wait.
void HostWait(CUevent_st* event);
// Copies page-locked memory to the device beside what it does, once `after` has
// happened, and records `done` behind. `from` must not change before that, nor
// be read or written on the device: see DeviceWait.
void CopyAhead(void* to, const void* from, size_t bytes, CUevent_st* after,
               CUevent_st* done);
// As CopyToHost, not waited for: record an event behind it. `to` is
// page-locked.
void CopyBack(void* to, const void* from, size_t bytes);

// The kernels that `launch` launches in this thread, with their arguments, and
// what it does with CopyOnDevice and ZeroOnDevice, as a graph: nothing of it is
// done now. Whatever else is asked of the device there throws Error; so does
// CUDA where it cannot capture them. Then, as when `launch` throws, there is no
// graph, and the device goes on as if nothing had been asked. Other threads are
// not concerned.
CUgraphExec_st* CaptureGraph(const std::function<void()>& launch);
// Whether kernels of this thread go into a graph now.
bool DeviceCapturing();
// Does all that in its order, on the memory as it is by then.
void LaunchGraph(CUgraphExec_st* graph);
// Waits for the graph if it is running. Null is fine.
void ReleaseGraph(CUgraphExec_st* graph) noexcept;

}  // namespace cuda
}  // namespace p3d

#endif  // P3D_KERNELS_CUDA_DEVICE_HPP_
