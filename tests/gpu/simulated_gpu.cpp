// A GPU that is none, for tests where there is no GPU: what the engine loads in
// place of p3d_cuda. The kernels are those of the .cu files, as loops on the
// host (see cuda_launch.hpp). Like that of a GPU its memory is another one:
//
//   - what the host reads or writes of it by mistake crashes, since its pages
//     are open during copies and kernels only (see Lock);
//   - a kernel that is given an address of the host's, or one of memory that
//     was released, throws Error;
//   - while a graph is captured, kernels, and what copies or zeroes there, are
//     noted down instead of done, and anything else throws Error; with
//     $P3D_SIMULATED_CAPTURE=0 all captures do;
//   - copies that the host does not wait for are as late as they may be: what
//     CopyAhead brings is there after DeviceWait, what CopyBack brings after
//     HostWait. It throws Error where page-locked memory is changed before its
//     event was waited for, and where a copy ahead does not come behind all
//     kernels that had its destination;
//   - it is full at $P3D_SIMULATED_MIB (default 2048), wherever the gaps are: a
//     GPU moves pages together; its compute capability is
//     $P3D_SIMULATED_CAPABILITY.0 (default 9);
//   - what is timed takes as many seconds as the words of
//     $P3D_SIMULATED_SECONDS say, one after the other, then 1.
//
// There are $P3D_SIMULATED_GPUS (default 1), of which a process uses one.
//
// With $P3D_SIMULATED_FAULT=N its Nth kernel fails, counted from 1, and so does
// whatever is asked of it from then on, as of a GPU that met a wrong address;
// with "N once" only that kernel.
//
// Of a graph that is launched, kernels count as being captured still: they find
// out then what a GPU would have refused.
//
// Memory starts as 0xff bytes (NaN), also where it was used before.

#include <sys/mman.h>

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <iterator>
#include <map>
#include <memory>
#include <mutex>
#include <sstream>
#include <string>
#include <type_traits>
#include <vector>

#include "kernels/cuda/cuda_functions.hpp"
#include "kernels/error.hpp"

namespace p3d {
namespace cuda {
namespace {

// What $P3D_SIMULATED_FAULT says.
class Fault {
 public:
  Fault() {
    const char* text = std::getenv("P3D_SIMULATED_FAULT");
    if (!text) return;
    kernel_ = std::strtoll(text, nullptr, 10);
    once_ = std::strstr(text, "once");
  }
  void CountKernel() {
    if (++count_ == kernel_)
      Fail("kernel ", kernel_, " fails on the simulated GPU");
    Meet();
  }
  void Meet() const {
    if (!once_ && kernel_ > 0 && count_ >= kernel_)
      Fail("a call fails on the simulated GPU: so did kernel ", kernel_);
  }

 private:
  int64_t kernel_ = 0;
  bool once_ = false;
  std::atomic<int64_t> count_{0};
};

Fault& TheFault() {
  static Fault* fault = new Fault;
  return *fault;
}

// Lets nobody at the pages from `base` on while it is closed. Where processors
// have keys for pages, one of them costs nothing, and opens for its thread
// alone; elsewhere the pages themselves are closed, while they are few: that
// takes its time, less if they are huge ones.
class Lock {
 public:
  static constexpr size_t kPage = 2 << 20;  // bytes; `base` is a multiple

  Lock() = default;
  explicit Lock(char* base) : base_(base) {
#ifdef PKEY_DISABLE_ACCESS
    key_ = pkey_alloc(0, PKEY_DISABLE_ACCESS);
#endif
  }

  // To the first `bytes`.
  void Open(size_t bytes) {
    if (open_ < bytes) {
      Protect(bytes, PROT_READ | PROT_WRITE);
      open_ = bytes;
    }
    Turn(false);
  }
  void Close() {
    constexpr size_t kFew = 16 << 20;
    if (key_ < 0 && open_ < kFew) {
      Protect(open_, PROT_NONE);
      open_ = 0;
    }
    Turn(true);
  }

