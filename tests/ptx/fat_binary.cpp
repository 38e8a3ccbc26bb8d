#include "fat_binary.hpp"

#include <cstdint>
#include <cstring>

#include "program.hpp"

namespace ptx {
namespace {

struct Wrapper {
  uint32_t magic, version;
  const char* data;
};

struct Header {
  uint32_t magic;
  uint16_t version, header_bytes;
  uint64_t bytes;  // of the parts behind it
};

struct Part {
  uint16_t kind, version;
  uint32_t header_bytes;
  uint64_t bytes;  // behind the header
  uint32_t compressed_bytes;
  uint32_t options;
  uint16_t minor, major;
  uint32_t capability;
};

constexpr uint32_t kWrapperMagic = 0x466243b1, kMagic = 0xba55ed50;
constexpr uint16_t kPtx = 1;

}  // namespace

std::string PtxOf(const void* wrapper, int capability) {
  Wrapper wrapped;
  std::memcpy(&wrapped, wrapper, sizeof(wrapped));
  Header header;
  std::memcpy(&header, wrapped.data, sizeof(header));
  if (wrapped.magic != kWrapperMagic || header.magic != kMagic)
    throw Error("a binary of an unknown kind");
  std::string text;
  uint32_t best = 0;
  const char* at = wrapped.data + header.header_bytes;
  const char* const end = at + header.bytes;
  while (at < end) {
    Part part;
    std::memcpy(&part, at, sizeof(part));
    const char* const content = at + part.header_bytes;
    if (part.kind == kPtx && part.capability >= best &&
        part.capability <= static_cast<uint32_t>(capability)) {
      if (part.compressed_bytes)
        throw Error("compressed PTX; compile with nvcc --no-compress");
      const std::string found(content, strnlen(content, part.bytes));
      // "sm_90a" is for GPUs of 9.0 and no others.
      const std::string other = "sm_" + std::to_string(part.capability) + "a";
      if (part.capability == static_cast<uint32_t>(capability) ||
          found.find(other) == std::string::npos) {
        best = part.capability;
        text = found;
      }
    }
    at = content + part.bytes;
  }
  return text;
}

}  // namespace ptx
