#include "kernels/conv/conv_reference.hpp"

#include <algorithm>
#include <cstring>

#include "kernels/cpu/thread_pool.hpp"

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

// Where a pixel, counted through axes of the given sizes, lies in its channel.
int64_t PixelOffset(const std::vector<int64_t>& sizes,
                    const BlobStrides& strides, int64_t pixel) {
  int64_t offset = 0;
  for (size_t i = sizes.size(); i-- > 0; pixel /= sizes[i]) {
    offset += pixel % sizes[i] * strides.axes[i];
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

class ReferenceConv : public Conv {
 public:
  explicit ReferenceConv(const ConvShape& shape)
      : shape_(shape),
        in_(BlobStrides::ChannelsLast(shape.channels, shape.in_sizes())) {}

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
  void PackMirrored(const float* weights, const std::vector<int64_t>& taps,
                    int64_t all_taps, float* packed) const override {
    const int64_t inputs = shape_.channels / shape_.group;
    const int64_t outputs = shape_.num_output / shape_.group;
    for (int64_t o = 0; o < shape_.num_output; ++o) {
      for (int64_t i = 0; i < inputs; ++i) {
        const int64_t row = (o / outputs * inputs + i) * outputs + o % outputs;
        for (int64_t tap : taps) *packed++ = weights[row * all_taps + tap];
      }
    }
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
        y[place] = epilogue(static_cast<float>(sums[o]), o, place);
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
  const std::vector<int64_t> sizes = shape.out_sizes();
  ParallelFor(shape.num * pixels, [&](int64_t row) {
    const int64_t n = row / pixels;
    std::vector<double> sums(shape.num_output);
    SumPixel(shape, x_strides, x + n * x_strides.num, weights, row % pixels,
             sums.data());
    Dtype* out =
        y + n * y_strides.num + PixelOffset(sizes, y_strides, row % pixels);
    for (int64_t o = 0; o < shape.num_output; ++o) {
      out[o * y_strides.channel] = static_cast<Dtype>(sums[o]);
    }
  });
}

// Each channel of an image is a task of its own, so nothing is written twice.
template <typename Dtype>
void ConvDataGradientReference(const ConvShape& shape,
                               const BlobStrides& y_strides, const Dtype* dy,
                               const Dtype* weights,
                               const BlobStrides& x_strides, Dtype* dx,
                               bool add) {
  CheckConvShape(shape);
  const int64_t taps = shape.taps(), in_pixels = shape.in_pixels();
  const int64_t inputs = shape.channels / shape.group;
  const int64_t outputs = shape.num_output / shape.group;
  const BlobStrides plane = BlobStrides::CaffeOrder(1, shape.in_sizes());
  const std::vector<int64_t> in_sizes = shape.in_sizes();
  const std::vector<int64_t> out_sizes = shape.out_sizes();
  ParallelFor(shape.num * shape.channels, [&](int64_t task) {
    const int64_t n = task / shape.channels, c = task % shape.channels;
    const int64_t first = c / inputs * outputs;
    std::vector<double> sums(in_pixels);
    for (int64_t p = 0; p < shape.out_pixels(); ++p) {
      const Dtype* from =
          dy + n * y_strides.num + PixelOffset(out_sizes, y_strides, p);
      for (int64_t tap = 0; tap < taps; ++tap) {
        const int64_t place = InputOffset(shape, plane, p, tap);
        if (place < 0) continue;
        for (int64_t o = first; o < first + outputs; ++o) {
          const Dtype w = weights[(o * inputs + c % inputs) * taps + tap];
          sums[place] += static_cast<double>(w) * from[o * y_strides.channel];
        }
      }
    }
    Dtype* to = dx + n * x_strides.num + c * x_strides.channel;
    for (int64_t q = 0; q < in_pixels; ++q) {
      Dtype& value = to[PixelOffset(in_sizes, x_strides, q)];
      value = (add ? value : 0) + static_cast<Dtype>(sums[q]);
    }
  });
}

template <typename Dtype>
void ConvWeightGradientReference(const ConvShape& shape,
                                 const BlobStrides& y_strides, const Dtype* dy,
                                 const BlobStrides& x_strides, const Dtype* x,
                                 Dtype* dw) {
  CheckConvShape(shape);
  const int64_t taps = shape.taps();
  const int64_t inputs = shape.channels / shape.group;
  const int64_t outputs = shape.num_output / shape.group;
  const std::vector<int64_t> out_sizes = shape.out_sizes();
  ParallelFor(shape.num_output, [&](int64_t o) {
    std::vector<double> sums(inputs * taps);
    const Dtype* planes = x + o / outputs * inputs * x_strides.channel;
    for (int64_t row = 0; row < shape.num * shape.out_pixels(); ++row) {
      const int64_t n = row / shape.out_pixels(), p = row % shape.out_pixels();
      const double gradient =
          dy[n * y_strides.num + PixelOffset(out_sizes, y_strides, p) +
             o * y_strides.channel];
      for (int64_t tap = 0; tap < taps; ++tap) {
        const int64_t place = InputOffset(shape, x_strides, p, tap);
        if (place < 0) continue;
        const Dtype* in = planes + n * x_strides.num + place;
        for (int64_t i = 0; i < inputs; ++i) {
          sums[i * taps + tap] += gradient * in[i * x_strides.channel];
        }
      }
    }
    for (int64_t i = 0; i < inputs * taps; ++i) {
      dw[o * inputs * taps + i] += static_cast<Dtype>(sums[i]);
    }
  });
}

#define P3D_INSTANTIATE(Dtype)                                                \
  template void ConvReference(const ConvShape&, const BlobStrides&,           \
                              const Dtype*, const Dtype*, const BlobStrides&, \
                              Dtype*);                                        \
  template void ConvDataGradientReference(                                    \
      const ConvShape&, const BlobStrides&, const Dtype*, const Dtype*,       \
      const BlobStrides&, Dtype*, bool);                                      \
  template void ConvWeightGradientReference(                                  \
      const ConvShape&, const BlobStrides&, const Dtype*, const BlobStrides&, \
      const Dtype*, Dtype*)
P3D_INSTANTIATE(float);
P3D_INSTANTIATE(double);
#undef P3D_INSTANTIATE

std::unique_ptr<Conv> CreateConvReference(const ConvShape& shape, Isa) {
  return std::unique_ptr<Conv>(new ReferenceConv(shape));
}

}  // namespace p3d
