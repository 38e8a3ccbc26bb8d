#ifndef P3D_KERNELS_SCRATCH_HPP_
#define P3D_KERNELS_SCRATCH_HPP_

#include <cstddef>
#include <cstdint>
#include <memory>

#include "kernels/buffer.hpp"

namespace p3d {

// Memory for the length of a scope, undefined contents, 64-byte aligned:
//
//   Scratch<float> sums(channels);
//   sums.data()[c] = ...
//
// It comes from a small stock of the calling thread, so that a forward that is
// repeated allocates nothing. Scopes may be nested; each has memory of its own.
template <typename T>
class Scratch {
 public:
  explicit Scratch(int64_t count);
  ~Scratch();
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;

  T* data() const { return static_cast<T*>(buffer_->data()); }

 private:
  std::unique_ptr<Buffer> buffer_;
};

namespace detail {
std::unique_ptr<Buffer> TakeScratch(size_t bytes);
void ReturnScratch(std::unique_ptr<Buffer> buffer);
}  // namespace detail

template <typename T>
Scratch<T>::Scratch(int64_t count)
    : buffer_(detail::TakeScratch(static_cast<size_t>(count) * sizeof(T))) {}

template <typename T>
Scratch<T>::~Scratch() {
  detail::ReturnScratch(std::move(buffer_));
}

}  // namespace p3d

#endif  // P3D_KERNELS_SCRATCH_HPP_
