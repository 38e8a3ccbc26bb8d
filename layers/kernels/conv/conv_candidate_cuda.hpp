#ifndef P3D_KERNELS_CONV_CANDIDATE_CUDA_HPP_
#define P3D_KERNELS_CONV_CANDIDATE_CUDA_HPP_

#include <vector>

struct CUstream_st;  // a cudaStream_t is a pointer to it

namespace p3d {
namespace cuda {

// One implementation of what a Call asks for.
template <typename Call>
struct Candidate {
  const char* name;
  bool (*can)(const Call& call);
  bool (*suits)(const Call& call);  // should be faster than those that follow
  void (*launch)(CUstream_st* stream, const Call& call);
};

// All there are, fastest first; the last one, the plain loops, always can.
template <typename Call>
using Candidates = std::vector<Candidate<Call>>;
template <typename Call>
const Candidates<Call>& All();

// The first that can do what is called for and suits it.
template <typename Call>
const Candidate<Call>& Chosen(const Call& call) {
  const Candidate<Call>* candidate = All<Call>().data();
  while (!candidate->can(call) || !candidate->suits(call)) ++candidate;
  return *candidate;
}

template <typename Call>
bool Always(const Call&) {
  return true;
}

// The candidate that a class with the three functions makes.
template <typename Class>
Candidate<typename Class::Call> Entry(const char* name) {
  return {name, Class::Can, Class::Suits, Class::Launch};
}

// The plain loops: Call::LaunchLoops.
template <typename Call>
Candidate<Call> Loops() {
  return {"loops", Always<Call>, Always<Call>, Call::LaunchLoops};
}

template <typename Call>
void LaunchFloats(CUstream_st* stream, const Call& call) {
  const auto floats = call.AsFloats();
  Chosen(floats).launch(stream, floats);
}

// What takes values of Tf32 for floats, which they are as well.
template <typename Call>
Candidate<Call> Floats() {
  return {"floats", Always<Call>, Always<Call>, LaunchFloats<Call>};
}

// The tables of an operation whose tiles are Tiles<Dtype, side, in fours>.
template <template <typename, int, bool> class Tiles,
          typename Call = typename Tiles<float, 32, true>::Call>
const Candidates<Call>& FloatTable() {
  static const Candidates<Call> table = {
      Entry<Tiles<float, 128, true>>("tiles_128_fours"),
      Entry<Tiles<float, 64, true>>("tiles_64_fours"),
      Entry<Tiles<float, 64, false>>("tiles_64"),
      Entry<Tiles<float, 32, true>>("tiles_32_fours"),
      Entry<Tiles<float, 32, false>>("tiles_32"),
      Loops<Call>()};
  return table;
}
template <template <typename, int, bool> class Tiles,
          typename Call = typename Tiles<double, 32, false>::Call>
const Candidates<Call>& DoubleTable() {
  static const Candidates<Call> table = {
      Entry<Tiles<double, 32, false>>("tiles_32"), Loops<Call>()};
  return table;
}
// Of an operation on values of fewer digits (see narrow.hpp), whose tiles on
// tensor cores are Mma<Value, rows, columns, in whole pieces>: those by groups
// of warps (see mma_group_tile_cuda.hpp), which are compiled for some GPUs
// alone,
template <template <typename, int, int, bool> class Mma, typename Value,
          typename Call = typename Mma<Value, 64, 64, true>::Call>
const Candidates<Call>& GroupTable() {
  static const Candidates<Call> table = {
      Entry<Mma<Value, 128, 128, true>>("wgmma_128x128"),
      Entry<Mma<Value, 128, 64, true>>("wgmma_128x64"),
      Entry<Mma<Value, 64, 64, true>>("wgmma_64x64")};
  return table;
}
template <typename Call>
const Candidates<Call>& ByWarpGroups();
// and the table: `groups`, those by warps, and before the loops what may take
// what those cannot do.
template <template <typename, int, int, bool> class Mma, typename Value,
          typename Call = typename Mma<Value, 64, 64, true>::Call>
const Candidates<Call>& MmaTable(const Candidates<Call>& groups,
                                 const Candidates<Call>& others = {}) {
  static const Candidates<Call> table = [&] {
    Candidates<Call> all = groups;
    all.insert(all.end(),
               {Entry<Mma<Value, 128, 128, true>>("mma_128x128"),
                Entry<Mma<Value, 128, 64, true>>("mma_128x64"),
                Entry<Mma<Value, 64, 64, true>>("mma_64x64"),
                Entry<Mma<Value, 64, 64, false>>("mma_64x64_single")});
    all.insert(all.end(), others.begin(), others.end());
    all.push_back(Loops<Call>());
    return all;
  }();
  return table;
}

}  // namespace cuda
}  // namespace p3d

#endif  // P3D_KERNELS_CONV_CANDIDATE_CUDA_HPP_
