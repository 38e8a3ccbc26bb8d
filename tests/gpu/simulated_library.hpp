#ifndef P3D_TESTS_GPU_SIMULATED_LIBRARY_HPP_
#define P3D_TESTS_GPU_SIMULATED_LIBRARY_HPP_

// What simulated libraries have in common: their switches are environment
// variables.

#include <cstdio>
#include <cstdlib>
#include <string>

#include "kernels/narrow.hpp"

#define P3D_SIMULATED extern "C" __attribute__((visibility("default")))

namespace simulated {

inline std::string Variable(const char* name) {
  const char* text = std::getenv(name);
  return text ? text : "";
}
inline int Number(const char* variable, int otherwise) {
  const std::string text = Variable(variable);
  return text.empty() ? otherwise : std::stoi(text);
}
// Whether it is among the numbers of that variable.
inline bool Lists(const char* variable, int number) {
  return (" " + Variable(variable) + " ")
             .find(" " + std::to_string(number) + " ") != std::string::npos;
}
// Adds a line to the file that a variable names.
inline void Log(const char* variable, int number) {
  const std::string log = Variable(variable);
  if (log.empty()) return;
  if (FILE* file = std::fopen(log.c_str(), "a")) {
    std::fprintf(file, "%d\n", number);
    std::fclose(file);
  }
}

// One value of the kind that makes it nonsense.
inline void Spoil(p3d::Precision kind, void* values) {
  if (p3d::BytesOf(kind) == 4) {
    *static_cast<float*>(values) += 1e6f;
  } else {
    *static_cast<uint16_t*>(values) ^= 0x7c00;
  }
}

inline float Read(p3d::Precision kind, const void* from, int64_t place) {
  switch (kind) {
    case p3d::Precision::kBf16:
      return static_cast<const p3d::Bf16*>(from)[place];
    case p3d::Precision::kFp16:
      return static_cast<const p3d::Fp16*>(from)[place];
    default:
      return static_cast<const float*>(from)[place];
  }
}
inline void Write(p3d::Precision kind, float value, void* to, int64_t place) {
  switch (kind) {
    case p3d::Precision::kBf16:
      static_cast<p3d::Bf16*>(to)[place] = value;
      return;
    case p3d::Precision::kFp16:
      static_cast<p3d::Fp16*>(to)[place] = value;
      return;
    default:
      static_cast<float*>(to)[place] = value;
  }
}

}  // namespace simulated

#endif  // P3D_TESTS_GPU_SIMULATED_LIBRARY_HPP_
