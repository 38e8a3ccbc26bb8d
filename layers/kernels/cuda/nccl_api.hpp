#ifndef P3D_KERNELS_NCCL_API_HPP_
#define P3D_KERNELS_NCCL_API_HPP_

// What is used of NVIDIA's nccl.h (NCCL 2.13 or newer), whose names and numbers
// these are: the library is found at run time, its header need not be there.

#include <cstddef>

struct CUstream_st;  // a cudaStream_t is a pointer to it
struct ncclComm;     // and an ncclComm_t to this

namespace p3d {
namespace nccl {

struct UniqueId {
  char internal[128];
};
enum Result : int { kSuccess = 0, kInternalError = 3, kInvalidArgument = 4 };
enum Operation : int { kSum = 0, kAverage = 4 };
enum Type : int { kInt8 = 0, kFloat32 = 7, kFloat64 = 8 };

// X(name, result, arguments)
#define P3D_NCCL_FUNCTIONS(X)                                               \
  X(ncclGetErrorString, const char*, (Result))                              \
  X(ncclGetLastError, const char*, (ncclComm*))                             \
  X(ncclGetUniqueId, Result, (UniqueId*))                                   \
  X(ncclCommInitRank, Result, (ncclComm**, int, UniqueId, int))             \
  X(ncclCommDestroy, Result, (ncclComm*))                                   \
  X(ncclCommAbort, Result, (ncclComm*))                                     \
  X(ncclGroupStart, Result, ())                                             \
  X(ncclGroupEnd, Result, ())                                               \
  X(ncclAllReduce, Result,                                                  \
    (const void*, void*, size_t, Type, Operation, ncclComm*, CUstream_st*)) \
  X(ncclAllGather, Result,                                                  \
    (const void*, void*, size_t, Type, ncclComm*, CUstream_st*))            \
  X(ncclBroadcast, Result,                                                  \
    (const void*, void*, size_t, Type, int, ncclComm*, CUstream_st*))

// The library's functions.
struct Functions {
#define P3D_MEMBER(name, result, arguments) result(*name) arguments = nullptr;
  P3D_NCCL_FUNCTIONS(P3D_MEMBER)
#undef P3D_MEMBER
};

}  // namespace nccl
}  // namespace p3d

#endif  // P3D_KERNELS_NCCL_API_HPP_
