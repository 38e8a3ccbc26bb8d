#ifndef P3D_KERNELS_CUBLASLT_API_HPP_
#define P3D_KERNELS_CUBLASLT_API_HPP_

// What is used of cuBLASLt 12 and 13: its numbers, its structures and the types
// of its functions, so that no header of NVIDIA's is needed to build.
// tests/gpu/check_cublaslt_api.cpp compares them with the real header.

#include <cstddef>
#include <cstdint>

struct CUstream_st;  // a cudaStream_t is a pointer to it

namespace p3d {
namespace cublaslt {

// X(our name, NVIDIA's name, number)
#define P3D_CUBLASLT_NUMBERS(X)                                  \
  X(kSuccess, CUBLAS_STATUS_SUCCESS, 0)                          \
  X(kFloat, CUDA_R_32F, 0)                                       \
  X(kHalf, CUDA_R_16F, 2)                                        \
  X(kBfloat16, CUDA_R_16BF, 14)                                  \
  X(kComputeFloat, CUBLAS_COMPUTE_32F, 68)                       \
  X(kComputeTf32, CUBLAS_COMPUTE_32F_FAST_TF32, 77)              \
  X(kTransposed, CUBLAS_OP_T, 1)                                 \
  X(kTransposeA, CUBLASLT_MATMUL_DESC_TRANSA, 3)                 \
  X(kTransposeB, CUBLASLT_MATMUL_DESC_TRANSB, 4)                 \
  X(kEpilogue, CUBLASLT_MATMUL_DESC_EPILOGUE, 7)                 \
  X(kBiasPointer, CUBLASLT_MATMUL_DESC_BIAS_POINTER, 8)          \
  X(kNoEpilogue, CUBLASLT_EPILOGUE_DEFAULT, 1)                   \
  X(kRelu, CUBLASLT_EPILOGUE_RELU, 2)                            \
  X(kBias, CUBLASLT_EPILOGUE_BIAS, 4)                            \
  X(kReluBias, CUBLASLT_EPILOGUE_RELU_BIAS, 6)                   \
  X(kMostWorkspace, CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, 1) \
  X(kReductions, CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK, 3)  \
  X(kAlignmentA, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, 5)  \
  X(kAlignmentB, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES, 6)  \
  X(kAlignmentC, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, 7)  \
  X(kAlignmentD, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES, 8)  \
  X(kReducedAsComputed, CUBLASLT_REDUCTION_SCHEME_COMPUTE_TYPE, 2)

#define P3D_NUMBER(ours, theirs, number) constexpr int ours = number;
P3D_CUBLASLT_NUMBERS(P3D_NUMBER)
#undef P3D_NUMBER

using Status = int;
using Handle = void*;
using RawDescriptor = void*;

// As the library fills and reads them.
struct Algorithm {
  uint64_t data[8];
};
struct Proposal {
  Algorithm algorithm;
  size_t workspace_bytes;
  Status state;  // the rest counts only where it is kSuccess
  float waves;
  int reserved[4];
};

// X(function, its type)
#define P3D_CUBLASLT_FUNCTIONS(X)                                              \
  X(cublasLtGetVersion, size_t())                                              \
  X(cublasLtGetStatusString, const char*(Status))                              \
  X(cublasLtCreate, Status(Handle*))                                           \
  X(cublasLtMatmulDescCreate, Status(RawDescriptor*, int, int))                \
  X(cublasLtMatmulDescDestroy, Status(RawDescriptor))                          \
  X(cublasLtMatmulDescSetAttribute,                                            \
    Status(RawDescriptor, int, const void*, size_t))                           \
  X(cublasLtMatrixLayoutCreate,                                                \
    Status(RawDescriptor*, int, uint64_t, uint64_t, int64_t))                  \
  X(cublasLtMatrixLayoutDestroy, Status(RawDescriptor))                        \
  X(cublasLtMatmulPreferenceCreate, Status(RawDescriptor*))                    \
  X(cublasLtMatmulPreferenceDestroy, Status(RawDescriptor))                    \
  X(cublasLtMatmulPreferenceSetAttribute,                                      \
    Status(RawDescriptor, int, const void*, size_t))                           \
  X(cublasLtMatmulAlgoGetHeuristic,                                            \
    Status(Handle, RawDescriptor, RawDescriptor, RawDescriptor, RawDescriptor, \
           RawDescriptor, RawDescriptor, int, Proposal*, int*))                \
  X(cublasLtMatmul,                                                            \
    Status(Handle, RawDescriptor, const void*, const void*, RawDescriptor,     \
           const void*, RawDescriptor, const void*, const void*,               \
           RawDescriptor, void*, RawDescriptor, const Algorithm*, void*,       \
           size_t, CUstream_st*))

}  // namespace cublaslt
}  // namespace p3d

#endif  // P3D_KERNELS_CUBLASLT_API_HPP_