 private:
  void Protect(size_t bytes, int protection) {
    const size_t size = (bytes + kPage - 1) / kPage * kPage;
#ifdef PKEY_DISABLE_ACCESS
    if (key_ >= 0) {
      Check(pkey_mprotect(base_, size, protection, key_) == 0,
            "no key for the simulated GPU's pages");
      return;
    }
#endif
    mprotect(base_, size, protection);
  }
  void Turn(bool closed) const {
#ifdef PKEY_DISABLE_ACCESS
    if (key_ >= 0) pkey_set(key_, closed ? PKEY_DISABLE_ACCESS : 0);
#else
    (void)closed;
#endif
  }

  char* base_ = nullptr;
  int key_ = -1;
  size_t open_ = 0;  // bytes whose pages can be read
};

class Memory {
 public:
  Memory() {
    const char* mib = std::getenv("P3D_SIMULATED_MIB");
    size_ = (mib ? std::strtoull(mib, nullptr, 10) : 2048) << 20;
    const size_t bytes = kSpread * size_ + 2 * Lock::kPage;
    void* base = mmap(nullptr, bytes, PROT_NONE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    Check(base != MAP_FAILED, "no room for a simulated GPU");
    base_ = static_cast<char*>(base);
    base_ += Lock::kPage - reinterpret_cast<uintptr_t>(base) % Lock::kPage;
#ifdef MADV_HUGEPAGE
    madvise(base_, bytes - Lock::kPage, MADV_HUGEPAGE);
#endif
    lock_ = Lock(base_);
  }

  // What does not count is never released.
  void* Allocate(size_t bytes, bool counts = true) {
    TheFault().Meet();
    const std::lock_guard<std::recursive_mutex> lock(mutex_);
    const size_t size = (std::max<size_t>(bytes, 1) + 255) / 256 * 256;
    size_t place = 0;
    for (const auto& used : used_) {
      if (used.first >= place + size) break;
      place = used.first + used.second;
    }
    if (in_use_ + size > size_ || place + size > kSpread * size_) {
      throw OutOfMemory(
          "the simulated GPU has no room for " + std::to_string(bytes) +
          " bytes more: " + std::to_string(in_use_) + " of " +
          std::to_string(size_) + " are in use; a smaller batch needs less");
    }
    used_[place] = size;
    if (counts) in_use_ += size;
    most_ = std::max(most_, in_use_);
    top_ = std::max(top_, place + size);
    // Kernels that choose among others allocate while they run.
    if (open_ > 0) lock_.Open(top_);
    const Open open(this);
    std::memset(base_ + place, 0xff, size);
    return base_ + place;
  }

  void Release(void* memory) {
    if (!memory) return;
    const std::lock_guard<std::recursive_mutex> lock(mutex_);
    const auto found = used_.find(static_cast<char*>(memory) - base_);
    in_use_ -= found->second;
    used_.erase(found);
  }

  // Whether it is an address of memory that is in use.
  bool Holds(const void* address) {
    const std::lock_guard<std::recursive_mutex> lock(mutex_);
    const char* at = static_cast<const char*>(address);
    if (at < base_ || at >= base_ + kSpread * size_) return false;
    const size_t place = static_cast<size_t>(at - base_);
    const auto behind = used_.upper_bound(place);
    if (behind == used_.begin()) return false;
    const auto found = std::prev(behind);
    return place < found->first + found->second;
  }

  size_t in_use() const { return in_use_; }
  size_t most() const { return most_; }
  size_t size() const { return size_; }

  // While it lives, the memory can be read and written.
  class Open {
   public:
    explicit Open(Memory* memory) : memory_(memory), lock_(memory->mutex_) {
      if (memory_->open_++ == 0) memory_->lock_.Open(memory_->top_);
    }
    ~Open() {
      if (--memory_->open_ == 0) memory_->lock_.Close();
    }

   private:
    Memory* memory_;
    std::lock_guard<std::recursive_mutex> lock_;
  };

 private:
  // Addresses by bytes of memory.
  static constexpr size_t kSpread = 8;

  char* base_ = nullptr;
  size_t size_ = 0;
  size_t in_use_ = 0, most_ = 0;
  size_t top_ = 0;
  Lock lock_;
  int open_ = 0;
  std::map<size_t, size_t> used_;  // place -> size
  std::recursive_mutex mutex_;
};

// Never destroyed: nets may outlive static objects.
Memory& TheMemory() {
  static Memory* memory = new Memory;
  return *memory;
}

// Throws for an argument of a kernel that is an address of the host's.
void CheckArgument(const void* pointer) {
  Check(!pointer || TheMemory().Holds(pointer),
        "a kernel was given an address that is none of the GPU's memory");
}
template <typename Dtype>
void CheckArgument(const std::vector<const Dtype*>& pointers) {
  for (const Dtype* pointer : pointers) CheckArgument(pointer);
}
template <typename Dtype>
void CheckArgument(const Epilogue<Dtype>& epilogue) {
  CheckArgument(epilogue.scale);
  CheckArgument(epilogue.shift);
  CheckArgument(epilogue.residual);
}
template <typename Dtype>
void CheckArgument(const std::vector<RankValues<Dtype>>& arrays) {
  for (const RankValues<Dtype>& array : arrays) CheckArgument(array.values);
}
template <typename Dtype>
void CheckArgument(const Labels<Dtype>& labels) {
  CheckArgument(labels.values);
}
template <typename Other>
typename std::enable_if<!std::is_pointer<Other>::value>::type CheckArgument(
    const Other&) {}

// When kernels had an address for an argument, counted by kernels.
class Uses {
 public:
  void Add(const void* pointer) { last_[pointer] = ++now_; }
  template <typename Other>
  typename std::enable_if<!std::is_pointer<Other>::value>::type Add(
      const Other&) {}
  int64_t now() const { return now_; }
  int64_t last(const void* pointer) const {
    const auto found = last_.find(pointer);
    return found == last_.end() ? 0 : found->second;
  }

