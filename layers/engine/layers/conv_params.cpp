#include "engine/layers/conv_params.hpp"

#include <string>

#include "engine/filler.hpp"
#include "kernels/error.hpp"

namespace p3d {
namespace {

// One value per spatial axis from a repeated field or its _h/_w pair, and
// nothing where the prototxt gives none.
std::vector<int64_t> PerAxis(const Fields& fields, const std::string& field,
                             const std::string& pair, size_t axes) {
  std::vector<int64_t> values = fields.Ints(field);
  const std::string h = pair + "_h", w = pair + "_w";
  if (!pair.empty() && (fields.Has(h) || fields.Has(w))) {
    Check(axes == 2, h, " and ", w, " need 2 spatial axes, the input has ",
          axes, "; use ", field);
    Check(values.empty(), "give ", field, " or ", h, " and ", w, ", not both");
    return {fields.Int(h), fields.Int(w)};
  }
  Check(values.size() <= 1 || values.size() == axes, field, " is given ",
        values.size(), " times for ", axes,
        " spatial axes; give it once, or once per axis");
  if (values.size() == 1) values.assign(axes, values[0]);
  return values;
}

// Products of two sizes must not overflow.
void CheckSize(const char* what, int64_t size) {
  Check(size > 0 && size < int64_t{1} << 31, what, " is ", size,
        "; it has to be at least 1 and below 2^31");
}

void ReadPads(const Fields& fields, std::vector<ConvAxis>* axes) {
  const size_t n = axes->size();
  const std::vector<int64_t> pad = PerAxis(fields, "pad", "pad", n);
  const std::vector<int64_t> begin = PerAxis(fields, "pad_begin", "", n);
  const std::vector<int64_t> end = PerAxis(fields, "pad_end", "", n);
  Check(pad.empty() || (begin.empty() && end.empty()),
        "give pad or pad_begin and pad_end, not both");
  for (size_t i = 0; i < n; ++i) {
    ConvAxis& axis = (*axes)[i];
    if (!pad.empty()) axis.pad_begin = axis.pad_end = pad[i];
    if (!begin.empty()) axis.pad_begin = begin[i];
    if (!end.empty()) axis.pad_end = end[i];
  }
}

void ReadAxes(const Fields& fields, std::vector<ConvAxis>* axes) {
  const size_t n = axes->size();
  const std::vector<int64_t> kernel =
      PerAxis(fields, "kernel_size", "kernel", n);
  const std::vector<int64_t> stride = PerAxis(fields, "stride", "stride", n);
  const std::vector<int64_t> dilation = PerAxis(fields, "dilation", "", n);
  Check(!kernel.empty() || n == 0,
        "kernel_size is missing; give it once, or once per spatial axis");
  for (size_t i = 0; i < n; ++i) {
    ConvAxis& axis = (*axes)[i];
    axis.kernel = kernel[i];
    if (!stride.empty()) axis.stride = stride[i];
    if (!dilation.empty()) axis.dilation = dilation[i];
    CheckSize("kernel_size", axis.kernel);
    CheckSize("stride", axis.stride);
    CheckSize("dilation", axis.dilation);
  }
  ReadPads(fields, axes);
}

}  // namespace

Geometry ConvParams::GeometryOf(const Shape& shape) const {
  Geometry geometry;
  for (int i = 0; i < static_cast<int>(shape.size()); ++i) {
    if (i < channel_axis) geometry.num *= shape[i];
    if (i == channel_axis) geometry.channels = shape[i];
    if (i > channel_axis) geometry.pixels *= shape[i];
  }
  return geometry;
}

Shape ConvParams::With(const Shape& shape, int64_t channels,
                       const std::vector<int64_t>& sizes) const {
  Shape result(shape.begin(), shape.begin() + channel_axis);
  result.push_back(channels);
  result.insert(result.end(), sizes.begin(), sizes.begin() + spatial_axes);
  return result;
}

std::vector<ConvAxis> ConvParams::AxesOf(const Shape& shape) const {
  Check(static_cast<int>(shape.size()) == channel_axis + 1 + spatial_axes,
        "the bottom's number of axes may not change: it was ",
        channel_axis + 1 + spatial_axes, ", the shape now is ",
        ShapeString(shape));
  std::vector<ConvAxis> result = axes;
  for (int i = 0; i < spatial_axes; ++i) {
    result[i].in = shape[channel_axis + 1 + i];
  }
  return result;
}

std::vector<ConvAxis> ConvParams::WindowAxesOf(const Shape& shape) const {
  std::vector<ConvAxis> result = AxesOf(shape);
  if (pad_mode != PadMode::kZero) return result;
  for (ConvAxis& axis : result) axis.PadForOne();
  return result;
}

ConvParams ReadConvParams(const Fields& fields, const Shape& bottom,
                          bool with_outputs) {
  ConvParams params;
  const int num_axes = static_cast<int>(bottom.size());
  const int64_t axis = fields.Int("axis");
  Check(axis >= -num_axes && axis < num_axes, "axis ", axis,
        " does not exist in a bottom of the shape ", ShapeString(bottom));
  params.channel_axis = static_cast<int>(axis < 0 ? axis + num_axes : axis);
  params.spatial_axes = num_axes - params.channel_axis - 1;
  params.axes.resize(params.spatial_axes);
  ReadAxes(fields, &params.axes);
  if (params.spatial_axes == 0) params.axes.resize(1);
  if (fields.Str("pad_mode") == "REPLICATE") {
    params.pad_mode = PadMode::kReplicate;
  }
  if (!with_outputs) return params;

  const int64_t channels = bottom[params.channel_axis];
  params.num_output = fields.Int("num_output");
  params.group = fields.Int("group");
  Check(channels > 0, "the bottom has no channels; its shape is ",
        ShapeString(bottom));
  Check(params.num_output > 0, "num_output has to be given and at least 1");
  Check(params.group > 0, "group has to be at least 1");
  Check(channels % params.group == 0 && params.num_output % params.group == 0,
        "group ", params.group, " has to divide the ", channels,
        " input channels and num_output ", params.num_output);
  return params;
}

template <typename Dtype>
std::vector<std::shared_ptr<Blob<Dtype>>> MakeConvBlobs(
    const Fields& fields, const ConvParams& params, int64_t outputs,
    int64_t inputs) {
  Shape weights = {outputs, inputs / params.group};
  for (int i = 0; i < params.spatial_axes; ++i) {
    weights.push_back(params.axes[i].kernel);
  }
  std::vector<std::shared_ptr<Blob<Dtype>>> blobs = {
      std::make_shared<Blob<Dtype>>(weights)};
  Fill(fields.Sub("weight_filler"), blobs[0]);
  if (!fields.Bool("bias_term")) return blobs;
  blobs.push_back(std::make_shared<Blob<Dtype>>(Shape{params.num_output}));
  Fill(fields.Sub("bias_filler"), blobs[1]);
  return blobs;
}

template std::vector<std::shared_ptr<Blob<float>>> MakeConvBlobs(
    const Fields&, const ConvParams&, int64_t, int64_t);
template std::vector<std::shared_ptr<Blob<double>>> MakeConvBlobs(
    const Fields&, const ConvParams&, int64_t, int64_t);

}  // namespace p3d
