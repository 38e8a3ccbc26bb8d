#include "kernels/conv_reference.hpp"

#include <algorithm>
#include <cstring>

#include "kernels/thread_pool.hpp"

namespace p3d {
namespace {

// The offset of tap `tap` at output pixel `pixel` (both counted through the
// axes, last axis fastest) in the input; -1 where the tap sees zero padding.
int64_t InputOffset(const ConvShape& shape, const BlobStrides& strides,
                    int64_t pixel, int64_t tap) {
  int64_t offset = 0;
  for (size_t i = shape.axes.size(); i-- > 0;) {
    const ConvAxis& axis = shape.axes[i];
    int64_t at = pixel % axis.out() * axis.stride - axis.pad_begin +
                 tap % axis.kernel * axis.dilation;
    pixel /= axis.out();
    tap /= axis.kernel;
    if (shape.pad_mode == PadMode::kReplicate) {
      at = std::max<int64_t>(0, std::min(at, axis.in - 1));
    }
    if (at < 0 || at >= axis.in) return -1;
    offset += at * strides.axes[i];
  }
  return offset;
}

int64_t OutputOffset(const ConvShape& shape, const BlobStrides& strides,
                     int64_t pixel) {
  int64_t offset = 0;
  for (size_t i = shape.axes.size(); i-- > 0;) {
    offset += pixel % shape.axes[i].out() * strides.axes[i];
    pixel /= shape.axes[i].out();
  }
  return offset;
}

// All output channels of one output pixel: sums[o], a double each.
template <typename Dtype>
void SumPixel(const ConvShape& shape, const BlobStrides& strides,
              const Dtype* image, const Dtype* weights, int64_t pixel,
              double* sums) {
  const int64_t taps = shape.taps();
  const int64_t inputs = shape.channels / shape.group;
  const int64_t outputs = shape.num_output / shape.group;
  std::fill_n(sums, shape.num_output, 0.0);
  for (int64_t tap = 0; tap < taps; ++tap) {
    const int64_t offset = InputOffset(shape, strides, pixel, tap);
    if (offset < 0) continue;
    for (int64_t o = 0; o < shape.num_output; ++o) {
      const Dtype* w = weights + o * inputs * taps + tap;
      const Dtype* in = image + offset + o / outputs * inputs * strides.channel;
      for (int64_t i = 0; i < inputs; ++i) {
        sums[o] += static_cast<double>(w[i * taps]) * in[i * strides.channel];
      }
    }
  }
}

std::vector<int64_t> InSizes(const ConvShape& shape) {
  std::vector<int64_t> sizes;
  for (const ConvAxis& axis : shape.axes) sizes.push_back(axis.in);
  return sizes;
}

float Finish(float v, const ConvEpilogue& epilogue, int64_t channel,
             int64_t place) {
  if (epilogue.scale) v *= epilogue.scale[channel];
  if (epilogue.shift) v += epilogue.shift[channel];
  if (epilogue.inner_relu) v = std::max(v, 0.f);
  if (epilogue.residual) {
    v = epilogue.alpha * v + epilogue.beta * epilogue.residual[place];
  }
  if (epilogue.outer_relu) v = std::max(v, 0.f);
  return v;
}

class ReferenceConv : public Conv {
 public:
  explicit ReferenceConv(const ConvShape& shape)
      : shape_(shape),
        in_(BlobStrides::ChannelsLast(shape.channels, InSizes(shape))) {}

  const char* name() const override { return "conv_f32_reference"; }
  int64_t packed_size() const override { return shape_.weight_count(); }
  // Caffe's own order, whatever the shape.
  uint64_t pack_key() const override { return 0; }

  void Pack(const float* weights, float* packed) const override {
    std::memcpy(packed, weights, packed_size() * sizeof(float));
  }
  void Unpack(const float* packed, float* weights) const override {
    std::memcpy(weights, packed, packed_size() * sizeof(float));
  }
  int64_t workspace_size() const override { return 0; }

  void Run(const float* x, const float* packed, const ConvEpilogue& epilogue,
           float* y, float*, const NextWeights&) const override {
    const int64_t pixels = shape_.out_pixels();
    ParallelFor(shape_.num * pixels, [&](int64_t row) {
      std::vector<double> sums(shape_.num_output);
      SumPixel(shape_, in_, x + row / pixels * in_.num, packed, row % pixels,
               sums.data());
      for (int64_t o = 0; o < shape_.num_output; ++o) {
        const int64_t place = row * shape_.num_output + o;
        y[place] = Finish(static_cast<float>(sums[o]), epilogue, o, place);
      }
    });
  }

 private:
  const ConvShape shape_;
  const BlobStrides in_;
};

}  // namespace

BlobStrides BlobStrides::CaffeOrder(int64_t channels,
                                    const std::vector<int64_t>& axes) {
  BlobStrides strides;
  strides.axes.resize(axes.size());
  int64_t step = 1;
  for (size_t i = axes.size(); i-- > 0; step *= axes[i]) strides.axes[i] = step;
  strides.channel = step;
  strides.num = step * channels;
  return strides;
}

BlobStrides BlobStrides::ChannelsLast(int64_t channels,
                                      const std::vector<int64_t>& axes) {
  BlobStrides strides;
  strides.axes.resize(axes.size());
  strides.channel = 1;
  int64_t step = channels;
  for (size_t i = axes.size(); i-- > 0; step *= axes[i]) strides.axes[i] = step;
  strides.num = step;
  return strides;
}

template <typename Dtype>
void ConvReference(const ConvShape& shape, const BlobStrides& x_strides,
                   const Dtype* x, const Dtype* weights,
                   const BlobStrides& y_strides, Dtype* y) {
  CheckConvShape(shape);
  const int64_t pixels = shape.out_pixels();
  ParallelFor(shape.num * pixels, [&](int64_t row) {
    const int64_t n = row / pixels;
    std::vector<double> sums(shape.num_output);
    SumPixel(shape, x_strides, x + n * x_strides.num, weights, row % pixels,
             sums.data());
    Dtype* out =
        y + n * y_strides.num + OutputOffset(shape, y_strides, row % pixels);
    for (int64_t o = 0; o < shape.num_output; ++o) {
      out[o * y_strides.channel] = static_cast<Dtype>(sums[o]);
    }
  });
}

template void ConvReference<float>(const ConvShape&, const BlobStrides&,
                                   const float*, const float*,
                                   const BlobStrides&, float*);
template void ConvReference<double>(const ConvShape&, const BlobStrides&,
                                    const double*, const double*,
                                    const BlobStrides&, double*);

std::unique_ptr<Conv> CreateConvReference(const ConvShape& shape, Isa) {
  return std::unique_ptr<Conv>(new ReferenceConv(shape));
}

}  // namespace p3d
