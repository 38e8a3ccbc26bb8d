#include "kernels/conv/conv_filled_cuda.hpp"

// The header that this file implements comes first.
#include <algorithm>

namespace p3d {
namespace cuda {
namespace {

// A shape with `piece` channels that is the same convolution of copies with
// `each` channels a pixel, whose weights begin `shift` pixels earlier along w.
struct Filled {
  Filled(const ConvShape& from, int piece) : shape(from), each(piece) {
    ConvAxis& w = shape.axes.back();
    if (2 * from.channels <= piece && w.stride % 2 == 0 && w.in % 2 == 0 &&
        w.dilation == 1) {
      const int64_t out = w.out();
      each = piece / 2;
      shift = w.pad_begin % 2;
      w.in /= 2;
      w.stride /= 2;
      w.pad_begin = (w.pad_begin + 1) / 2;
      w.kernel = (w.kernel + shift + 1) / 2;
      const int64_t reach = (out - 1) * w.stride + w.kernel;
      w.pad_end = std::max<int64_t>(reach - w.in - w.pad_begin, 0);
    }
    shape.channels = piece;
  }
  int64_t x_count() const {
    return shape.num * shape.in_pixels() * shape.channels;
  }

  ConvShape shape;
  int each;
  int64_t shift = 0;
};

bool IsForIt(const ConvShape& shape, int piece) {
  return shape.group == 1 && shape.channels < piece &&
         shape.pad_mode == PadMode::kZero && shape.num_output % 8 == 0 &&
         shape.num_output >= 32 && shape.taps() > 1 && FitsInt(shape) &&
         FitsInt(Filled(shape, piece).shape) &&
         Filled(shape, piece).shape.out_sizes() == shape.out_sizes();
}

// Lines of `width` pixels become lines of to_width that begin `shift` pixels
// earlier.
template <typename Value, int each>
struct FillPixels {
  int64_t channels, width, to_width, shift;
  const Value* from;
  Value* to;

  P3D_HOST_DEVICE void operator()(int64_t i) const {
    const int64_t line = Quotient(i, to_width);
    const int64_t w = i - line * to_width - shift;
    Run<Value, each> pixel;
    P3D_UNROLL
    for (int c = 0; c < each; ++c) {
      const bool has = w >= 0 && w < width && c < channels;
      pixel[c] = has ? from[(line * width + w) * channels + c] : Value(0.f);
    }
    *reinterpret_cast<Run<Value, each>*>(to + i * each) = pixel;
  }
};

template <typename Value, int each>
void Fill(CUstream_st* stream, const ForwardCall<Value>& call,
          const Filled& filled, Value* x, Value* weights) {
  const ConvShape& shape = call.shape;
  const int64_t pixels = filled.shape.channels / each;  // that are one
  const ConvAxis &w = shape.axes.back(), &to = filled.shape.axes.back();
  ForEach(stream, "Convolve fill", filled.x_count() / each,
          FillPixels<Value, each>{shape.channels, w.in, to.in * pixels, 0,
                                  call.x, x});
  ForEach(stream, "Convolve fill", filled.shape.weight_count() / each,
          FillPixels<Value, each>{shape.channels, w.kernel, to.kernel * pixels,
                                  filled.shift, call.weights, weights});
}

template <typename Value>
struct ForwardFilled {
  using Call = ForwardCall<Value>;
  static constexpr int kPiece = 16 / sizeof(Value);

  static bool Can(const Call& call) {
    return call.scratch && Aligned(call.scratch) && IsForIt(call.shape, kPiece);
  }
  static bool Suits(const Call&) { return true; }
  static void Launch(CUstream_st* stream, const Call& call) {
    const Filled filled(call.shape, kPiece);
    Value* const x = reinterpret_cast<Value*>(call.scratch);
    Value* const weights = x + filled.x_count();
    if (filled.each == kPiece) {
      Fill<Value, kPiece>(stream, call, filled, x, weights);
    } else {
      Fill<Value, kPiece / 2>(stream, call, filled, x, weights);
    }
    const Call whole = {filled.shape,  x,      weights,
                        call.epilogue, call.y, nullptr};
    Chosen(whole).launch(stream, whole);
  }
};

}  // namespace

template <typename Value>
Candidate<ForwardCall<Value>> FilledCandidate() {
  return Entry<ForwardFilled<Value>>("filled");
}
template Candidate<ForwardCall<Bf16>> FilledCandidate();
template Candidate<ForwardCall<Fp16>> FilledCandidate();
template Candidate<ForwardCall<Tf32>> FilledCandidate();

int64_t FilledScratch(const ConvShape& shape) {
  int64_t most = 0;
  for (int bytes : {2, 4}) {
    const int piece = 16 / bytes;
    if (!IsForIt(shape, piece)) continue;
    const Filled filled(shape, piece);
    const int64_t count = filled.x_count() + filled.shape.weight_count();
    most = std::max(most, count * bytes / 4);
  }
  return most;
}

}  // namespace cuda
}  // namespace p3d
