#include "kernels/cuda/nccl_cuda.hpp"

// The header that this file implements comes first.
#include <dlfcn.h>

#include <algorithm>
#include <cstring>
#include <memory>
#include <mutex>

#include "kernels/cuda/cuda_device.hpp"
#include "kernels/cuda/nccl_api.hpp"
#include "kernels/error.hpp"

namespace p3d {
namespace cuda {
namespace {

using Library = nccl::Functions;
using nccl::Result;
using nccl::Type;

const char* Reason() {
  const char* reason = dlerror();
  return reason ? reason : "for no stated reason";
}

std::unique_ptr<Library> Load(const std::string& path) {
  void* const handle = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  Check(handle, "NCCL, by which several GPUs train together, cannot be loaded ",
        "(", Reason(), "); pip install nvidia-nccl-cu13, or name libnccl.so.2 ",
        "in P3D_NCCL_LIBRARY");
  std::unique_ptr<Library> library(new Library);
#define P3D_FIND(name, result, arguments)                                     \
  library->name =                                                             \
      reinterpret_cast<decltype(library->name)>(dlsym(handle, #name));        \
  Check(library->name, path, " has no ", #name, ": it is no NCCL or is too ", \
        "old; pip install -U nvidia-nccl-cu13");
  P3D_NCCL_FUNCTIONS(P3D_FIND)
#undef P3D_FIND
  return library;
}

// This process's place among the ranks.
class Group {
 public:
  void Use(const std::string& path) {
    const std::lock_guard<std::mutex> lock(mutex_);
    if (!library_) library_ = Load(path);
  }

  const Library& library() const {
    Check(library_ != nullptr, "NCCL was not loaded");
    return *library_;
  }

  void Join(const std::string& id, int rank, int count) {
    nccl::UniqueId unique;
    Check(id.size() == sizeof(unique.internal), "an id of ranks is ",
          sizeof(unique.internal), " bytes, not ", id.size(),
          "; take that of NCCL.new_uid()");
    Check(count_ == 1, "this process is one of ", count_, " ranks already");
    Check(DeviceStream(), "no GPU was chosen; call set_device first");
    std::memcpy(unique.internal, id.data(), id.size());
    ncclComm* comm = nullptr;
    CheckNccl(library().ncclCommInitRank(&comm, count, unique, rank),
              "ncclCommInitRank");
    const std::lock_guard<std::mutex> lock(mutex_);
    comm_ = comm;
    count_ = count;
  }

  int count() const {
    const std::lock_guard<std::mutex> lock(mutex_);
    return count_;
  }

  // The communicator; throws Error where there is none any more.
  ncclComm* comm() const {
    const std::lock_guard<std::mutex> lock(mutex_);
    Check(reason_.empty(), reason_);
    Check(comm_, "this process has not joined any ranks");
    return comm_;
  }
  void CheckAlive() const {
    const std::lock_guard<std::mutex> lock(mutex_);
    Check(reason_.empty(), reason_);
  }

  void Abort(const std::string& reason) {
    ncclComm* comm = nullptr;
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      if (!comm_) return;
      std::swap(comm, comm_);
      reason_ = reason;
    }
    library().ncclCommAbort(comm);
  }

  void Leave() noexcept {
    ncclComm* comm = nullptr;
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      std::swap(comm, comm_);
      count_ = 1;
      reason_.clear();
    }
    if (comm) library_->ncclCommDestroy(comm);
  }

  void CheckNccl(Result result, const char* call) const {
    if (result == nccl::kSuccess) return;
    CheckAlive();
    Fail("GPUs cannot reach each other: ", call, " fails (",
         library().ncclGetErrorString(result), "; ",
         library().ncclGetLastError(nullptr), "); NCCL_DEBUG=INFO says more");
  }

 private:
  mutable std::mutex mutex_;
  std::unique_ptr<Library> library_;
  ncclComm* comm_ = nullptr;
  int count_ = 1;
  std::string reason_;  // of an Abort
};

// Never destroyed: CUDA is gone before static objects are.
Group& TheGroup() {
  static Group* group = new Group;
  return *group;
}

template <typename Dtype>
constexpr Type TypeOf() {
  return sizeof(Dtype) == sizeof(float) ? nccl::kFloat32 : nccl::kFloat64;
}

}  // namespace

void LoadNccl(const std::string& library) { TheGroup().Use(library); }

std::string NewRanksId() {
  nccl::UniqueId id;
  TheGroup().CheckNccl(TheGroup().library().ncclGetUniqueId(&id),
                       "ncclGetUniqueId");
  return std::string(id.internal, sizeof(id.internal));
}

void JoinRanks(const std::string& id, int rank, int count) {
  TheGroup().Join(id, rank, count);
}
int RanksJoined() { return TheGroup().count(); }
void AbortRanks(const std::string& reason) { TheGroup().Abort(reason); }
void CheckRanks() { TheGroup().CheckAlive(); }
void LeaveRanks() noexcept { TheGroup().Leave(); }

template <typename Dtype>
void MeanOverRanks(CUstream_st* stream,
                   const std::vector<RankValues<Dtype>>& arrays) {
  const Library& library = TheGroup().library();
  ncclComm* const comm = TheGroup().comm();
  Result result = library.ncclGroupStart();
  for (const RankValues<Dtype>& array : arrays) {
    if (result != nccl::kSuccess) break;
    result = library.ncclAllReduce(
        array.values, array.values, static_cast<size_t>(array.count),
        TypeOf<Dtype>(), nccl::kAverage, comm, stream);
  }
  const Result end = library.ncclGroupEnd();
  TheGroup().CheckNccl(result, "ncclAllReduce");
  TheGroup().CheckNccl(end, "ncclGroupEnd");
}

void SumOverRanks(CUstream_st* stream, int64_t count, double* values) {
  TheGroup().CheckNccl(
      TheGroup().library().ncclAllReduce(
          values, values, static_cast<size_t>(count), nccl::kFloat64,
          nccl::kSum, TheGroup().comm(), stream),
      "ncclAllReduce");
}

void GatherFromRanks(CUstream_st* stream, int64_t count, const double* own,
                     double* all) {
  TheGroup().CheckNccl(TheGroup().library().ncclAllGather(
                           own, all, static_cast<size_t>(count), nccl::kFloat64,
                           TheGroup().comm(), stream),
                       "ncclAllGather");
}

void CopyFromRank0(CUstream_st* stream, int64_t bytes, void* memory) {
  TheGroup().CheckNccl(TheGroup().library().ncclBroadcast(
                           memory, memory, static_cast<size_t>(bytes),
                           nccl::kInt8, 0, TheGroup().comm(), stream),
                       "ncclBroadcast");
}

template void MeanOverRanks(CUstream_st*,
                            const std::vector<RankValues<float>>&);
template void MeanOverRanks(CUstream_st*,
                            const std::vector<RankValues<double>>&);

}  // namespace cuda
}  // namespace p3d
