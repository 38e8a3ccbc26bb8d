#include "kernels/cuda/found_library.hpp"

#include <dlfcn.h>
#include <glob.h>

#include "kernels/error.hpp"

namespace p3d {

FoundLibrary::FoundLibrary(const char* title,
                           const std::vector<const char*>& files,
                           const std::vector<std::string>& folders)
    : title_(title) {
  std::string reason;
  for (const char* file : files) {
    for (const std::string& folder : folders) {
      handle_ = dlopen((folder + "/" + file).c_str(), RTLD_NOW | RTLD_LOCAL);
      if (handle_) return;
    }
    handle_ = dlopen(file, RTLD_NOW | RTLD_LOCAL);
    if (handle_) return;
    const char* said = dlerror();
    if (reason.empty()) reason = said ? said : file;
  }
  Fail("no ", title, " (", reason, ")", kInstallLibraries);
}

void* FoundLibrary::Symbol(const char* name) const {
  void* const symbol = dlsym(handle_, name);
  Check(symbol, title_, " has no ", name, kInstallLibraries);
  return symbol;
}

void LoadLike(const std::string& pattern,
              const std::vector<std::string>& folders) {
  for (const std::string& folder : folders) {
    glob_t found;
    if (glob((folder + "/" + pattern).c_str(), 0, nullptr, &found) == 0) {
      for (size_t i = 0; i < found.gl_pathc; ++i)
        dlopen(found.gl_pathv[i], RTLD_NOW | RTLD_LOCAL);
    }
    globfree(&found);
  }
}

}  // namespace p3d
