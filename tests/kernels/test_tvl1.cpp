// The iterations of TV-L1 flow against plain loops over the formulas of the
// papers, in double, with every instruction set.
//
//   test_tvl1 ["height width"]

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <sstream>
#include <string>
#include <vector>

#include "kernels/cpu/isa.hpp"
#include "kernels/random.hpp"
#include "kernels/tvl1.hpp"
#include "testing.hpp"

namespace {

using p3d::Tvl1Weights;
using testing::Expect;
using testing::Guarded;

const char* const kCases[] = {"1 1",  "1 2",  "3 1",  "2 2",   "5 7",
                              "4 16", "3 17", "9 33", "7 100", "20 130"};
const Tvl1Weights kWeights = {.25f, .15f, .3f};

using Image = std::vector<double>;

// residual, gradient x and y, flow x and y, dual xx, xy, yx and yy
using Nine = std::vector<Image>;

Nine Random(int64_t count) {
  // As of images from 0 to 255.
  const double deviations[] = {30, 20, 20, 2, 2, .3, .3, .3, .3};
  Nine images;
  for (uint64_t i = 0; i < 9; ++i) {
    std::vector<float> values(count);
    p3d::FillGaussian(i + 1, 0, deviations[i], count, values.data());
    images.emplace_back(values.begin(), values.end());
  }
  // Places without any gradient.
  for (int64_t i = 0; i < count; i += 5) images[1][i] = images[2][i] = 0;
  return images;
}

// One iteration; the sum of squares of what changed.
double Iterate(int64_t height, int64_t width, Nine* images) {
  Nine& t = *images;
  const Nine before = t;
  const auto at = [&](int64_t y, int64_t x) { return y * width + x; };
  double changed = 0;
  for (int64_t y = 0; y < height; ++y) {
    for (int64_t x = 0; x < width; ++x) {
      const int64_t i = at(y, x);
      const double gx = t[1][i], gy = t[2][i], square = gx * gx + gy * gy;
      const double rho = t[0][i] + gx * before[3][i] + gy * before[4][i];
      const double most = kWeights.lambda * kWeights.theta;
      const double pull = rho < -most * square  ? most
                          : rho > most * square ? -most
                          : square > 0          ? -rho / square
                                                : 0;
      for (int c = 0; c < 2; ++c) {
        const Image &along_x = before[5 + 2 * c], &along_y = before[6 + 2 * c];
        double divergence = along_x[i] + along_y[i];
        if (x > 0) divergence -= along_x[at(y, x - 1)];
        if (y > 0) divergence -= along_y[at(y - 1, x)];
        const double change = pull * t[1 + c][i] + kWeights.theta * divergence;
        t[3 + c][i] += change;
        changed += change * change;
      }
    }
  }
  const double step = kWeights.tau / kWeights.theta;
  for (int64_t y = 0; y < height; ++y) {
    for (int64_t x = 0; x < width; ++x) {
      const int64_t i = at(y, x);
      for (int c = 0; c < 2; ++c) {
        const Image& u = t[3 + c];
        const double dx = x + 1 < width ? u[i + 1] - u[i] : 0;
        const double dy = y + 1 < height ? u[i + width] - u[i] : 0;
        const double scale = 1 / (1 + step * std::hypot(dx, dy));
        t[5 + 2 * c][i] = (t[5 + 2 * c][i] + step * dx) * scale;
        t[6 + 2 * c][i] = (t[6 + 2 * c][i] + step * dy) * scale;
      }
    }
  }
  return changed;
}

struct Arrays {
  explicit Arrays(const Nine& images) {
    for (const Image& image : images) {
      arrays.emplace_back(static_cast<int64_t>(image.size()));
      std::copy(image.begin(), image.end(), arrays.back().get());
    }
  }
  p3d::Tvl1Images Of(int64_t height, int64_t width) {
    const auto a = [this](int i) { return arrays[i].get(); };
    return {height, width, a(0), a(1), a(2), a(3),
            a(4),   a(5),  a(6), a(7), a(8)};
  }
  std::vector<Guarded> arrays;
};

void TestCase(const std::string& text) {
  int64_t height = 0, width = 0;
  std::istringstream(text) >> height >> width;
  Nine want = Random(height * width);
  for (p3d::Isa isa : p3d::SupportedIsas()) {
    p3d::SetActiveIsa(isa);
    const std::string where =
        "test_tvl1 \"" + text + "\", " + p3d::IsaName(isa) + ": ";
    Nine exact = want;
    Arrays got(exact);
    double changed = 0;
    for (int i = 0; i < 3; ++i) changed = Iterate(height, width, &exact);
    const double found =
        p3d::Tvl1Iterate(got.Of(height, width), kWeights, 3, 0);
    Expect(std::fabs(found - changed) <= 1e-4 * changed + 1e-9,
           where + "what changed is " + std::to_string(found) + " instead of " +
               std::to_string(changed));
    for (int a = 0; a < 9; ++a) {
      double error = 0;
      for (size_t i = 0; i < exact[a].size(); ++i) {
        const double off = std::fabs(got.arrays[a].get()[i] - exact[a][i]);
        error = off <= error ? error : off;
      }
      Expect(error <= 2e-5 && got.arrays[a].intact(),
             where + "image " + std::to_string(a) + " differs by " +
                 std::to_string(error));
    }
  }
}

// It ends once little enough changes.
void TestEnd() {
  const Nine images = Random(35);
  Nine one = images;
  const double first = Iterate(5, 7, &one);
  Arrays arrays(images);
  const double found =
      p3d::Tvl1Iterate(arrays.Of(5, 7), kWeights, 100, 2 * first);
  Expect(std::fabs(found - first) <= 1e-4 * first,
         "test_tvl1: ends after one iteration");
  Expect(p3d::Tvl1Iterate(arrays.Of(0, 7), kWeights, 100, 0) == 0,
         "test_tvl1: images without pixels");
}

}  // namespace

int main(int argc, char** argv) {
  if (argc > 1 && argv[1][0] != '-') {
    TestCase(argv[1]);
    return testing::Finish();
  }
  for (const char* text : kCases) TestCase(text);
  TestEnd();
  return testing::Finish();
}
