#ifndef P3D_KERNELS_FOUND_LIBRARY_HPP_
#define P3D_KERNELS_FOUND_LIBRARY_HPP_

#include <string>
#include <vector>

namespace p3d {

// A library of NVIDIA's that may be there when somebody asks for it. It stays
// loaded.
class FoundLibrary {
 public:
  // The first of `files` that one of `folders` has or the loader finds. Throws
  // Error with the cure where there is none; it calls the library `title`.
  FoundLibrary(const char* title, const std::vector<const char*>& files,
               const std::vector<std::string>& folders);

  // Throws Error where it has no function of that name.
  template <typename Function>
  void Find(const char* name, Function** function) const {
    *function = reinterpret_cast<Function*>(Symbol(name));
  }

 private:
  void* Symbol(const char* name) const;

  const char* title_;
  void* handle_ = nullptr;
};

// Loads all files of these folders whose names are like that, where there are
// any: libraries that ask for them by name get these.
void LoadLike(const std::string& pattern,
              const std::vector<std::string>& folders);

// What cures the lack of one, or of a newer one.
constexpr char kInstallLibraries[] = "; pip install 'caffe-p3d[cuda]'";

}  // namespace p3d

#endif  // P3D_KERNELS_FOUND_LIBRARY_HPP_