 private:
  int64_t now_ = 0;
  std::map<const void*, int64_t> last_;
};

// One lock is for it and all events.
Uses& TheUses() {
  static Uses* uses = new Uses;
  return *uses;
}
std::recursive_mutex& TheLock() {
  static auto* lock = new std::recursive_mutex;
  return *lock;
}

// A copy between the device and page-locked memory that may not have happened.
struct Copy {
  char* to;
  const char* from;  // null: they are the values
  std::vector<char> values;
  bool done = false;

  void Do() {
    if (done) return;
    done = true;
    const Memory::Open open(&TheMemory());
    if (from) std::memcpy(values.data(), from, values.size());
    std::memcpy(to, values.data(), values.size());
  }
  void CheckSource() const {
    Check(!done || !from || !std::memcmp(from, values.data(), values.size()),
          "page-locked memory was changed while it was copied");
  }
};

struct Event {
  int64_t recorded = 0;  // behind so many uses
  std::vector<std::shared_ptr<Copy>> copies;

  void Do() {
    for (const auto& copy : copies) copy->Do();
  }
};

Event& EventOf(CUevent_st* event) { return *reinterpret_cast<Event*>(event); }

// Of CopyBack, those that may not have happened.
std::vector<std::shared_ptr<Copy>>& TheCopies() {
  static auto* copies = new std::vector<std::shared_ptr<Copy>>;
  return *copies;
}

void FinishCopies() {
  const std::lock_guard<std::recursive_mutex> lock(TheLock());
  for (const auto& copy : TheCopies()) copy->Do();
  TheCopies().clear();
}

using Graph = std::vector<std::function<void()>>;
// What this thread captures, and whether it runs what was captured.
thread_local Graph* the_capture = nullptr;
thread_local bool the_replay = false;

void CheckNotCapturing() {
  Check(!DeviceCapturing(),
        "a graph is being captured, which takes kernels only");
}

// Now, or when the graph is launched.
void Do(const std::function<void()>& work) {
  if (the_capture) {
    the_capture->push_back(work);
  } else {
    work();
  }
}

void Copied(void* to, const void* from, size_t bytes) {
  TheFault().Meet();
  const std::lock_guard<std::recursive_mutex> lock(TheLock());
  TheUses().Add(from);
  TheUses().Add(to);
  const Memory::Open open(&TheMemory());
  std::memcpy(to, from, bytes);
}

// A function of the table: kernels, which are those that take a stream, with
// all that was promised above, others as they are.
template <typename Function, Function* function>
struct Guarded {
  static constexpr Function* Call = function;
};
template <typename... Args, void (*function)(CUstream_st*, Args...)>
struct Guarded<void(CUstream_st*, Args...), function> {
  static void Call(CUstream_st* stream, Args... args) {
    const auto kernel = [=] {
      const int checked[] = {0, (CheckArgument(args), 0)...};
      static_cast<void>(checked);
      TheFault().CountKernel();
      const std::lock_guard<std::recursive_mutex> lock(TheLock());
      const int used[] = {0, (TheUses().Add(args), 0)...};
      static_cast<void>(used);
      const Memory::Open open(&TheMemory());
      function(stream, args...);
    };
    Do(kernel);
  }
};

}  // namespace

int DeviceCount() {
  const char* count = std::getenv("P3D_SIMULATED_GPUS");
  return count ? std::atoi(count) : 1;
}

DeviceInfo DescribeDevice(int device) {
  Check(device >= 0 && device < DeviceCount(), "there is no GPU ", device,
        "; this machine has ", DeviceCount(), ", counted from 0");
  DeviceInfo info;
  info.name = "simulated GPU";
  const char* major = std::getenv("P3D_SIMULATED_CAPABILITY");
  info.major = major ? std::atoi(major) : 9;
  info.memory = TheMemory().size();
  info.free = info.memory - TheMemory().in_use();
  info.gflops = 1;
  return info;
}

std::string DeviceSoftware() { return "loops on the host"; }
void UseDevice(int device) { DescribeDevice(device); }
CUstream_st* DeviceStream() {
  return reinterpret_cast<CUstream_st*>(&TheMemory());
}
void* DeviceAllocate(size_t bytes) {
  CheckNotCapturing();
  return TheMemory().Allocate(bytes);
}
void DeviceRelease(void* memory) noexcept { TheMemory().Release(memory); }
int DeviceInUse() { return 0; }
void* DeviceKeep(size_t bytes) {
  CheckNotCapturing();
  return TheMemory().Allocate(bytes, false);
}
double DeviceSeconds(const std::function<void()>& launch) {
  static std::istringstream* seconds = [] {
    const char* text = std::getenv("P3D_SIMULATED_SECONDS");
    return new std::istringstream(text ? text : "");
  }();
  CheckNotCapturing();
  launch();
  double next = 0;
  return *seconds >> next ? next : 1;
}
bool DeviceCapturing() { return the_capture || the_replay; }
size_t DeviceBytesInUse() { return TheMemory().in_use(); }
size_t DeviceFree() { return TheMemory().size() - TheMemory().in_use(); }
size_t DeviceMostReserved() { return TheMemory().most(); }

void CopyToDevice(void* to, const void* from, size_t bytes) {
  CheckNotCapturing();
  Copied(to, from, bytes);
}
void CopyToHost(void* to, const void* from, size_t bytes) {
  CheckNotCapturing();
  Copied(to, from, bytes);
  FinishCopies();
}
void CopyOnDevice(void* to, const void* from, size_t bytes) {
  Do([=] {
    CheckArgument(to);
    CheckArgument(from);
    Copied(to, from, bytes);
  });
}
void ZeroOnDevice(void* memory, size_t bytes) {
  Do([=] {
    CheckArgument(memory);
    TheFault().Meet();
    const Memory::Open open(&TheMemory());
    std::memset(memory, 0, bytes);
  });
}
void DeviceSynchronize() {
  CheckNotCapturing();
  TheFault().Meet();
  FinishCopies();
}

void* HostAllocate(size_t bytes) {
  CheckNotCapturing();
  TheFault().Meet();
  return ::operator new(bytes);
}
void HostRelease(void* memory) noexcept { ::operator delete(memory); }
CUevent_st* CreateEvent() {
  CheckNotCapturing();
  return reinterpret_cast<CUevent_st*>(new Event);
}
void ReleaseEvent(CUevent_st* event) noexcept {
  delete reinterpret_cast<Event*>(event);
}
void RecordEvent(CUevent_st* event) {
  CheckNotCapturing();
  TheFault().Meet();
  const std::lock_guard<std::recursive_mutex> lock(TheLock());
  auto& copies = TheCopies();
  copies.erase(std::remove_if(copies.begin(), copies.end(),
                              [](const std::shared_ptr<Copy>& copy) {
                                return copy->done;
                              }),
               copies.end());
  EventOf(event) = {TheUses().now(), copies};
}
void DeviceWait(CUevent_st* event) {
  CheckNotCapturing();
  TheFault().Meet();
  const std::lock_guard<std::recursive_mutex> lock(TheLock());
  EventOf(event).Do();
}
void HostWait(CUevent_st* event) {
  CheckNotCapturing();
  TheFault().Meet();
  const std::lock_guard<std::recursive_mutex> lock(TheLock());
  EventOf(event).Do();
  const auto copies = std::move(EventOf(event).copies);
  for (const auto& copy : copies) copy->CheckSource();
}
void CopyAhead(void* to, const void* from, size_t bytes, CUevent_st* after,
               CUevent_st* done) {
  CheckNotCapturing();
  TheFault().Meet();
  const std::lock_guard<std::recursive_mutex> lock(TheLock());
  Check(EventOf(after).recorded >= TheUses().last(to),
        "a copy does not wait for a kernel that reads what it overwrites");
  for (const auto& copy : EventOf(done).copies) copy->CheckSource();
  auto copy = std::make_shared<Copy>();
  copy->to = static_cast<char*>(to);
  copy->from = static_cast<const char*>(from);
  copy->values.resize(bytes);
  EventOf(done) = {TheUses().now(), {copy}};
}
void CopyBack(void* to, const void* from, size_t bytes) {
  CheckNotCapturing();
  TheFault().Meet();
  auto copy = std::make_shared<Copy>();
  copy->to = static_cast<char*>(to);
  copy->from = nullptr;
  {
    const Memory::Open open(&TheMemory());
    const char* values = static_cast<const char*>(from);
    copy->values.assign(values, values + bytes);
  }
  const std::lock_guard<std::recursive_mutex> lock(TheLock());
  TheCopies().push_back(copy);
}

CUgraphExec_st* CaptureGraph(const std::function<void()>& launch) {
  CheckNotCapturing();
  const char* can = std::getenv("P3D_SIMULATED_CAPTURE");
  std::unique_ptr<Graph> graph(new Graph);
  struct Ending {
    ~Ending() { the_capture = nullptr; }
  } ending;
  the_capture = graph.get();
  launch();
  Check(!can || std::strcmp(can, "0") != 0, "no graph can be captured here");
  return reinterpret_cast<CUgraphExec_st*>(graph.release());
}
void LaunchGraph(CUgraphExec_st* graph) {
  CheckNotCapturing();
  struct Replay {
    Replay() { the_replay = true; }
    ~Replay() { the_replay = false; }
  } replay;
  for (const auto& kernel : *reinterpret_cast<Graph*>(graph)) kernel();
}
void ReleaseGraph(CUgraphExec_st* graph) noexcept {
  delete reinterpret_cast<Graph*>(graph);
}

}  // namespace cuda
}  // namespace p3d

extern "C" const p3d::cuda::Functions* p3d_cuda_functions() {
#define P3D_ENTRY(function)                                          \
  p3d::cuda::Guarded<std::remove_pointer<decltype(&function)>::type, \
                     &function>::Call,
  static const p3d::cuda::Functions functions = P3D_CUDA_TABLE;
  return &functions;
}
