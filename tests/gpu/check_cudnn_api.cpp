// Our numbers and types of cuDNN's (layers/kernels/cudnn_api.hpp) are those of
// its real headers: compiled, never run, where these and CUDA's are.

#include <cudnn.h>

#include <type_traits>

#include "kernels/cudnn_api.hpp"

#define P3D_COMPARE(ours, theirs, number) \
  static_assert(p3d::cudnn::ours == static_cast<int>(theirs), #theirs);
P3D_CUDNN_NUMBERS(P3D_COMPARE)

// As many parameters, each passed in the same way: enumerations as int, handles
// and descriptors as pointers.
template <typename Ours, typename Theirs>
struct SameKind {
  static constexpr bool value =
      sizeof(Ours) == sizeof(Theirs) &&
      std::is_pointer<Ours>::value == std::is_pointer<Theirs>::value;
};
template <>
struct SameKind<void, void> {
  static constexpr bool value = true;
};
template <typename Ours, typename Theirs>
struct SameCall {
  static constexpr bool value = false;
};
template <typename R, typename S, typename... Args, typename... Others>
struct SameCall<R(Args...), S(Others...)> {
  template <bool... all>
  struct List {};
  template <typename... A, typename... B>
  static constexpr bool Same(void (*)(A...), void (*)(B...)) {
    return std::is_same<List<true, SameKind<A, B>::value...>,
                        List<SameKind<A, B>::value..., true>>::value;
  }
  static constexpr bool value =
      SameKind<R, S>::value && Same(static_cast<void (*)(Args...)>(nullptr),
                                    static_cast<void (*)(Others...)>(nullptr));
};

namespace p3d {
namespace cudnn {
#define P3D_COMPARE_CALL(name, ...)     \
  using name##_type = __VA_ARGS__;      \
  using name##_real = decltype(::name); \
  static_assert(SameCall<name##_type, name##_real>::value, #name);
P3D_CUDNN_FUNCTIONS(P3D_COMPARE_CALL)
}  // namespace cudnn
}  // namespace p3d
