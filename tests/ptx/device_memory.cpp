#include "device_memory.hpp"

#include <cstdlib>
#include <cstring>
#include <iterator>

namespace ptx {

double Setting(const char* name, double otherwise) {
  const char* text = std::getenv(name);
  return text ? std::atof(text) : otherwise;
}

void* DeviceMemory::Allocate(size_t bytes) {
  constexpr size_t kAlign = 256;
  const std::lock_guard<std::mutex> lock(mutex_);
  if (in_use_ + bytes > size()) return nullptr;
  void* memory = std::aligned_alloc(kAlign, (bytes / kAlign + 1) * kAlign);
  if (!memory) return nullptr;
  std::memset(memory, 0xff, bytes);
  sizes_[reinterpret_cast<uint64_t>(memory)] = bytes;
  in_use_ += bytes;
  return memory;
}

bool DeviceMemory::Release(void* memory) {
  const std::lock_guard<std::mutex> lock(mutex_);
  const auto found = sizes_.find(reinterpret_cast<uint64_t>(memory));
  if (found == sizes_.end()) return false;
  in_use_ -= found->second;
  sizes_.erase(found);
  std::free(memory);
  return true;
}

bool DeviceMemory::Holds(uint64_t address, uint64_t* begin, uint64_t* end) {
  const std::lock_guard<std::mutex> lock(mutex_);
  const auto behind = sizes_.upper_bound(address);
  if (behind == sizes_.begin()) return false;
  const auto found = std::prev(behind);
  *begin = found->first;
  *end = found->first + found->second;
  return address < *end;
}

bool DeviceMemory::Holds(const void* memory, size_t bytes) {
  uint64_t begin = 0, end = 0;
  const auto address = reinterpret_cast<uint64_t>(memory);
  return Holds(address, &begin, &end) && bytes <= end - address;
}

size_t DeviceMemory::size() {
  return static_cast<size_t>(Setting("P3D_SIMULATED_MIB", 2048)) << 20;
}

}  // namespace ptx
