#include "kernels/buffer.hpp"

#include <sys/mman.h>

#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <sstream>

#include "kernels/error.hpp"

namespace p3d {
namespace {

// From this size on memory is mapped: freeing it returns it at once, which
// keeps the peak of a process that repacks weights near what is live.
constexpr size_t kMapFrom = size_t{1} << 18;
constexpr size_t kHugePage = size_t{1} << 21;
constexpr size_t kLargest = size_t{1} << 46;

size_t RoundUp(size_t bytes, size_t to) { return (bytes + to - 1) / to * to; }

[[noreturn]] void FailToHold(size_t bytes) {
  std::ostringstream out;
  out << "out of memory: ";
  if (bytes < kMapFrom) {
    out << bytes << " bytes wanted";
  } else {
    const double mib = static_cast<double>(bytes) / (1 << 20);
    out << mib << " MiB wanted; a smaller batch needs less";
  }
  throw NoMemory(out.str());
}

}  // namespace

Buffer::Buffer(size_t bytes) : bytes_(bytes) {
  if (bytes >= kLargest) FailToHold(bytes);
  if (bytes < kMapFrom) {
    if (posix_memalign(&data_, 64, RoundUp(bytes + 1, 64)) != 0) {
      FailToHold(bytes);
    }
    std::memset(data_, 0, bytes);
    return;
  }
  mapped_ = RoundUp(bytes, 4096);
  data_ = mmap(nullptr, mapped_, PROT_READ | PROT_WRITE,
               MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (data_ == MAP_FAILED) {
    data_ = nullptr;
    FailToHold(bytes);
  }
#ifdef MADV_HUGEPAGE
  if (mapped_ >= kHugePage) madvise(data_, mapped_, MADV_HUGEPAGE);
#endif
}

Buffer::~Buffer() {
  if (mapped_) {
    munmap(data_, mapped_);
  } else {
    std::free(data_);
  }
}

}  // namespace p3d
