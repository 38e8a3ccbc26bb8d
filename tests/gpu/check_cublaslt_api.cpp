// Our numbers, structures and types of cuBLASLt's (layers/kernels/
// cublaslt_api.hpp) are those of its real header: compiled, never run, where
// that and CUDA's are.

#include <cublasLt.h>

#include "kernels/cuda/cublaslt_api.hpp"
#include "same_call.hpp"

#define P3D_COMPARE(ours, theirs, number) \
  static_assert(p3d::cublaslt::ours == static_cast<int>(theirs), #theirs);
P3D_CUBLASLT_NUMBERS(P3D_COMPARE)

namespace p3d {
namespace cublaslt {
#define P3D_COMPARE_CALL(name, ...)     \
  using name##_type = __VA_ARGS__;      \
  using name##_real = decltype(::name); \
  static_assert(SameCall<name##_type, name##_real>::value, #name);
P3D_CUBLASLT_FUNCTIONS(P3D_COMPARE_CALL)

using Real = cublasLtMatmulHeuristicResult_t;
static_assert(sizeof(Algorithm) == sizeof(cublasLtMatmulAlgo_t), "algorithm");
static_assert(sizeof(Proposal) == sizeof(Real), "proposal");
static_assert(offsetof(Proposal, algorithm) == offsetof(Real, algo), "algo");
static_assert(offsetof(Proposal, workspace_bytes) ==
                  offsetof(Real, workspaceSize),
              "workspaceSize");
static_assert(offsetof(Proposal, state) == offsetof(Real, state), "state");
}  // namespace cublaslt
}  // namespace p3d
