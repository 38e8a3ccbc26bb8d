#ifndef P3D_KERNELS_CONV_WAY_HPP_
#define P3D_KERNELS_CONV_WAY_HPP_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "kernels/conv/conv_library.hpp"

namespace p3d {
namespace cuda {

// What a library of NVIDIA's has to offer for convolutions. Not for several
// threads at once; all functions may throw Error.

// One way of a library's to do a form.
class ConvWay {
 public:
  ConvWay(std::string name, int64_t workspace_bytes)
      : name_(std::move(name)), workspace_bytes_(workspace_bytes) {}
  virtual ~ConvWay() = default;
  ConvWay(const ConvWay&) = delete;
  ConvWay& operator=(const ConvWay&) = delete;

  // "cudnn_1": its library's second for this form.
  const std::string& name() const { return name_; }
  // Of memory on the GPU, aligned to 256 bytes, that it works in.
  int64_t workspace_bytes() const { return workspace_bytes_; }
  // Puts it into the stream. All places are aligned to 16 bytes.
  virtual void Run(CUstream_st* stream, const ConvPlaces& places,
                   void* workspace) const = 0;
  // What ConvFinder::Restore makes it of again; "" where making it anew is as
  // quick.
  virtual std::string Stored() const { return ""; }

 private:
  const std::string name_;
  const int64_t workspace_bytes_;
};
using ConvWays = std::vector<std::unique_ptr<ConvWay>>;

// A library on the GPU that was in use when it was started.
class ConvFinder {
 public:
  virtual ~ConvFinder() = default;

  // "cudnn"
  virtual const char* name() const = 0;
  // Whether it is asked for that at all.
  virtual bool CanAsk(const ConvForm& form) const = 0;
  // Up to `most` ways from number `first` on that need no more memory to work
  // in than that, those which the library holds for fastest first; fewer, or
  // none, where it has no others. Throws Error for a form that it refuses.
  virtual ConvWays Find(const ConvForm& form, int first, int most,
                        int64_t workspace_bytes) const = 0;
  // Way `number` for this form as it was Stored by the same version of the
  // library on such a GPU, without compiling it; null where it cannot be had
  // like that. Throws Error for what the library does not take.
  virtual std::unique_ptr<ConvWay> Restore(
      const ConvForm& /*form*/, int /*number*/,
      const std::string& /*stored*/) const {
    return nullptr;
  }
};

// A library that was found.
struct ConvLibrary {
  std::string title;  // "cuDNN 9.15.1"
  std::function<std::unique_ptr<ConvFinder>()> start;
};

// "9.15.1" of 91501
inline std::string VersionText(int64_t version) {
  return std::to_string(version / 10000) + "." +
         std::to_string(version / 100 % 100) + "." +
         std::to_string(version % 100);
}

}  // namespace cuda
}  // namespace p3d

#endif  // P3D_KERNELS_CONV_WAY_HPP_
