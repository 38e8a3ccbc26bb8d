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

// The same in a level.
struct Level {
  Level(int64_t height, int64_t width, const Nine& images)
      : level(height, width), images(images) {
    std::vector<float> first, warped;
    for (int64_t i = 0; i < height * width; ++i) {
      const Nine& t = images;
      const float I0 = static_cast<float>(i % 11);
      first.push_back(I0);
      const double moved = t[1][i] * t[3][i] + t[2][i] * t[4][i];
      for (double value : {t[0][i] + I0 + moved, t[1][i], t[2][i]}) {
        warped.push_back(static_cast<float>(value));
      }
    }
    for (int a = 3; a < 9; ++a) {
      ForEach(a, [](float* value, double given) {
        *value = static_cast<float>(given);
      });
    }
    level.Warp(first.data(), warped.data());
  }

  // do(value, what is given) for image `a` of Nine, the flow or a dual one.
  template <typename Do>
  void ForEach(int a, const Do& act) {
    float* image = a < 5 ? level.flow(a - 3) : level.dual(a - 5);
    for (int64_t y = 0; y < level.height(); ++y) {
      for (int64_t x = 0; x < level.width(); ++x) {
        act(image + y * level.row_stride() + x,
            images[a][y * level.width() + x]);
      }
    }
  }

  p3d::Tvl1Level level;
  const Nine& images;
};

// Iterations end once `enough` little changed, which is after `count`.
void Compare(const std::string& what, int64_t height, int64_t width,
             int64_t iterations, double enough, int64_t count) {
  const Nine images = Random(height * width);
  Nine exact = images;
  double changed = 0;
  for (int64_t i = 0; i < count; ++i) changed = Iterate(height, width, &exact);
  for (p3d::Isa isa : p3d::SupportedIsas()) {
    p3d::SetActiveIsa(isa);
    const std::string where = what + ", " + p3d::IsaName(isa) + ": ";
    Level got(height, width, images);
    const double found = got.level.Iterate(kWeights, iterations, enough);
    Expect(std::fabs(found - changed) <= 1e-4 * changed + 1e-9,
           where + "what changed is " + std::to_string(found) + " instead of " +
               std::to_string(changed));
    for (int a = 3; a < 9; ++a) {
      double error = 0;
      int64_t i = 0;
      got.ForEach(a, [&](const float* value, double) {
        const double off = std::fabs(*value - exact[a][i++]);
        error = off <= error ? error : off;
      });
      Expect(error <= 2e-5, where + "image " + std::to_string(a) +
                                " differs by " + std::to_string(error));
    }
  }
}

void TestCase(const std::string& text) {
  int64_t height = 0, width = 0;
  std::istringstream(text) >> height >> width;
  for (int64_t iterations : {1, 3, 4, 9}) {
    Compare("test_tvl1 \"" + text + "\" " + std::to_string(iterations), height,
            width, iterations, 0, iterations);
  }
}

// However many are done together.
void TestEnd() {
  Nine images = Random(35);
  double least = 1e9;
  int compared = 0;
  for (int64_t count = 1; count < 12; ++count) {
    const double changed = Iterate(5, 7, &images);
    if (changed > .98 * least) continue;
    least = changed;
    ++compared;
    Compare("test_tvl1: ends after " + std::to_string(count), 5, 7, 100,
            1.01 * changed, count);
  }
  Expect(compared > 6, "test_tvl1: ends are compared");
}

void TestSmooth(const std::string& text) {
  int64_t height = 0, width = 0;
  std::istringstream(text) >> height >> width;
  const Nine images = Random(height * width);
  const auto within = [](int64_t place, int64_t size) {
    return std::min(std::max<int64_t>(place, 0), size - 1);
  };
  for (p3d::Isa isa : p3d::SupportedIsas()) {
    p3d::SetActiveIsa(isa);
    for (int side : {3, 5}) {
      Level got(height, width, images);
      got.level.Smooth(side);
      int64_t i = 0, wrong = 0;
      got.ForEach(4, [&](const float* value, double) {
        std::vector<double> window;
        for (int64_t j = 0; j < side * side; ++j) {
          const int64_t y = within(i / width + j / side - side / 2, height);
          const int64_t x = within(i % width + j % side - side / 2, width);
          window.push_back(images[4][y * width + x]);
        }
        std::sort(window.begin(), window.end());
        wrong += *value != static_cast<float>(window[window.size() / 2]);
        ++i;
      });
      Expect(wrong == 0, "test_tvl1 \"" + text + "\", " + p3d::IsaName(isa) +
                             ": " + std::to_string(wrong) +
                             " medians are wrong for side " +
                             std::to_string(side));
    }
  }
}

}  // namespace

int main(int argc, char** argv) {
  if (argc > 1 && argv[1][0] != '-') {
    TestCase(argv[1]);
    TestSmooth(argv[1]);
    return testing::Finish();
  }
  for (const char* text : kCases) {
    TestCase(text);
    TestSmooth(text);
  }
  TestEnd();
  return testing::Finish();
}
