#ifndef P3D_TESTS_PTX_FAT_BINARY_HPP_
#define P3D_TESTS_PTX_FAT_BINARY_HPP_

#include <string>

namespace ptx {

// The PTX that nvcc put into a program for GPUs of compute capability
// `capability` / 10 (90) or, as drivers choose, for the newest that are older.
// "" if there is none. `wrapper` is what __cudaRegisterFatBinary gets. Throws
// Error for text that is compressed: nvcc's --no-compress prevents that.
std::string PtxOf(const void* wrapper, int capability);

}  // namespace ptx

#endif  // P3D_TESTS_PTX_FAT_BINARY_HPP_
