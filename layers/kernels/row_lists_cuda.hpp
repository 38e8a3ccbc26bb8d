#ifndef P3D_KERNELS_ROW_LISTS_CUDA_HPP_
#define P3D_KERNELS_ROW_LISTS_CUDA_HPP_

#include <cstdint>

#include "kernels/cuda/cuda_launch.hpp"
#include "kernels/row_index.hpp"

namespace p3d {
namespace cuda {

namespace detail {

// The first value that names row i; behind the rows, the next one that names
// what value j does.
template <typename Dtype>
struct LinkRows {
  RowIndex<Dtype> index;
  int64_t count;
  int64_t* to;

  P3D_HOST_DEVICE void operator()(int64_t i) const {
    const int64_t j = i - index.rows;
    to[i] = j < 0 ? Find(i, 0) : Find(index.find(j), j + 1);
  }
  // From value j on the first that names the row, or -1.
  P3D_HOST_DEVICE int64_t Find(int64_t row, int64_t j) const {
    while (j < count && index.find(j) != row) ++j;
    return j < count && row >= 0 ? j : -1;
  }
};

}  // namespace detail

// Which of `count` values of an index name a row, in their order, for .cu
// files: sums over them never vary. `memory` is of rows + count numbers.
template <typename Dtype>
class RowLists {
 public:
  // Makes the lists.
  RowLists(CUstream_st* stream, const RowIndex<Dtype>& index, int64_t count,
           int64_t* memory)
      : first_(memory), next_(memory + index.rows) {
    ForEach(stream, "RowLists", index.rows + count,
            detail::LinkRows<Dtype>{index, count, memory});
  }

  // body(j) for every value that names the row.
  template <typename Body>
  P3D_HOST_DEVICE void ForEachOf(int64_t row, const Body& body) const {
    P3D_UNROLL_1
    for (int64_t j = first_[row]; j >= 0; j = next_[j]) body(j);
  }

  // Adds to `sums`, the run at value i of rows of `width` values, the same run
  // of every row of `from` that names its row.
  template <typename Runs, typename Value, typename Sums>
  P3D_HOST_DEVICE void Add(const Runs& runs, int64_t i, int64_t width,
                           const Value* from, Sums* sums) const {
    ForEachOf(Quotient(i, width), [&](int64_t j) {
      const auto values = Runs::Read(from + j * width + runs.d);
      P3D_UNROLL
      for (int k = 0; k < Runs::kWidth; ++k) (*sums)[k] += values[k];
    });
  }

 private:
  const int64_t* first_;  // by row
  const int64_t* next_;   // by value
};

}  // namespace cuda
}  // namespace p3d

#endif  // P3D_KERNELS_ROW_LISTS_CUDA_HPP_
