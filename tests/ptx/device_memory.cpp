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
  void* writers = std::calloc(bytes / 4 + 1, sizeof(Writer));
  if (!memory || !writers) {
    std::free(memory);
    std::free(writers);
    return nullptr;
  }
  std::memset(memory, 0xff, bytes);
  const auto begin = reinterpret_cast<uint64_t>(memory);
  allocations_[begin] = {begin, begin + bytes, static_cast<Writer*>(writers)};
  in_use_ += bytes;
  return memory;
}

bool DeviceMemory::Release(void* memory) {
  const std::lock_guard<std::mutex> lock(mutex_);
  const auto found = allocations_.find(reinterpret_cast<uint64_t>(memory));
  if (found == allocations_.end()) return false;
  in_use_ -= found->second.end - found->second.begin;
  std::free(found->second.writers);
  std::free(memory);
  allocations_.erase(found);
  return true;
}

bool DeviceMemory::Holds(uint64_t address, Allocation* found) {
  const std::lock_guard<std::mutex> lock(mutex_);
  const auto behind = allocations_.upper_bound(address);
  if (behind == allocations_.begin()) return false;
  *found = std::prev(behind)->second;
  return address < found->end;
}

bool DeviceMemory::Holds(const void* memory, size_t bytes) {
  Allocation found;
  const auto address = reinterpret_cast<uint64_t>(memory);
  return Holds(address, &found) && bytes <= found.end - address;
}

size_t DeviceMemory::size() {
  return static_cast<size_t>(Setting("P3D_SIMULATED_MIB", 2048)) << 20;
}

}  // namespace ptx
