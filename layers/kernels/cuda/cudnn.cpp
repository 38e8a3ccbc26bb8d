#include "kernels/cuda/cudnn.hpp"

#include "kernels/conv/conv_way.hpp"
#include "kernels/cuda/found_library.hpp"
#include "kernels/error.hpp"

namespace p3d {
namespace cudnn {
namespace {

constexpr int kOldest = 91500;

// What cuDNN loads by names that the loader may not know. Without cuBLASLt it
// ends the process; without NVRTC it compiles nothing, nor without the builtins
// that NVRTC 13.0 asks the loader for.
void LoadNeeds(const std::string& cuda,
               const std::vector<std::string>& folders) {
  const std::string cublaslt = "libcublasLt.so." + cuda;
  FoundLibrary("cuBLASLt, which cuDNN needs", {cublaslt.c_str()}, folders);
  LoadLike("libnvrtc-builtins.so." + cuda + ".*", folders);
  LoadLike("libnvrtc.so." + cuda, folders);
}

}  // namespace

std::unique_ptr<Library> Load(const std::vector<std::string>& folders) {
  const FoundLibrary found("cuDNN", {"libcudnn.so.9"}, folders);
  std::unique_ptr<Library> library(new Library);
#define P3D_FIND(name, ...) found.Find(#name, &library->name);
  P3D_CUDNN_FUNCTIONS(P3D_FIND)
#undef P3D_FIND
  library->version = static_cast<int>(library->cudnnGetVersion());
  p3d::Check(library->version >= kOldest, "cuDNN ",
             cuda::VersionText(library->version),
             " is not used: before 9.15 its convolutions with three axes are "
             "slow or wrong",
             kInstallLibraries);
  LoadNeeds(std::to_string(library->cudnnGetCudartVersion() / 1000), folders);
  return library;
}

void Library::Check(Status status, const char* call) const {
  if (status == kSuccess) return;
  char text[512] = "";
  cudnnGetLastErrorString(text, sizeof(text));
  Fail("cuDNN fails in ", call, ": ", cudnnGetErrorString(status), " (", text,
       ")");
}

Descriptor::Descriptor(const Library& library, int kind) : library_(library) {
  library_.Check(library_.cudnnBackendCreateDescriptor(kind, &raw_),
                 "cudnnBackendCreateDescriptor");
}
Descriptor::~Descriptor() {
  if (raw_) library_.cudnnBackendDestroyDescriptor(raw_);
}
Descriptor::Descriptor(Descriptor&& other) noexcept
    : library_(other.library_), raw_(other.raw_) {
  other.raw_ = nullptr;
}

void Descriptor::Set(int attribute, int type, int64_t count,
                     const void* values) {
  library_.Check(
      library_.cudnnBackendSetAttribute(raw_, attribute, type, count, values),
      "cudnnBackendSetAttribute");
}
void Descriptor::Set(int attribute, int64_t value) {
  Set(attribute, kOfInt64, 1, &value);
}
void Descriptor::Set(int attribute, const std::vector<int64_t>& values) {
  Set(attribute, kOfInt64, static_cast<int64_t>(values.size()), values.data());
}
void Descriptor::Set(int attribute, float value) {
  Set(attribute, kOfFloat, 1, &value);
}
void Descriptor::Set(int attribute, const Descriptor& value) {
  Set(attribute, kOfDescriptor, 1, &value.raw_);
}
void Descriptor::Set(int attribute, const std::string& text) {
  Set(attribute, kOfChar, static_cast<int64_t>(text.size()), text.data());
}
void Descriptor::SetEnum(int attribute, int type, int value) {
  Set(attribute, type, 1, &value);
}
void Descriptor::Finalize() {
  library_.Check(library_.cudnnBackendFinalize(raw_), "cudnnBackendFinalize");
}

int64_t Descriptor::Int(int attribute) const {
  int64_t value = 0, count = 0;
  library_.Check(library_.cudnnBackendGetAttribute(raw_, attribute, kOfInt64, 1,
                                                   &count, &value),
                 "cudnnBackendGetAttribute");
  return value;
}

std::string Descriptor::Text(int attribute) const {
  int64_t count = 0;
  library_.Check(library_.cudnnBackendGetAttribute(raw_, attribute, kOfChar, 0,
                                                   &count, nullptr),
                 "cudnnBackendGetAttribute");
  std::string text(count, '\0');
  library_.Check(library_.cudnnBackendGetAttribute(raw_, attribute, kOfChar,
                                                   count, &count, &text[0]),
                 "cudnnBackendGetAttribute");
  text.resize(count);
  return text;
}

}  // namespace cudnn
}  // namespace p3d
