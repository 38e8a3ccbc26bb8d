#include "engine/byte_source.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "kernels/error.hpp"

namespace p3d {
namespace {

void CheckRange(const ByteSource& source, uint64_t offset, size_t size) {
  Check(offset <= source.size() && size <= source.size() - offset,
        source.name(), ": ", size, " bytes at byte ", offset,
        " reach past the end at byte ", source.size());
}

class FileSource : public ByteSource {
 public:
  explicit FileSource(const std::string& path) : name_(path) {
    Check(path.find('\0') == std::string::npos, "Could not open file ",
          path.c_str(), "...: a name cannot contain a zero byte");
    // O_NONBLOCK: opening a named pipe must not wait for a writer.
    descriptor_ = open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    Check(descriptor_ >= 0, "Could not open file ", path, ": ",
          std::strerror(errno));
    struct stat status;
    const bool known = fstat(descriptor_, &status) == 0;
    if (!known || !S_ISREG(status.st_mode)) {
      close(descriptor_);
      Fail("Could not open file ", path, ": it is ",
           known && S_ISDIR(status.st_mode) ? "a directory"
                                            : "not a regular file");
    }
    size_ = static_cast<uint64_t>(status.st_size);
  }
  ~FileSource() override { close(descriptor_); }
  FileSource(const FileSource&) = delete;
  FileSource& operator=(const FileSource&) = delete;

  void Read(uint64_t offset, size_t size, void* out) const override {
    CheckRange(*this, offset, size);
    char* next = static_cast<char*>(out);
    while (size > 0) {
      const ssize_t got = pread(descriptor_, next, std::min(size, kMaxRead),
                                static_cast<off_t>(offset));
      if (got < 0 && errno == EINTR) continue;
      Check(got >= 0, "Could not read file ", name_, " at byte ", offset, ": ",
            std::strerror(errno));
      Check(got > 0, "file ", name_, " ends at byte ", offset, " but had ",
            size_, " bytes when it was opened: something is writing to it");
      next += got;
      offset += static_cast<uint64_t>(got);
      size -= static_cast<size_t>(got);
    }
  }
  uint64_t size() const override { return size_; }
  const std::string& name() const override { return name_; }

 private:
  // macOS refuses reads of 2 GiB and more.
  static constexpr size_t kMaxRead = size_t{1} << 30;

  std::string name_;
  int descriptor_ = -1;
  uint64_t size_ = 0;
};

constexpr size_t FileSource::kMaxRead;

class MemorySource : public ByteSource {
 public:
  MemorySource(const void* data, size_t size, const std::string& name)
      : data_(static_cast<const char*>(data)), size_(size), name_(name) {}
  void Read(uint64_t offset, size_t size, void* out) const override {
    CheckRange(*this, offset, size);
    if (size > 0) std::memcpy(out, data_ + offset, size);
  }
  uint64_t size() const override { return size_; }
  const std::string& name() const override { return name_; }

 private:
  const char* data_;
  size_t size_;
  std::string name_;
};

}  // namespace

std::unique_ptr<ByteSource> OpenFile(const std::string& path) {
  return std::unique_ptr<ByteSource>(new FileSource(path));
}

std::unique_ptr<ByteSource> OpenMemory(const void* data, size_t size,
                                       const std::string& name) {
  return std::unique_ptr<ByteSource>(new MemorySource(data, size, name));
}

void ByteWindow::Fill(uint64_t offset, size_t size) {
  Check(size <= buffer_.size(), source_.name(), ": a step of ", size,
        " bytes is larger than the window of ", buffer_.size());
  filled_ = 0;
  const uint64_t left = source_.size() - std::min(offset, source_.size());
  const size_t fetch =
      static_cast<size_t>(std::min<uint64_t>(buffer_.size(), left));
  source_.Read(offset, std::max(size, fetch), buffer_.data());
  begin_ = offset;
  filled_ = std::max(size, fetch);
}

}  // namespace p3d
