#ifndef P3D_TESTS_GPU_SAME_CALL_HPP_
#define P3D_TESTS_GPU_SAME_CALL_HPP_

// For comparing our types of a library's functions with those of its header.

#include <type_traits>

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

#endif  // P3D_TESTS_GPU_SAME_CALL_HPP_
