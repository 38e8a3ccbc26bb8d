// Deconvolution and im2col against loops that follow the definition.
//
//   test_deconv ["case"]
//
// A case is: num channels num_output group axis..., an axis being
// out,kernel,stride,dilation,pad_begin,pad_end, as the transposed convolution
// has them: the deconvolution enlarges `out`. All values are small integers, so
// that sums are exact in any order.

#include <algorithm>
#include <cstdint>
#include <sstream>
#include <string>
#include <vector>

#include "kernels/conv/deconv.hpp"
#include "kernels/cpu/thread_pool.hpp"
#include "kernels/im2col.hpp"
#include "testing.hpp"

namespace {

using p3d::ConvAxis;
using p3d::ConvShape;
using testing::Expect;
using testing::ExpectError;
using testing::Guarded;

const char* const kCases[] = {
    "1 1 1 1 1,1,1,1,0,0",
    "2 3 4 1 5,4,2,1,1,1 6,4,2,1,1,1",
    "1 6 4 2 3,3,2,1,1,1 4,3,1,2,0,1",
    "1 5 5 5 4,4,2,1,1,1 5,4,2,1,1,1",  // one group per channel: upsampling
    "2 3 7 1 2,3,1,1,1,1 3,2,3,1,0,0 4,3,2,2,2,0",
    "1 17 33 1 2,2,2,1,0,0 3,3,2,1,1,0",
    "1 2 2 1 2,1,5,1,0,0",  // gaps that nothing reaches
    "3 1 1 1 2,2,1,1,0,0 2,2,1,1,0,0 2,2,1,1,0,0 2,2,1,1,0,0",
};

ConvShape Parse(const std::string& text) {
  std::istringstream in(text);
  ConvShape shape;
  std::string word;
  in >> shape.num >> shape.channels >> shape.num_output >> shape.group;
  while (in >> word) {
    ConvAxis a;
    int64_t out;
    std::replace(word.begin(), word.end(), ',', ' ');
    std::istringstream(word) >> out >> a.kernel >> a.stride >> a.dilation >>
        a.pad_begin >> a.pad_end;
    a.in = a.stride * (out - 1) + a.dilation * (a.kernel - 1) + 1 -
           a.pad_begin - a.pad_end;
    shape.axes.push_back(a);
  }
  return shape;
}

// The pixel of the convolution's input that output `p` sees through `tap`; -1
// in the padding.
int64_t Seen(const ConvShape& shape, int64_t p, int64_t tap) {
  int64_t pixels = shape.out_pixels(), taps = shape.taps(), at = 0;
  for (const ConvAxis& a : shape.axes) {
    pixels /= a.out();
    taps /= a.kernel;
    const int64_t i = p / pixels % a.out() * a.stride - a.pad_begin +
                      tap / taps % a.kernel * a.dilation;
    if (i < 0 || i >= a.in) return -1;
    at = at * a.in + i;
  }
  return at;
}

// Every product goes where the convolution takes it from.
std::vector<double> Scatter(const ConvShape& shape, const double* x,
                            const double* weights) {
  const int64_t inputs = shape.channels / shape.group;
  const int64_t outputs = shape.num_output / shape.group;
  const int64_t in = shape.in_pixels(), out = shape.out_pixels();
  std::vector<double> y(shape.num * in * shape.channels);
  for (int64_t n = 0; n < shape.num; ++n) {
    for (int64_t p = 0; p < out; ++p) {
      for (int64_t tap = 0; tap < shape.taps(); ++tap) {
        const int64_t q = Seen(shape, p, tap);
        if (q < 0) continue;
        for (int64_t o = 0; o < shape.num_output; ++o) {
          for (int64_t i = 0; i < inputs; ++i) {
            y[(n * in + q) * shape.channels + o / outputs * inputs + i] +=
                weights[(o * inputs + i) * shape.taps() + tap] *
                x[(n * out + p) * shape.num_output + o];
          }
        }
      }
    }
  }
  return y;
}

// Small integers without a pattern.
template <typename T>
void FillSmall(T* values, int64_t count, uint64_t seed) {
  for (int64_t i = 0; i < count; ++i) {
    seed = seed * 6364136223846793005u + 1442695040888963407u;
    values[i] = static_cast<T>(static_cast<int64_t>(seed >> 60) - 8);
  }
}

void TestDeconv(const std::string& text, const ConvShape& shape) {
  const std::string where = "test_deconv \"" + text + "\"";
  const int64_t x_count = shape.num * shape.out_pixels() * shape.num_output;
  const int64_t y_count = shape.num * shape.in_pixels() * shape.channels;
  std::vector<double> x(x_count), weights(shape.weight_count());
  FillSmall(x.data(), x_count, 1);
  FillSmall(weights.data(), shape.weight_count(), 2);
  const std::vector<double> right = Scatter(shape, x.data(), weights.data());

  std::vector<double> reference(y_count, 77);
  p3d::DeconvReference(shape, x.data(), weights.data(), reference.data());
  Expect(reference == right, where + ": DeconvReference");

  const p3d::Deconv deconv(shape);
  Guarded fx(x_count), fw(shape.weight_count()), back(shape.weight_count()),
      packed(deconv.packed_size()), y(y_count), shift(shape.channels),
      workspace(deconv.workspace_size());
  std::copy(x.begin(), x.end(), fx.get());
  std::copy(weights.begin(), weights.end(), fw.get());
  FillSmall(shift.get(), shape.channels, 3);
  deconv.Pack(fw.get(), packed.get());
  deconv.Unpack(packed.get(), back.get());
  Expect(std::equal(fw.get(), fw.get() + fw.count(), back.get()),
         where + ": Unpack does not undo Pack");
  for (const float* added : {static_cast<const float*>(nullptr),
                             static_cast<const float*>(shift.get())}) {
    deconv.Run(fx.get(), packed.get(), added, y.get(), workspace.get());
    bool same = true;
    for (int64_t i = 0; i < y_count; ++i) {
      const double add = added ? added[i % shape.channels] : 0;
      same = same && y.get()[i] == right[i] + add;
    }
    Expect(same, where + (added ? ": Run with shift" : ": Run"));
  }
  Expect(y.intact() && packed.intact() && workspace.intact() && back.intact(),
         where + ": wrote outside its memory");
}

void TestIm2col(const std::string& text, const ConvShape& shape) {
  const int64_t in = shape.in_pixels(), out = shape.out_pixels();
  const int64_t planes = shape.num * shape.channels, taps = shape.taps();
  std::vector<float> x(planes * in), y(planes * taps * out, 77);
  FillSmall(x.data(), planes * in, 4);
  p3d::Im2col(shape, x.data(), y.data());
  bool same = true;
  for (int64_t i = 0; i < static_cast<int64_t>(y.size()); ++i) {
    const int64_t q = Seen(shape, i % out, i / out % taps);
    same = same && y[i] == (q < 0 ? 0 : x[i / out / taps * in + q]);
  }
  Expect(same, "test_deconv \"" + text + "\": Im2col");
}

}  // namespace

int main(int argc, char** argv) {
  const std::vector<std::string> cases =
      argc > 1 && argv[1][0] != '-'
          ? std::vector<std::string>{argv[1]}
          : std::vector<std::string>(std::begin(kCases), std::end(kCases));
  for (int threads : {1, 3}) {
    p3d::SetNumThreads(threads);
    for (const std::string& text : cases) {
      TestDeconv(text, Parse(text));
      TestIm2col(text, Parse(text));
    }
  }
  ConvShape shape = Parse("1 1 1 1 4,3,2,1,0,0");
  shape.axes[0].in += 1;
  ExpectError([&] { p3d::Deconv deconv(shape); }, "makes 9, not 10",
              "a size that no deconvolution makes");
  shape = Parse("1 1 1 1 4,3,2,1,0,0");
  shape.pad_mode = p3d::PadMode::kReplicate;
  ExpectError([&] { p3d::Deconv deconv(shape); }, "REPLICATE",
              "replicated padding");
  return testing::Finish();
}
