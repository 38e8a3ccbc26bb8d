#include "kernels/conv/conv_trial.hpp"

#include <cstdio>
#include <limits>

#include "kernels/conv/conv_expected.hpp"
#include "kernels/cuda/cuda_device.hpp"

namespace p3d {
namespace cuda {
namespace {

constexpr int kRepeats = 10;  // of what is timed

// The same with another result, in place where that was.
ConvPlaces Moved(const ConvPlaces& places, void* result) {
  ConvPlaces moved = places;
  moved.result = result;
  if (places.residual == places.result) moved.residual = result;
  return moved;
}

}  // namespace

ConvTrial::ConvTrial(const ConvForm& form, const ConvPlaces& places,
                     const Way& first)
    : form_(form),
      places_(places),
      copy_(DeviceAllocate(form.result_bytes()), DeviceRelease),
      at_(Moved(places, copy_.get())) {
  Begin();
  first(DeviceStream(), at_);
  expected_.reset(new ConvExpected(form, at_.result));
}

ConvTrial::~ConvTrial() = default;

bool ConvTrial::Tells() const { return expected_->Tells(); }

bool ConvTrial::IsRight(const std::string& name, const Way& way) const {
  try {
    Begin();
    way(DeviceStream(), at_);
  } catch (const Error&) {
    return false;  // it said that it could
  }
  const double error = expected_->Error(at_.result);
  if (error <= expected_->Tolerance()) return true;
  std::fprintf(stderr,
               "caffe-p3d: %s is not used for a convolution, its results are "
               "%g of the largest value off: %s\n",
               name.c_str(), error, form_.Text().c_str());
  return false;
}

double ConvTrial::Seconds(const Way& way) const {
  try {
    const std::unique_ptr<CUgraphExec_st, void (*)(CUgraphExec_st*)> graph(
        CaptureGraph([&] {
          for (int i = 0; i < kRepeats; ++i) way(DeviceStream(), at_);
        }),
        ReleaseGraph);
    LaunchGraph(graph.get());
    return DeviceSeconds([&] { LaunchGraph(graph.get()); });
  } catch (const Error&) {
    return std::numeric_limits<double>::infinity();
  }
}

void ConvTrial::Begin() const {
  if (at_.residual == at_.result) {
    CopyOnDevice(at_.result, places_.result, form_.result_bytes());
  } else {
    ZeroOnDevice(at_.result, form_.result_bytes());
  }
}

}  // namespace cuda
}  // namespace p3d
