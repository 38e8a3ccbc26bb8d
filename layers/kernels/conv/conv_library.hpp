#ifndef P3D_KERNELS_CONV_LIBRARY_HPP_
#define P3D_KERNELS_CONV_LIBRARY_HPP_

#include <functional>
#include <string>

#include "kernels/conv/conv.hpp"

struct CUstream_st;  // a cudaStream_t is a pointer to it

namespace p3d {
namespace cuda {

// Convolutions of narrow values (see narrow.hpp) that a library of NVIDIA's may
// do in place of our own kernels. Those of float and double never go there:
// their bits depend on the shape and the values alone.

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

// Our own kernel for it, which makes `result` as the call would.
struct OwnKernel {
  const char* name;
  std::function<void(CUstream_st*, const ConvPlaces&)> launch;
};

// Does it, with whatever is fastest; false where our own kernel has to.
using ConvChooser = bool (*)(CUstream_st*, const ConvForm&, const ConvPlaces&,
                             const OwnKernel&);

// From now on asked first; none before. Null is fine.
void SetConvChooser(ConvChooser chooser);
ConvChooser TheConvChooser();

}  // namespace cuda
}  // namespace p3d

#endif  // P3D_KERNELS_CONV_LIBRARY_HPP_
