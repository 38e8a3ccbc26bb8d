#ifndef P3D_TESTS_PTX_PROFILE_HPP_
#define P3D_TESTS_PTX_PROFILE_HPP_

// What kernels ask of a GPU, counted.

#include <cstdint>
#include <string>
#include <unordered_set>
#include <vector>

#include "program.hpp"

namespace ptx {

// Memory moves in sectors of 32 bytes. A warp's request for shared memory takes
// a cycle per 128 bytes, if no two lanes want different words of one bank then.
struct Counts {
  int64_t launches = 0, blocks = 0;
  int64_t instructions = 0;                        // of warps
  int64_t lanes = 0;                               // that took part in them
  int64_t products = 0;                            // those of tensor cores
  int64_t loaded = 0, stored = 0;                  // bytes of global memory
  int64_t loaded_sectors = 0, stored_sectors = 0;  // moved for them
  int64_t shared_ideal = 0, shared_cycles = 0;
  std::vector<int64_t> runs;             // of each instruction, by warps
  std::unordered_set<uint64_t> sectors;  // of global memory that were met

  void operator+=(const Counts& other);
  // A request of the lanes in `mask`, for so many bytes at their addresses.
  void Global(const uint64_t* addresses, uint32_t mask, int bytes, bool writes);
  void Shared(const uint64_t* addresses, uint32_t mask, int bytes);
};

// Adds what a launch of that kernel counted to the profile, which is written to
// the file $P3D_PTX_PROFILE when the program ends: a line of JSON per kernel.
void AddToProfile(const Kernel& kernel, const Counts& counts);
bool Profiling();

}  // namespace ptx

#endif  // P3D_TESTS_PTX_PROFILE_HPP_
