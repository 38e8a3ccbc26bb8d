#ifndef P3D_TESTS_PTX_DEVICE_MEMORY_HPP_
#define P3D_TESTS_PTX_DEVICE_MEMORY_HPP_

#include <cstddef>
#include <cstdint>
#include <map>
#include <mutex>

#include "block.hpp"

namespace ptx {

// The number that a variable of the environment holds.
double Setting(const char* name, double otherwise);

// A GPU's memory, which is full at $P3D_SIMULATED_MIB (2048). It starts as 0xff
// bytes (NaN).
class DeviceMemory : public Memory {
 public:
  // Null if there is no room.
  void* Allocate(size_t bytes);
  // Whether it is what Allocate returned.
  bool Release(void* memory);
  bool Holds(uint64_t address, Allocation* found) override;
  bool Holds(const void* memory, size_t bytes);

  size_t in_use() const { return in_use_; }
  static size_t size();

 private:
  std::mutex mutex_;
  std::map<uint64_t, Allocation> allocations_;  // by where they begin
  size_t in_use_ = 0;
};

}  // namespace ptx

#endif  // P3D_TESTS_PTX_DEVICE_MEMORY_HPP_
