#include "kernels/conv/conv_reference.hpp"

#include <algorithm>
#include <cstring>

#include "kernels/cpu/thread_pool.hpp"

namespace p3d {
namespace {

// The offsets of all taps of an output pixel (both counted through the axes,
// last axis fastest) in the input; -1 where a tap sees zero padding.
void InputOffsets(const ConvShape& shape, const BlobStrides& strides,
                  int64_t pixel, std::vector<int64_t>* offsets) {
  offsets->assign(1, 0);
  for (size_t i = shape.axes.size(); i-- > 0;) {
    const ConvAxis& axis = shape.axes[i];
    const int64_t begin = pixel % axis.out() * axis.stride - axis.pad_begin;
    pixel /= axis.out();
    const size_t inner = offsets->size();  // taps along the axes behind
    offsets->resize(axis.kernel * inner);
    for (int64_t k = axis.kernel; k-- > 0;) {
      int64_t at = begin + k * axis.dilation;
      if (shape.pad_mode == PadMode::kReplicate) {
        at = std::max<int64_t>(0, std::min(at, axis.in - 1));
      }
      const bool inside = at >= 0 && at < axis.in;
      for (size_t j = 0; j < inner; ++j) {
        const int64_t offset = (*offsets)[j];
        (*offsets)[k * inner + j] =
            inside && offset >= 0 ? offset + at * strides.axes[i] : -1;
      }
    }
  }
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

// A blob's values in double as (N, pixels, C), so that loops over its channels
// go from each to the next.
template <typename Dtype>
std::vector<double> ByPixels(int64_t num, int64_t channels,
                             const std::vector<int64_t>& sizes,
                             const BlobStrides& strides, const Dtype* blob) {
  int64_t pixels = 1;
  for (int64_t size : sizes) pixels *= size;
  std::vector<double> values(num * pixels * channels);
  ParallelFor(num * pixels, [&](int64_t row) {
    const Dtype* from = blob + row / pixels * strides.num +
                        PixelOffset(sizes, strides, row % pixels);
    for (int64_t c = 0; c < channels; ++c) {
      values[row * channels + c] = from[c * strides.channel];
    }
  });
  return values;
}

// All output channels of one output pixel: sums[o], a double each.
template <typename Dtype>
void SumPixel(const ConvShape& shape, const BlobStrides& strides,
              const Dtype* image, const Dtype* weights, int64_t pixel,
              double* sums) {
  const int64_t taps = shape.taps();
  const int64_t inputs = shape.channels / shape.group;
  const int64_t outputs = shape.num_output / shape.group;
  std::vector<int64_t> offsets;
  InputOffsets(shape, strides, pixel, &offsets);
  std::vector<double> values(shape.channels);
  std::fill_n(sums, shape.num_output, 0.0);
  for (int64_t tap = 0; tap < taps; ++tap) {
    if (offsets[tap] < 0) continue;
    for (int64_t c = 0; c < shape.channels; ++c) {
      values[c] = image[offsets[tap] + c * strides.channel];
    }
    for (int64_t o = 0; o < shape.num_output; ++o) {
      const Dtype* w = weights + o * inputs * taps + tap;
      const double* in = &values[o / outputs * inputs];
      double sum = sums[o];
      for (int64_t i = 0; i < inputs; ++i) sum += w[i * taps] * in[i];
      sums[o] = sum;
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
  const int64_t out_pixels = shape.out_pixels();
  const int64_t inputs = shape.channels / shape.group;
  const int64_t outputs = shape.num_output / shape.group;
  const BlobStrides plane = BlobStrides::CaffeOrder(1, shape.in_sizes());
  const std::vector<int64_t> in_sizes = shape.in_sizes();
  const std::vector<double> gradients =
      ByPixels(shape.num, shape.num_output, shape.out_sizes(), y_strides, dy);
  ParallelFor(shape.num * shape.channels, [&](int64_t task) {
    const int64_t n = task / shape.channels, c = task % shape.channels;
    const int64_t first = c / inputs * outputs;
    std::vector<double> w(taps * outputs);  // of this channel
    for (int64_t o = 0; o < outputs; ++o) {
      const Dtype* from = weights + ((first + o) * inputs + c % inputs) * taps;
      for (int64_t k = 0; k < taps; ++k) w[k * outputs + o] = from[k];
    }
    std::vector<double> sums(in_pixels);
    std::vector<int64_t> places;
    for (int64_t p = 0; p < out_pixels; ++p) {
      const double* from =
          &gradients[(n * out_pixels + p) * shape.num_output + first];
      InputOffsets(shape, plane, p, &places);
      for (int64_t k = 0; k < taps; ++k) {
        if (places[k] < 0) continue;
        double sum = sums[places[k]];
        for (int64_t o = 0; o < outputs; ++o) {
          sum += w[k * outputs + o] * from[o];
        }
        sums[places[k]] = sum;
      }
    }
    Dtype* to = dx + n * x_strides.num + c * x_strides.channel;
    for (int64_t q = 0; q < in_pixels; ++q) {
      Dtype& value = to[PixelOffset(in_sizes, x_strides, q)];
      value = (add ? value : 0) + static_cast<Dtype>(sums[q]);
    }
  });
}

// Each channel of the input is a task of its own.
template <typename Dtype>
void ConvWeightGradientReference(const ConvShape& shape,
                                 const BlobStrides& y_strides, const Dtype* dy,
                                 const BlobStrides& x_strides, const Dtype* x,
                                 Dtype* dw) {
  CheckConvShape(shape);
  const int64_t taps = shape.taps(), out_pixels = shape.out_pixels();
  const int64_t inputs = shape.channels / shape.group;
  const int64_t outputs = shape.num_output / shape.group;
  const std::vector<double> gradients =
      ByPixels(shape.num, shape.num_output, shape.out_sizes(), y_strides, dy);
  ParallelFor(shape.channels, [&](int64_t c) {
    const int64_t first = c / inputs * outputs;
    std::vector<double> sums(taps * outputs);
    std::vector<int64_t> offsets;
    for (int64_t row = 0; row < shape.num * out_pixels; ++row) {
      const double* from = &gradients[row * shape.num_output + first];
      const Dtype* plane =
          x + row / out_pixels * x_strides.num + c * x_strides.channel;
      InputOffsets(shape, x_strides, row % out_pixels, &offsets);
      for (int64_t k = 0; k < taps; ++k) {
        if (offsets[k] < 0) continue;
        const double value = plane[offsets[k]];
        double* to = &sums[k * outputs];
        for (int64_t o = 0; o < outputs; ++o) to[o] += from[o] * value;
      }
    }
    for (int64_t o = 0; o < outputs; ++o) {
      Dtype* to = dw + ((first + o) * inputs + c % inputs) * taps;
      for (int64_t k = 0; k < taps; ++k) {
        to[k] += static_cast<Dtype>(sums[k * outputs + o]);
      }
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
