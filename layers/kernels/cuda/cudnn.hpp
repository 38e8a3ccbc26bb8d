#ifndef P3D_KERNELS_CUDNN_HPP_
#define P3D_KERNELS_CUDNN_HPP_

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "kernels/cuda/cudnn_api.hpp"

namespace p3d {
namespace cudnn {

// cuDNN as it is found at run time.
struct Library {
#define P3D_MEMBER(name, ...)      \
  using name##_type = __VA_ARGS__; \
  name##_type* name = nullptr;
  P3D_CUDNN_FUNCTIONS(P3D_MEMBER)
#undef P3D_MEMBER
  int version = 0;  // 91501 for 9.15.1

  // Throws Error with cuDNN's own words for a call that failed.
  void Check(Status status, const char* call) const;
};

// Loads libcudnn.so.9 from the first of `folders` that has it, or else from
// where the loader looks. Stays loaded. Throws Error with the cure where there
// is none, or one older than 9.15, whose engines for three axes are slow or
// wrong, or one without the cuBLASLt of its CUDA. Takes NVRTC, too, from the
// folders that have it.
std::unique_ptr<Library> Load(const std::vector<std::string>& folders);

// A descriptor of the graph interface: attributes are set, then it is
// finalized. All functions throw Error.
class Descriptor {
 public:
  Descriptor(const Library& library, int kind);
  ~Descriptor();
  Descriptor(Descriptor&& other) noexcept;
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;

  RawDescriptor get() const { return raw_; }

  void Set(int attribute, int type, int64_t count, const void* values);
  void Set(int attribute, int64_t value);
  void Set(int attribute, const std::vector<int64_t>& values);
  void Set(int attribute, float value);
  void Set(int attribute, const Descriptor& value);
  void Set(int attribute, const std::string& text);
  // One of cuDNN's enumerations.
  void SetEnum(int attribute, int type, int value);
  void Finalize();

  int64_t Int(int attribute) const;
  std::string Text(int attribute) const;

 private:
  const Library& library_;
  RawDescriptor raw_ = nullptr;
};

}  // namespace cudnn
}  // namespace p3d

#endif  // P3D_KERNELS_CUDNN_HPP_
