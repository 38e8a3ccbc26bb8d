// Our numbers and types of cuDNN's (layers/kernels/cuda/cudnn_api.hpp) are
// those of its real headers: compiled, never run, where these and CUDA's are.

#include <cudnn.h>

#include "kernels/cuda/cudnn_api.hpp"
#include "same_call.hpp"

#define P3D_COMPARE(ours, theirs, number) \
  static_assert(p3d::cudnn::ours == static_cast<int>(theirs), #theirs);
P3D_CUDNN_NUMBERS(P3D_COMPARE)

namespace p3d {
namespace cudnn {
#define P3D_COMPARE_CALL(name, ...)     \
  using name##_type = __VA_ARGS__;      \
  using name##_real = decltype(::name); \
  static_assert(SameCall<name##_type, name##_real>::value, #name);
P3D_CUDNN_FUNCTIONS(P3D_COMPARE_CALL)
}  // namespace cudnn
}  // namespace p3d
