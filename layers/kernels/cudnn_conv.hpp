#ifndef P3D_KERNELS_CUDNN_CONV_HPP_
#define P3D_KERNELS_CUDNN_CONV_HPP_

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "kernels/conv_library.hpp"
#include "kernels/cudnn.hpp"

namespace p3d {
namespace cudnn {

// What plans are made for: the GPU that a handle was created on; or else, for
// plans that are never run, the one that cuDNN's JSON describes.
struct Target {
  Handle handle = nullptr;
  std::string json;
};

// One way of cuDNN's to do a convolution with its epilogue.
class ConvPlan {
 public:
  ConvPlan(const Library& library, Descriptor plan, std::vector<int64_t> ids,
           const cuda::ConvForm& form, int number);

  // Its place among all that cuDNN proposes.
  int number() const { return number_; }
  int64_t workspace_bytes() const { return workspace_bytes_; }
  // Puts it into the stream. Not for several threads at once.
  void Run(Handle handle, CUstream_st* stream, const cuda::ConvPlaces& places,
           void* workspace) const;

 private:
  const Library& library_;
  const float alpha_, beta_;
  const int number_;
  Descriptor plan_;
  std::vector<int64_t> ids_;  // of the tensors that lie somewhere
  int64_t workspace_bytes_;
};

// Whether cuDNN is asked at all: its engines want channels, and outputs, of
// each group in eights (fours of Tf32), and zeros as padding.
bool CanAsk(const cuda::ConvForm& form);

// Up to `most` of them from number `first` on that need no more memory to work
// in than that, those which cuDNN holds for fastest first; fewer, or none,
// where it has no others. Each may be compiled now, which takes seconds. Throws
// Error for a form that cuDNN refuses.
std::vector<std::unique_ptr<ConvPlan>> MakePlans(const Library& library,
                                                 const Target& target,
                                                 const cuda::ConvForm& form,
                                                 int first, size_t most,
                                                 int64_t workspace_bytes);

}  // namespace cudnn
}  // namespace p3d

#endif  // P3D_KERNELS_CUDNN_CONV_HPP_
