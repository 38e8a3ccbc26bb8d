#ifndef P3D_KERNELS_CONV_TRIAL_HPP_
#define P3D_KERNELS_CONV_TRIAL_HPP_

#include <functional>
#include <memory>
#include <string>

#include "kernels/conv/conv_library.hpp"

namespace p3d {
namespace cuda {

class ConvExpected;

// Several ways to do one form on the GPU in use, tried on a copy of what is
// made. Not while a graph is captured.
class ConvTrial {
 public:
  using Way = std::function<void(CUstream_st*, const ConvPlaces&)>;

  // `first` makes what is expected of the others. Throws OutOfMemory where
  // there is no room for a copy, and what `first` throws.
  ConvTrial(const ConvForm& form, const ConvPlaces& places, const Way& first);
  ~ConvTrial();

  // Whether right and wrong can be told apart.
  bool Tells() const;
  // Whether this way makes the same. Says on stderr, with its name, how far off
  // it is; nothing where it throws Error.
  bool IsRight(const std::string& name, const Way& way) const;
  // What it takes to do it some times in a graph, as nets do: launches take
  // less there than one by one. Infinite where it cannot be part of one.
  double Seconds(const Way& way) const;

 private:
  void Begin() const;

  const ConvForm& form_;
  const ConvPlaces& places_;
  const std::unique_ptr<void, void (*)(void*)> copy_;
  const ConvPlaces at_;
  std::unique_ptr<const ConvExpected> expected_;
};

}  // namespace cuda
}  // namespace p3d

#endif  // P3D_KERNELS_CONV_TRIAL_HPP_
