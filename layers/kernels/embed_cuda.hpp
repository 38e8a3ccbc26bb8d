#ifndef P3D_KERNELS_EMBED_CUDA_HPP_
#define P3D_KERNELS_EMBED_CUDA_HPP_

#include <cstdint>

#include "kernels/narrow.hpp"
#include "kernels/row_index.hpp"

struct CUstream_st;  // a cudaStream_t is a pointer to it

namespace p3d {
namespace cuda {

// The functions of embed.hpp on a GPU: the same formulas in the same order.
// Arrays lie in device memory, the index too. Each call is put into the stream
// and not waited for; what cannot be launched throws Error. Kernels cannot
// throw: y is NaN for an index without a row, which has no gradient; CheckRows
// of gather_rows_cuda.hpp finds it.

template <typename Value>
void Embed(CUstream_st* stream, const RowIndex<RealOf<Value>>& index,
           int64_t count, int64_t outputs, const RealOf<Value>* weights,
           const RealOf<Value>* bias, Value* y);

// `scratch` is memory for the length of the call: index.rows + count numbers.
template <typename Value>
void EmbedBackward(CUstream_st* stream, const RowIndex<RealOf<Value>>& index,
                   int64_t count, int64_t outputs, const Value* dy,
                   int64_t* scratch, RealOf<Value>* dweights);

}  // namespace cuda
}  // namespace p3d

#endif  // P3D_KERNELS_EMBED_CUDA_HPP_
