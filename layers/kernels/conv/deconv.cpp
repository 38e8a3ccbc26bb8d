#include "kernels/conv/deconv.hpp"

#include <algorithm>
#include <vector>

#include "kernels/buffer.hpp"
#include "kernels/error.hpp"
#include "kernels/ranges.hpp"
#include "kernels/scratch.hpp"

namespace p3d {
namespace {

int64_t WholeLines(int64_t floats) { return RoundUp(floats, kLineFloats); }

// One pixel of the convolution's output and the tap through which it meets a
// given input pixel.
struct Meeting {
  int64_t pixel;
  int64_t tap;
};

// The most that one input pixel can have.
int64_t MostMeetings(const ConvShape& shape) {
  int64_t most = 1;
  for (const ConvAxis& axis : shape.axes) {
    most *= std::min(axis.kernel, axis.out());
  }
  return most;
}

// All of them for input pixel `at`, taps in ascending order. Returns how many.
int64_t FindMeetings(const ConvShape& shape, int64_t at, Meeting* meetings) {
  int64_t below = shape.in_pixels();
  int64_t count = 1;
  meetings[0] = {0, 0};
  for (const ConvAxis& axis : shape.axes) {
    below /= axis.in;
    const int64_t q = at / below % axis.in;
    int64_t partners = 0;
    for (int64_t k = 0; k < axis.kernel; ++k) {
      const int64_t shifted = q + axis.pad_begin - k * axis.dilation;
      partners += shifted >= 0 && shifted % axis.stride == 0 &&
                  shifted / axis.stride < axis.out();
    }
    // Each meeting so far becomes `partners`; from the back, as they grow.
    for (int64_t m = count; m-- > 0;) {
      const Meeting so_far = meetings[m];
      int64_t place = (m + 1) * partners;
      for (int64_t k = axis.kernel; k-- > 0;) {
        const int64_t shifted = q + axis.pad_begin - k * axis.dilation;
        const int64_t p = shifted / axis.stride;
        if (shifted < 0 || shifted % axis.stride != 0 || p >= axis.out()) {
          continue;
        }
        meetings[--place] = {so_far.pixel * axis.out() + p,
                             so_far.tap * axis.kernel + k};
      }
    }
    count *= partners;
  }
  return count;
}

// body(pixel, meetings, count) for every pixel of one image of y.
template <typename Body>
void ForEachPixel(const ConvShape& shape, const Body& body) {
  const int64_t width = shape.channels * shape.taps();
  ParallelRanges(
      shape.in_pixels(), RowsPerRange(width), [&](int64_t begin, int64_t end) {
        const Scratch<Meeting> meetings(MostMeetings(shape));
        for (int64_t pixel = begin; pixel < end; ++pixel) {
          const int64_t count = FindMeetings(shape, pixel, meetings.data());
          body(pixel, meetings.data(), count);
        }
      });
}

// The matrix of products: for each group its taps, for each tap its channels.
ConvShape Products(const ConvShape& shape) {
  ConvShape products;
  products.channels = shape.num_output;
  products.num_output = shape.channels * shape.taps();
  products.group = shape.group;
  products.axes.resize(1);
  products.axes[0].in = shape.out_pixels();
  return products;
}

// Calls body(place in Caffe's order, place in Products' order) for every
// weight.
template <typename Body>
void ForEachWeight(const ConvShape& shape, const Body& body) {
  const int64_t taps = shape.taps();
  const int64_t inputs = shape.channels / shape.group;
  const int64_t outputs = shape.num_output / shape.group;
  for (int64_t o = 0; o < shape.num_output; ++o) {
    const int64_t g = o / outputs;
    for (int64_t i = 0; i < inputs; ++i) {
      for (int64_t t = 0; t < taps; ++t) {
        const int64_t row = (g * taps + t) * inputs + i;
        body((o * inputs + i) * taps + t, row * outputs + o % outputs);
      }
    }
  }
}

}  // namespace

void CheckDeconvShape(const ConvShape& shape) {
  CheckConvShape(shape);
  Check(shape.pad_mode == PadMode::kZero,
        "pad_mode REPLICATE makes no sense for a deconvolution");
  for (const ConvAxis& axis : shape.axes) {
    const int64_t in = axis.stride * (axis.out() - 1) +
                       axis.dilation * (axis.kernel - 1) + 1 - axis.pad_begin -
                       axis.pad_end;
    Check(in == axis.in, "a deconvolution of ", axis.out(), " elements makes ",
          in, ", not ", axis.in);
  }
}

template <typename Dtype>
void DeconvReference(const ConvShape& shape, const Dtype* x,
                     const Dtype* weights, Dtype* y) {
  CheckDeconvShape(shape);
  const int64_t taps = shape.taps();
  const int64_t inputs = shape.channels / shape.group;
  const int64_t outputs = shape.num_output / shape.group;
  for (int64_t n = 0; n < shape.num; ++n) {
    const Dtype* image = x + n * shape.out_pixels() * shape.num_output;
    Dtype* to = y + n * shape.in_pixels() * shape.channels;
    ForEachPixel(shape, [&](int64_t pixel, const Meeting* m, int64_t count) {
      for (int64_t i = 0; i < shape.channels; ++i) {
        const int64_t first = i / inputs * outputs;
        double sum = 0;
        for (int64_t j = 0; j < count; ++j) {
          const Dtype* in = image + m[j].pixel * shape.num_output;
          for (int64_t o = first; o < first + outputs; ++o) {
            const int64_t w = (o * inputs + i % inputs) * taps + m[j].tap;
            sum += static_cast<double>(weights[w]) * in[o];
          }
        }
        to[pixel * shape.channels + i] = static_cast<Dtype>(sum);
      }
    });
  }
}

Deconv::Deconv(const ConvShape& shape) : shape_(shape) {
  CheckDeconvShape(shape);
  products_ = Conv::Create(Products(shape));
}

void Deconv::Pack(const float* weights, float* packed) const {
  const Buffer rows(shape_.weight_count() * sizeof(float));
  float* to = static_cast<float*>(rows.data());
  ForEachWeight(shape_,
                [=](int64_t caffe, int64_t row) { to[row] = weights[caffe]; });
  products_->Pack(to, packed);
}

void Deconv::Unpack(const float* packed, float* weights) const {
  const Buffer rows(shape_.weight_count() * sizeof(float));
  float* from = static_cast<float*>(rows.data());
  products_->Unpack(packed, from);
  ForEachWeight(
      shape_, [=](int64_t caffe, int64_t row) { weights[caffe] = from[row]; });
}

int64_t Deconv::workspace_size() const {
  const int64_t products =
      shape_.out_pixels() * shape_.channels * shape_.taps();
  return WholeLines(products) +
         WholeLines(shape_.out_pixels() * shape_.num_output) +
         products_->workspace_size();
}

void Deconv::Run(const float* x, const float* packed, const float* shift,
                 float* y, float* workspace) const {
  const int64_t taps = shape_.taps();
  const int64_t inputs = shape_.channels / shape_.group;
  const int64_t columns = shape_.channels * taps;
  const int64_t image = shape_.out_pixels() * shape_.num_output;
  float* products = workspace;
  float* aligned = products + WholeLines(shape_.out_pixels() * columns);
  float* rest = aligned + WholeLines(image);
  for (int64_t n = 0; n < shape_.num; ++n) {
    // Images need not begin at 64-byte boundaries.
    std::copy_n(x + n * image, image, aligned);
    products_->Run(aligned, packed, ConvEpilogue(), products, rest);
    float* to = y + n * shape_.in_pixels() * shape_.channels;
    ForEachPixel(shape_, [&](int64_t pixel, const Meeting* m, int64_t count) {
      float* sums = to + pixel * shape_.channels;
      std::fill_n(sums, shape_.channels, 0.f);
      if (shift) std::copy_n(shift, shape_.channels, sums);
      for (int64_t j = 0; j < count; ++j) {
        for (int64_t g = 0; g < shape_.group; ++g) {
          const float* from =
              products + m[j].pixel * columns + (g * taps + m[j].tap) * inputs;
          for (int64_t i = 0; i < inputs; ++i) {
            sums[g * inputs + i] += from[i];
          }
        }
      }
    });
  }
}

template void DeconvReference(const ConvShape&, const float*, const float*,
                              float*);
template void DeconvReference(const ConvShape&, const double*, const double*,
                              double*);

}  // namespace p3d
