#ifndef P3D_KERNELS_BUFFER_HPP_
#define P3D_KERNELS_BUFFER_HPP_

#include <cstddef>

namespace p3d {

// Zeroed memory aligned to 64 bytes (a page, if large) that its owner can
// neither copy nor grow. Large buffers come straight from the operating system,
// on huge pages where it grants them, and go straight back to it.
class Buffer {
 public:
  // Throws NoMemory that says how much was wanted when there is not enough.
  explicit Buffer(size_t bytes);
  ~Buffer();
  Buffer(const Buffer&) = delete;
  Buffer& operator=(const Buffer&) = delete;

  void* data() const { return data_; }
  size_t bytes() const { return bytes_; }

 private:
  void* data_ = nullptr;
  size_t bytes_ = 0;
  size_t mapped_ = 0;  // 0: from the heap
};

}  // namespace p3d

#endif  // P3D_KERNELS_BUFFER_HPP_
