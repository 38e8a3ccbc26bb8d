#ifndef P3D_KERNELS_ERROR_HPP_
#define P3D_KERNELS_ERROR_HPP_

#include <sstream>
#include <stdexcept>
#include <string>

namespace p3d {

// Every error of the library. The text is for a person: it names the layer or
// the file, the value that was found and the cure. Python sees RuntimeError.
class Error : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

// The host has no memory for what was asked: less of it may fit. Python sees a
// MemoryError, too.
class NoMemory : public Error {
 public:
  using Error::Error;
};

namespace detail {
inline void Concatenate(std::ostringstream*) {}
template <typename First, typename... Rest>
void Concatenate(std::ostringstream* out, const First& first,
                 const Rest&... rest) {
  *out << first;
  Concatenate(out, rest...);
}
}  // namespace detail

// Throws Error with the arguments written one after the other.
template <typename... Parts>
[[noreturn]] void Fail(const Parts&... parts) {
  std::ostringstream out;
  detail::Concatenate(&out, parts...);
  throw Error(out.str());
}

// Throws Error with the arguments as its text unless `condition` holds.
template <typename... Parts>
void Check(bool condition, const Parts&... parts) {
  if (!condition) Fail(parts...);
}

}  // namespace p3d

#endif  // P3D_KERNELS_ERROR_HPP_
