#include "kernels/conv/conv.hpp"

#include <string>

#include "kernels/conv/conv_igemm.hpp"
#include "kernels/conv/conv_reference.hpp"
#include "kernels/conv/conv_winograd.hpp"
#include "kernels/error.hpp"

namespace p3d {
namespace {

// More elements than any memory holds; far enough below 2^63 that offsets and
// byte counts cannot overflow.
const int64_t kMaxCount = int64_t{1} << 40;

int64_t Product(const char* what, int64_t a, int64_t b) {
  int64_t product = 0;
  const bool overflow = __builtin_mul_overflow(a, b, &product);
  Check(!overflow && product <= kMaxCount, "", what,
        " would have more than 2^40 values (", a, " x ", b,
        "); make it smaller.");
  return product;
}

void CheckAtLeast(const char* what, int64_t value, int64_t least) {
  Check(value >= least && value <= kMaxCount, "", what, " is ", value,
        "; it must be at least ", least, " and at most 2^40.");
}

void CheckAxis(const ConvAxis& axis, size_t index) {
  const std::string of = " of spatial axis " + std::to_string(index);
  CheckAtLeast(("the input size" + of).c_str(), axis.in, 1);
  CheckAtLeast(("kernel size" + of).c_str(), axis.kernel, 1);
  CheckAtLeast(("stride" + of).c_str(), axis.stride, 1);
  CheckAtLeast(("dilation" + of).c_str(), axis.dilation, 1);
  CheckAtLeast(("padding before the start" + of).c_str(), axis.pad_begin, 0);
  CheckAtLeast(("padding behind the end" + of).c_str(), axis.pad_end, 0);
  const int64_t reach =
      Product("the dilated kernel", axis.dilation, axis.kernel - 1) + 1;
  const int64_t padded = axis.in + axis.pad_begin + axis.pad_end;
  Check(reach <= padded, "a kernel of ", axis.kernel, " (dilated: ", reach,
        ") is larger than the padded input of ", padded, of,
        "; use a larger input, more padding or a smaller kernel.");
}

}  // namespace

int64_t ConvShape::taps() const {
  int64_t count = 1;
  for (const ConvAxis& axis : axes) count *= axis.kernel;
  return count;
}

int64_t ConvShape::in_pixels() const {
  int64_t count = 1;
  for (const ConvAxis& axis : axes) count *= axis.in;
  return count;
}

int64_t ConvShape::out_pixels() const {
  int64_t count = 1;
  for (const ConvAxis& axis : axes) count *= axis.out();
  return count;
}

int64_t ConvShape::weight_count() const {
  return num_output * (channels / group) * taps();
}

std::vector<int64_t> ConvShape::in_sizes() const {
  std::vector<int64_t> sizes;
  for (const ConvAxis& axis : axes) sizes.push_back(axis.in);
  return sizes;
}

std::vector<int64_t> ConvShape::out_sizes() const {
  std::vector<int64_t> sizes;
  for (const ConvAxis& axis : axes) sizes.push_back(axis.out());
  return sizes;
}

int64_t ConvShape::macs() const { return num * out_pixels() * weight_count(); }

void CheckConvShape(const ConvShape& shape) {
  CheckAtLeast("the batch size", shape.num, 1);
  CheckAtLeast("the number of input channels", shape.channels, 1);
  CheckAtLeast("num_output", shape.num_output, 1);
  CheckAtLeast("group", shape.group, 1);
  Check(
      shape.channels % shape.group == 0 && shape.num_output % shape.group == 0,
      "group ", shape.group, " must divide the ", shape.channels,
      " input channels and num_output ", shape.num_output, ".");
  Check(!shape.axes.empty(),
        "the input has no spatial axis; it needs at least one.");
  int64_t in = Product("the input", shape.num, shape.channels);
  int64_t out = Product("the output", shape.num, shape.num_output);
  int64_t weights =
      Product("the weights", shape.num_output, shape.channels / shape.group);
  for (size_t i = 0; i < shape.axes.size(); ++i) {
    CheckAxis(shape.axes[i], i);
    in = Product("the input", in, shape.axes[i].in);
    out = Product("the output", out, shape.axes[i].out());
    weights = Product("the weights", weights, shape.axes[i].kernel);
  }
  int64_t macs = 0;
  Check(!__builtin_mul_overflow(out, weights / shape.num_output, &macs),
        "more than 2^63 multiplications; make it smaller.");
}

std::unique_ptr<Conv> Conv::Create(const ConvShape& shape, Isa isa) {
  // One candidate per implementation, fastest first; it returns null for what
  // it cannot do.
  using Candidate = std::unique_ptr<Conv> (*)(const ConvShape&, Isa);
  static const Candidate kCandidates[] = {
      CreateConvWinograd,
      CreateConvIgemm,
      CreateConvReference,
  };
  CheckConvShape(shape);
  for (Candidate candidate : kCandidates) {
    std::unique_ptr<Conv> conv = candidate(shape, isa);
    if (conv) return conv;
  }
  Fail("no implementation for the instruction set ", IsaName(isa), ".");
}

}  // namespace p3d
