#ifndef P3D_KERNELS_GATHER_ROWS_CUDA_HPP_
#define P3D_KERNELS_GATHER_ROWS_CUDA_HPP_

#include <cstdint>

#include "kernels/narrow.hpp"
#include "kernels/row_index.hpp"

struct CUstream_st;  // a cudaStream_t is a pointer to it

namespace p3d {
namespace cuda {

// The functions of gather_rows.hpp on a GPU, where the index is still to be
// cut off to integers: the same formulas and, but for values of 16 bits, whose
// sums are floats, the same bits. Arrays lie in device memory, the index too.
// Each call is put into the stream and not waited for; what cannot be launched
// throws Error.

// Kernels cannot throw: what is gathered from a row that does not exist is NaN,
// and such values of an index have no gradient.
struct WrongRow {
  int64_t place;  // of the first value that names no row, or -1
  double value;
  P3D_HOST_DEVICE void operator+=(const WrongRow& other) {
    if (other.place < 0 || (place >= 0 && place < other.place)) return;
    *this = other;
  }
};

// *wrong = the first of `count` values that names no row.
template <typename Dtype>
void CheckRows(CUstream_st* stream, const RowIndex<Dtype>& index, int64_t count,
               WrongRow* wrong);

template <typename Value>
void GatherRows(CUstream_st* stream, const RowIndex<RealOf<Value>>& index,
                int64_t count, int64_t width, const Value* from, Value* to);

// `scratch` is memory for the length of the call: index.rows + count numbers.
template <typename Value>
void GatherRowsBackward(CUstream_st* stream,
                        const RowIndex<RealOf<Value>>& index, int64_t count,
                        int64_t width, const Value* dto, int64_t* scratch,
                        Value* dfrom);

template <typename Value>
void TileRows(CUstream_st* stream, int64_t rows, int64_t tiles, int64_t width,
              const Value* from, Value* to);

template <typename Value>
void TileRowsBackward(CUstream_st* stream, int64_t rows, int64_t tiles,
                      int64_t width, const Value* dto, Value* dfrom);

}  // namespace cuda
}  // namespace p3d

#endif  // P3D_KERNELS_GATHER_ROWS_CUDA_HPP_
