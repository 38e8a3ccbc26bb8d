#ifndef P3D_KERNELS_CUDNN_CONV_HPP_
#define P3D_KERNELS_CUDNN_CONV_HPP_

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "kernels/conv/conv_way.hpp"
#include "kernels/cuda/cudnn.hpp"

namespace p3d {
namespace cudnn {

// What plans are made for: the GPU that a handle was created on; or else, for
// plans that are never run, the one that cuDNN's JSON describes.
struct Target {
  Handle handle = nullptr;
  std::string json;
};

// Whether cuDNN is asked at all: its engines want channels, and outputs, of
// each group in eights (fours of Tf32), and zeros as padding.
bool CanAsk(const cuda::ConvForm& form);

// See ConvFinder::Find. Each way may be compiled now, which takes seconds.
cuda::ConvWays MakeWays(const Library& library, const Target& target,
                        const cuda::ConvForm& form, int first, int most,
                        int64_t workspace_bytes);

// See ConvFinder::Restore.
std::unique_ptr<cuda::ConvWay> RestoreWay(const Library& library,
                                          const Target& target,
                                          const cuda::ConvForm& form,
                                          int number,
                                          const std::string& stored);

// See Load.
cuda::ConvLibrary LoadConvolutions(const std::vector<std::string>& folders);

}  // namespace cudnn
}  // namespace p3d

#endif  // P3D_KERNELS_CUDNN_CONV_HPP_
