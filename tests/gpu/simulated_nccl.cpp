// An NCCL that needs no GPU, for processes with a simulated one: what is loaded
// in place of libnccl.so.2. Ranks meet in a file in $TMPDIR (default /dev/shm)
// and exchange values there, a piece at a time. Each call is done when it
// returns, but for that it keeps NCCL's manners:
//
//   - ranks that do not come are waited for, for ever, until ncclCommAbort;
//   - a call that was aborted succeeds and leaves values that mean nothing
//     (NaN), as the kernel of a GPU does;
//   - ranks whose calls differ get an error, where NCCL would hang or crash.

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <random>
#include <string>

#include "kernels/cuda/nccl_api.hpp"

using p3d::nccl::Operation;
using p3d::nccl::Result;
using p3d::nccl::Type;
using p3d::nccl::UniqueId;

namespace {

constexpr int kRanks = 8;             // at most
constexpr size_t kPiece = 256 << 10;  // bytes

// What a rank was called with.
struct Call {
  int kind;
  size_t count;
  int type;
  int how;
  bool operator!=(const Call& other) const {
    return kind != other.kind || count != other.count || type != other.type ||
           how != other.how;
  }
};

struct Meeting {
  std::atomic<int> arrived;
  std::atomic<int> turn;
  Call calls[kRanks];
  alignas(64) char values[kRanks][kPiece];
};

std::string PathOf(const UniqueId& id) {
  const char* folder = std::getenv("TMPDIR");
  return std::string(folder ? folder : "/dev/shm") + "/" +
         std::string(id.internal, strnlen(id.internal, sizeof(id.internal)));
}

size_t SizeOf(Type type) {
  return type == p3d::nccl::kInt8 ? 1 : type == p3d::nccl::kFloat32 ? 4 : 8;
}

}  // namespace

struct ncclComm {
  Meeting* meeting;
  int rank, count;
  std::atomic<bool> aborted;

  // False where it was aborted before all had come.
  bool Wait() {
    if (aborted) return false;
    const int turn = meeting->turn;
    if (++meeting->arrived == count) {
      meeting->arrived = 0;
      ++meeting->turn;
    }
    while (meeting->turn == turn && !aborted) usleep(20);
    return !aborted;
  }

  // Calls each(offset, size) when all ranks' values of that piece are there.
  template <typename Each>
  Result Exchange(const Call& call, const void* from, void* to, size_t bytes,
                  size_t written, const Each& each) {
    meeting->calls[rank] = call;
    for (size_t at = 0; at < std::max<size_t>(bytes, 1); at += kPiece) {
      const size_t size = std::min(kPiece, bytes - at);
      std::memcpy(meeting->values[rank], static_cast<const char*>(from) + at,
                  size);
      if (!Wait()) return Lost(to, written);
      for (int other = 0; other < count; ++other) {
        if (meeting->calls[other] != call) return p3d::nccl::kInvalidArgument;
      }
      each(at, size);
      if (!Wait()) return Lost(to, written);
    }
    return p3d::nccl::kSuccess;
  }

 private:
  static Result Lost(void* to, size_t bytes) {
    std::memset(to, 0xff, bytes);
    return p3d::nccl::kSuccess;
  }
};

namespace {

template <typename Value>
void Reduce(const ncclComm& comm, Operation how, size_t bytes, void* to) {
  for (size_t i = 0; i < bytes / sizeof(Value); ++i) {
    Value sum = 0, value = 0;
    for (int rank = 0; rank < comm.count; ++rank) {
      std::memcpy(&value, comm.meeting->values[rank] + i * sizeof(Value),
                  sizeof(Value));
      sum += value;
    }
    if (how == p3d::nccl::kAverage) sum /= comm.count;
    std::memcpy(static_cast<char*>(to) + i * sizeof(Value), &sum,
                sizeof(Value));
  }
}

}  // namespace

extern "C" {

const char* ncclGetErrorString(Result result) {
  return result == p3d::nccl::kInvalidArgument ? "invalid argument"
                                               : "internal error";
}

const char* ncclGetLastError(ncclComm*) { return "the ranks' calls differ"; }

Result ncclGetUniqueId(UniqueId* id) {
  std::memset(id->internal, 0, sizeof(id->internal));
  std::snprintf(id->internal, sizeof(id->internal), "p3d-simulated-%d-%u",
                static_cast<int>(getpid()), std::random_device()());
  const int file = open(PathOf(*id).c_str(), O_RDWR | O_CREAT | O_EXCL, 0600);
  if (file < 0) return p3d::nccl::kInternalError;
  const int failed = ftruncate(file, sizeof(Meeting));
  close(file);
  return failed ? p3d::nccl::kInternalError : p3d::nccl::kSuccess;
}

Result ncclCommInitRank(ncclComm** comm, int count, UniqueId id, int rank) {
  const int file = open(PathOf(id).c_str(), O_RDWR);
  if (file < 0 || count > kRanks) return p3d::nccl::kInternalError;
  void* memory = mmap(nullptr, sizeof(Meeting), PROT_READ | PROT_WRITE,
                      MAP_SHARED, file, 0);
  close(file);
  if (memory == MAP_FAILED) return p3d::nccl::kInternalError;
  *comm = new ncclComm{static_cast<Meeting*>(memory), rank, count, {false}};
  (*comm)->Wait();
  if (rank == 0) unlink(PathOf(id).c_str());
  return p3d::nccl::kSuccess;
}

// A call may still be waiting in another thread, so its memory stays.
Result ncclCommAbort(ncclComm* comm) {
  comm->aborted = true;
  return p3d::nccl::kSuccess;
}
Result ncclCommDestroy(ncclComm* comm) { return ncclCommAbort(comm); }

Result ncclGroupStart() { return p3d::nccl::kSuccess; }
Result ncclGroupEnd() { return p3d::nccl::kSuccess; }

Result ncclAllReduce(const void* from, void* to, size_t count, Type type,
                     Operation how, ncclComm* comm, CUstream_st*) {
  const size_t bytes = count * SizeOf(type);
  return comm->Exchange({0, count, type, how}, from, to, bytes, bytes,
                        [&](size_t at, size_t size) {
                          char* place = static_cast<char*>(to) + at;
                          if (type == p3d::nccl::kFloat32) {
                            Reduce<float>(*comm, how, size, place);
                          } else {
                            Reduce<double>(*comm, how, size, place);
                          }
                        });
}

Result ncclAllGather(const void* from, void* to, size_t count, Type type,
                     ncclComm* comm, CUstream_st*) {
  const size_t bytes = count * SizeOf(type);
  return comm->Exchange(
      {1, count, type, 0}, from, to, bytes,
      bytes * static_cast<size_t>(comm->count), [&](size_t at, size_t size) {
        for (int rank = 0; rank < comm->count; ++rank) {
          std::memcpy(
              static_cast<char*>(to) + static_cast<size_t>(rank) * bytes + at,
              comm->meeting->values[rank], size);
        }
      });
}

Result ncclBroadcast(const void* from, void* to, size_t count, Type type,
                     int root, ncclComm* comm, CUstream_st*) {
  const size_t bytes = count * SizeOf(type);
  return comm->Exchange({2, count, type, root}, from, to, bytes, bytes,
                        [&](size_t at, size_t size) {
                          std::memcpy(static_cast<char*>(to) + at,
                                      comm->meeting->values[root], size);
                        });
}

}  // extern "C"
