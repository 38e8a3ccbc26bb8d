#ifndef P3D_KERNELS_CONV_LIBRARY_HPP_
#define P3D_KERNELS_CONV_LIBRARY_HPP_

#include <string>
#include <vector>

#include "kernels/conv/conv.hpp"

struct CUstream_st;  // a cudaStream_t is a pointer to it

namespace p3d {
namespace cuda {

// Convolutions of narrow values (see narrow.hpp), which several kernels of our
// own can do, and libraries of NVIDIA's. Those of float and double are never
// chosen so: their bits depend on the shape and the values alone.

enum class ConvUse { kForward, kDataGradient, kWeightGradient };

// What is to be done, wherever the values lie.
struct ConvForm {
  ConvUse use = ConvUse::kForward;
  Precision kind = Precision::kBf16;  // never kFloat32
  ConvShape shape;
  // Of the epilogue (see conv.hpp); a gradient that is added has a residual.
  bool scale = false, shift = false;
  bool inner_relu = false;
  bool residual = false;
  float alpha = 1, beta = 1;
  bool outer_relu = false;

  // In one line: two forms that differ have different ones. That of Product()
  // leaves the epilogue out.
  std::string Text() const;
  std::string Product() const;
  // Of what is made: a weight's gradient is of floats.
  Precision result_kind() const;
  size_t result_bytes() const;
};

// Where it lies.
struct ConvPlaces {
  const void *first = nullptr, *second = nullptr;  // x or dy; weights or x
  const void *scale = nullptr, *shift = nullptr;   // floats
  const void* residual = nullptr;                  // may be the result
  void* result = nullptr;
};

// Our own kernels for it.
class OwnKernels {
 public:
  struct Kernel {
    std::string name;  // "own_wgmma_64x64"
    int number;
  };

  virtual ~OwnKernels() = default;
  // All that can do it; the one that seems right for the shape is the first.
  virtual std::vector<Kernel> All() const = 0;
  // One of them makes the result as the call would; the first, if this one
  // cannot at these places.
  virtual void Launch(CUstream_st* stream, const ConvPlaces& places,
                      int number) const = 0;
};

// Does it, with whatever is fastest; false where nothing was chosen.
using ConvChooser = bool (*)(CUstream_st*, const ConvForm&, const ConvPlaces&,
                             const OwnKernels&);

// From now on asked first; none before. Null is fine.
void SetConvChooser(ConvChooser chooser);
ConvChooser TheConvChooser();

}  // namespace cuda
}  // namespace p3d

#endif  // P3D_KERNELS_CONV_LIBRARY_HPP_
