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

// The tables of an operation whose tiles are Tiles<Dtype, side, in fours>, and
// whose plain loops are launched by `loops`.
template <template <typename, int, bool> class Tiles,
          typename Call = typename Tiles<float, 32, true>::Call>
Candidates<Call> FloatTable(void (*loops)(CUstream_st*, const Call&)) {
  return {Entry<Tiles<float, 128, true>>("tiles_128_fours"),
          Entry<Tiles<float, 64, true>>("tiles_64_fours"),
          Entry<Tiles<float, 64, false>>("tiles_64"),
          Entry<Tiles<float, 32, true>>("tiles_32_fours"),
          Entry<Tiles<float, 32, false>>("tiles_32"),
          {"loops", Always<Call>, Always<Call>, loops}};
}
template <template <typename, int, bool> class Tiles,
          typename Call = typename Tiles<double, 32, false>::Call>
Candidates<Call> DoubleTable(void (*loops)(CUstream_st*, const Call&)) {
  return {Entry<Tiles<double, 32, false>>("tiles_32"),
          {"loops", Always<Call>, Always<Call>, loops}};
}
// That of an operation on values of fewer digits (see narrow.hpp), whose tiles
// on tensor cores are MmaTiles<Value, rows, columns, in whole pieces>. What
// those cannot do is left to `others`, if there are any, before the loops.
template <template <typename, int, int, bool> class MmaTiles, typename Value,
          typename Call = typename MmaTiles<Value, 64, 64, true>::Call>
Candidates<Call> NarrowTable(void (*loops)(CUstream_st*, const Call&),
                             const Candidates<Call>& others = {}) {
  Candidates<Call> table = {
      Entry<MmaTiles<Value, 128, 128, true>>("mma_128x128"),
      Entry<MmaTiles<Value, 128, 64, true>>("mma_128x64"),
      Entry<MmaTiles<Value, 64, 64, true>>("mma_64x64"),
      Entry<MmaTiles<Value, 64, 64, false>>("mma_64x64_single")};
  table.insert(table.end(), others.begin(), others.end());
  table.push_back({"loops", Always<Call>, Always<Call>, loops});
  return table;
}
// What takes values of Tf32 for floats, which they are as well.
template <typename Call>
Candidate<Call> Floats(void (*launch)(CUstream_st*, const Call&)) {
  return {"floats", Always<Call>, Always<Call>, launch};
}

}  // namespace cuda
}  // namespace p3d

#endif  // P3D_KERNELS_CONV_CANDIDATE_CUDA_HPP_
