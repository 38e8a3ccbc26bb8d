#ifndef P3D_KERNELS_EPILOGUE_BACKWARD_CUDA_HPP_
#define P3D_KERNELS_EPILOGUE_BACKWARD_CUDA_HPP_

#include <cstdint>

#include "kernels/conv/conv.hpp"

struct CUstream_st;  // a cudaStream_t is a pointer to it

namespace p3d {
namespace cuda {

// EpilogueBackward of epilogue_backward.hpp on a GPU: the same formulas, each
// value read and written once. Arrays lie in device memory, the epilogue's too.
// The call is put into the stream and not waited for; what cannot be launched
// throws Error.
template <typename Value>
void EpilogueBackward(CUstream_st* stream, const Epilogue<Value>& epilogue,
                      int64_t rows, int64_t channels, const Value* y, Value* dy,
                      Value* dresidual, bool add);

}  // namespace cuda
}  // namespace p3d

#endif  // P3D_KERNELS_EPILOGUE_BACKWARD_CUDA_HPP_
