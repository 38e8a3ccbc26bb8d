#ifndef P3D_KERNELS_NCCL_CUDA_HPP_
#define P3D_KERNELS_NCCL_CUDA_HPP_

#include <cstdint>
#include <string>
#include <vector>

struct CUstream_st;  // a cudaStream_t is a pointer to it

namespace p3d {
namespace cuda {

// Ranks: processes of one machine, each with a GPU of its own, that train one
// net together and reach each other by NVIDIA's NCCL. A process is one rank of
// one group at a time. All functions may throw Error.

// Loads the library, a path or a name that the system looks up; once.
void LoadNccl(const std::string& library);
// What ranks have to know to find each other: 128 bytes.
std::string NewRanksId();
// Makes this process, on the device in use, rank `rank` of `count`. Waits until
// all have come.
void JoinRanks(const std::string& id, int rank, int count);
// How many ranks there are, this process among them; 1 before JoinRanks and
// after LeaveRanks.
int RanksJoined();
// From any thread, for ranks that do not answer any more: what waits for them
// ends, its results are worth nothing, and the functions below throw Error with
// this reason until LeaveRanks.
void AbortRanks(const std::string& reason);
// Throws Error after AbortRanks. To be called behind a DeviceSynchronize,
// before results count.
void CheckRanks();
// This process is on its own again. Nothing may be on its way to the others
// where they are to go on.
void LeaveRanks() noexcept;

// The functions below are called by all ranks, in the same order, with the same
// counts. Each is put into the stream and not waited for.

template <typename Dtype>
struct RankValues {
  Dtype* values;
  int64_t count;
};

// values[i] = the mean of all ranks' values[i], in each of these arrays: one
// launch for all of them.
template <typename Dtype>
void MeanOverRanks(CUstream_st* stream,
                   const std::vector<RankValues<Dtype>>& arrays);
// values[i] = the sum of all ranks' values[i]
void SumOverRanks(CUstream_st* stream, int64_t count, double* values);
// all[rank * count + i] = own[i] of that rank
void GatherFromRanks(CUstream_st* stream, int64_t count, const double* own,
                     double* all);
// memory = that of rank 0
void CopyFromRank0(CUstream_st* stream, int64_t bytes, void* memory);

}  // namespace cuda
}  // namespace p3d

#endif  // P3D_KERNELS_NCCL_CUDA_HPP_
