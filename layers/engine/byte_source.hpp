#ifndef P3D_ENGINE_BYTE_SOURCE_HPP_
#define P3D_ENGINE_BYTE_SOURCE_HPP_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace p3d {

// A range of bytes that is read by position: a file, or memory. Reads are
// independent of each other, so several threads may share one source.
class ByteSource {
 public:
  virtual ~ByteSource() = default;
  // Copies `size` bytes at `offset` to `out`. Throws Error when the range is
  // not within size() or the medium gives less (a file that was cut short
  // after it was opened).
  virtual void Read(uint64_t offset, size_t size, void* out) const = 0;
  virtual uint64_t size() const = 0;
  // For messages: the path, or what the caller called the memory.
  virtual const std::string& name() const = 0;
};

// Opens a regular file for reading. Nothing is mapped: a file that someone
// overwrites while it is being read gives an Error, not a dead process.
std::unique_ptr<ByteSource> OpenFile(const std::string& path);

// Reads from `data`, which must outlive the source.
std::unique_ptr<ByteSource> OpenMemory(const void* data, size_t size,
                                       const std::string& name);

// A small buffer over a source for walking it forwards in little steps and
// jumping over what is not of interest.
class ByteWindow {
 public:
  // Capacity is the number of bytes fetched at a time; no request may exceed
  // it.
  ByteWindow(const ByteSource& source, size_t capacity)
      : source_(source), buffer_(capacity) {}

  // The `size` bytes at `offset`, valid until the next call; the caller has
  // checked that they lie within the source.
  const uint8_t* At(uint64_t offset, size_t size) {
    if (offset < begin_ || offset - begin_ + size > filled_) Fill(offset, size);
    return buffer_.data() + (offset - begin_);
  }

 private:
  void Fill(uint64_t offset, size_t size);

  const ByteSource& source_;
  std::vector<uint8_t> buffer_;
  uint64_t begin_ = 0;
  size_t filled_ = 0;
};

}  // namespace p3d

#endif  // P3D_ENGINE_BYTE_SOURCE_HPP_
