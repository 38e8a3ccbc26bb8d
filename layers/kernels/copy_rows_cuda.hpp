#ifndef P3D_KERNELS_COPY_ROWS_CUDA_HPP_
#define P3D_KERNELS_COPY_ROWS_CUDA_HPP_

#include <cstdint>

#include "kernels/copy_rows.hpp"
#include "kernels/narrow.hpp"

struct CUstream_st;  // a cudaStream_t is a pointer to it

namespace p3d {
namespace cuda {

// CopyRows of copy_rows.hpp on a GPU. Arrays lie in device memory. The call is
// put into the stream and not waited for; what cannot be launched throws Error.
template <typename Value>
void CopyRows(CUstream_st* stream, int64_t rows, int64_t width,
              Rows<const Value> from, Rows<Value> to);

}  // namespace cuda
}  // namespace p3d

#endif  // P3D_KERNELS_COPY_ROWS_CUDA_HPP_
