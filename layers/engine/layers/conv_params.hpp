#ifndef P3D_ENGINE_LAYERS_CONV_PARAMS_HPP_
#define P3D_ENGINE_LAYERS_CONV_PARAMS_HPP_

#include <memory>
#include <vector>

#include "engine/blob.hpp"
#include "engine/fields.hpp"
#include "kernels/conv/conv.hpp"

namespace p3d {

// What ConvolutionParameter says for a bottom of a certain number of axes, by
// upstream's rules: each of kernel_size, stride, pad and dilation is given once
// for all spatial axes or once per axis; for two spatial axes _h and _w may be
// given instead. Ours: pad_begin and pad_end instead of pad, pad_mode.
struct ConvParams {
  int channel_axis = 1;
  // One per spatial axis, at least one: a bottom without spatial axes is a
  // single pixel. `in` is not set.
  std::vector<ConvAxis> axes;
  int spatial_axes = 0;  // as the blobs have them, may be 0
  PadMode pad_mode = PadMode::kZero;
  int64_t num_output = 0;
  int64_t group = 1;

  // num, channels and pixels as the channel axis divides a blob's shape.
  Geometry GeometryOf(const Shape& shape) const;
  // `shape` with other channels and other spatial sizes.
  Shape With(const Shape& shape, int64_t channels,
             const std::vector<int64_t>& sizes) const;
  // The axes with `in` taken from a bottom's shape.
  std::vector<ConvAxis> AxesOf(const Shape& shape) const;
  // The same for a convolution of that bottom: see ConvAxis::PadForOne.
  std::vector<ConvAxis> WindowAxesOf(const Shape& shape) const;
};

// Throws Error for what upstream refuses and for values that make no sense.
// `with_outputs` says whether num_output is needed.
ConvParams ReadConvParams(const Fields& fields, const Shape& bottom,
                          bool with_outputs);

// Filled: weights of the shape (outputs, inputs / group, kernel...) and, unless
// bias_term is false, a bias of num_output values. A Deconvolution's outputs
// are its bottom's channels, as it is a convolution transposed.
template <typename Dtype>
std::vector<std::shared_ptr<Blob<Dtype>>> MakeConvBlobs(
    const Fields& fields, const ConvParams& params, int64_t outputs,
    int64_t inputs);

}  // namespace p3d

#endif  // P3D_ENGINE_LAYERS_CONV_PARAMS_HPP_
