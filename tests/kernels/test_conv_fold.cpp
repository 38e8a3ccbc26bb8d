// Folded convolutions against the same ones with all axes.
//
//   test_conv_fold

#include <cstdint>
#include <string>
#include <vector>

#include "kernels/conv/conv_fold.hpp"
#include "kernels/conv/conv_reference.hpp"
#include "kernels/random.hpp"
#include "testing.hpp"

namespace {

using p3d::BlobStrides;
using p3d::ConvShape;
using testing::Expect;

struct Case {
  const char* name;
  std::vector<p3d::ConvAxis> axes;  // in, kernel, stride, dilation, pad, pad
  std::vector<int64_t> folded;      // sizes of the axes that are left
};

const Case kCases[] = {
    {"3x1x1", {{5, 3, 1, 1, 1, 1}, {3, 1}, {7, 1}}, {5, 21}},
    {"3x1x1, dilated", {{7, 3, 2, 2, 0, 1}, {3, 1}, {2, 1}}, {7, 6}},
    {"3x1x1, stride in h", {{5, 3, 1, 1, 1, 1}, {4, 1, 2}, {3, 1}}, {5, 4, 3}},
    {"3x1x1, stride in w", {{5, 3, 1, 1, 1, 1}, {3, 1}, {4, 1, 2}}, {5, 12}},
    {"3x1x1, w odd", {{5, 3, 1, 1, 1, 1}, {3, 1}, {5, 1, 2}}, {5, 3, 5}},
    {"1x1x1", {{2, 1}, {3, 1}, {5, 1}}, {2, 15}},
    {"1x1x1, stride 1,2,2", {{3, 1}, {4, 1, 2}, {5, 1, 2}}, {12, 5}},
    {"1x1x1, h odd", {{3, 1}, {5, 1, 2}, {4, 1, 2}}, {3, 5, 4}},
    {"1x1x1, stride 2", {{3, 1, 2}, {3, 1}, {4, 1}}, {3, 12}},
    {"1x1x1, padded", {{3, 1}, {3, 1, 1, 1, 1, 1}, {4, 1}}, {3, 3, 4}},
    {"1x3x3", {{3, 1}, {4, 3, 1, 1, 1, 1}, {5, 3, 2, 1, 1, 1}}, {3, 4, 5}},
    {"3x3", {{4, 3, 1, 1, 1, 1}, {5, 3}}, {4, 5}},
    {"1x1", {{4, 1}, {5, 1}}, {4, 5}},
    {"1", {{4, 1}}, {4}},
};

std::vector<double> Run(const ConvShape& shape, const std::vector<double>& x,
                        const std::vector<double>& weights) {
  std::vector<int64_t> in, out;
  for (const p3d::ConvAxis& axis : shape.axes) {
    in.push_back(axis.in);
    out.push_back(axis.out());
  }
  std::vector<double> y(shape.num * shape.num_output * shape.out_pixels());
  p3d::ConvReference(shape, BlobStrides::CaffeOrder(shape.channels, in),
                     x.data(), weights.data(),
                     BlobStrides::CaffeOrder(shape.num_output, out), y.data());
  return y;
}

std::vector<double> Values(uint64_t seed, int64_t count) {
  std::vector<double> values(count);
  p3d::FillGaussian(seed, 0, 1, count, values.data());
  return values;
}

void TestCase(const Case& test) {
  ConvShape shape;
  shape.num = 2;
  shape.channels = 6;
  shape.num_output = 4;
  shape.group = 2;
  shape.axes = test.axes;
  const ConvShape folded = p3d::FoldAxes(shape);
  std::vector<int64_t> sizes;
  for (const p3d::ConvAxis& axis : folded.axes) sizes.push_back(axis.in);
  const std::string where = std::string("test_conv_fold ") + test.name;
  if (!Expect(sizes == test.folded, where + ": other axes are left")) return;
  const std::vector<double> x =
      Values(1, shape.num * shape.channels * shape.in_pixels());
  const std::vector<double> weights = Values(2, shape.weight_count());
  Expect(Run(folded, x, weights) == Run(shape, x, weights),
         where + ": other results");
}

}  // namespace

int main() {
  for (const Case& test : kCases) TestCase(test);
  return testing::Finish();
}
