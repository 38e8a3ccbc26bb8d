#ifndef P3D_TESTS_KERNELS_CONV_CASES_HPP_
#define P3D_TESTS_KERNELS_CONV_CASES_HPP_

// The convolutions that are tested. A case is: num channels num_output group
// mode axis..., an axis being in,kernel,stride,dilation,pad_begin,pad_end.

#include <cstdint>
#include <random>
#include <sstream>
#include <string>
#include <vector>

#include "kernels/conv/conv.hpp"
#include "kernels/cpu/isa.hpp"
#include "kernels/error.hpp"
#include "testing.hpp"

namespace testing {

// The convolutions of P3D-199 at 16x160x160.
static const char* const kP3d[] = {
    "1 3 64 1 zero 16,1,1,1,0,0 160,7,2,1,3,3 160,7,2,1,3,3",
    "1 2 64 1 zero 16,1,1,1,0,0 160,7,2,1,3,3 160,7,2,1,3,3",
    "1 64 64 1 zero 8,1,1,1,0,0 40,1,1,1,0,0 40,1,1,1,0,0",
    "1 64 64 1 zero 8,1,1,1,0,0 40,3,1,1,1,1 40,3,1,1,1,1",
    "1 64 64 1 zero 8,3,1,1,1,1 40,1,1,1,0,0 40,1,1,1,0,0",
    "1 64 256 1 zero 8,1,1,1,0,0 40,1,1,1,0,0 40,1,1,1,0,0",
    "1 256 64 1 zero 8,1,1,1,0,0 40,1,1,1,0,0 40,1,1,1,0,0",
    "1 256 128 1 zero 4,1,1,1,0,0 40,1,2,1,0,0 40,1,2,1,0,0",
    "1 128 128 1 zero 4,1,1,1,0,0 20,3,1,1,1,1 20,3,1,1,1,1",
    "1 128 128 1 zero 4,3,1,1,1,1 20,1,1,1,0,0 20,1,1,1,0,0",
    "1 128 512 1 zero 4,1,1,1,0,0 20,1,1,1,0,0 20,1,1,1,0,0",
    "1 1024 256 1 zero 2,1,1,1,0,0 10,1,1,1,0,0 10,1,1,1,0,0",
    "1 256 256 1 zero 2,1,1,1,0,0 10,3,1,1,1,1 10,3,1,1,1,1",
    "3 256 256 1 zero 2,3,1,1,1,1 10,1,1,1,0,0 10,1,1,1,0,0",
    "2 256 1024 1 zero 2,1,1,1,0,0 10,1,1,1,0,0 10,1,1,1,0,0",
    "1 1024 512 1 zero 10,1,2,1,0,0 10,1,2,1,0,0",
    "1 512 512 1 zero 5,3,1,1,1,1 5,3,1,1,1,1",
    "2 512 2048 1 zero 5,1,1,1,0,0 5,1,1,1,0,0",
};

// Shapes from files that mean harm.
static const char* const kExtreme[] = {
    "1 1 1 1 zero 40000,20000,1,2,0,0 40000,20000,1,2,0,0",
    "1 1 1 1 zero 40000,20001,1,2,1,1 40000,20001,1,2,1,1",
    "1 1 1 1 replicate 1,1,1000000000,1,1000000000,1000000000",
    "1 1 1 1 zero 1,1,1000000000,1,1000000000,1000000000",
    "1 1 1 1 zero 1000000000,1000000001,1,1,500000000,500000000",
    "1 1 1 1 zero 1000,999,1,1,499,499 1000,999,1,1,499,499 "
    "100,99,1,1,49,49",
    "1 1 1 1 zero 2,2,1,1,1,1 2,2,1,1,1,1 2,2,1,1,1,1 2,2,1,1,1,1 "
    "2,2,1,1,1,1 2,2,1,1,1,1 2,2,1,1,1,1 2,2,1,1,1,1 2,2,1,1,1,1",
    "1 1 1 1 zero 9,5,1,1,2,2 9,5,1,1,2,2 9,5,1,1,2,2 9,5,1,1,2,2 "
    "9,5,1,1,2,2 9,5,1,1,2,2",
    "1 1 1 1 zero 1,1,1,1,100000,100000 1,1,1,1,100000,100000",
    "1 1 1 1 zero 9,1,2,1,1000000000000,1000000000000",
};

// Ugly ones.
static const char* const kOdd[] = {
    "1 1 1 1 zero 1,1,1,1,0,0",
    "1 5 7 1 zero 1,1,1,1,0,0",
    "3 17 33 1 zero 13,1,1,1,0,0",
    "2 16 100 1 zero 29,5,3,1,2,1",
    "1 13 64 1 zero 9,9,1,1,8,8",
    "2 3 15 1 zero 7,3,2,1,1,0 11,2,1,1,0,1",
    "1 31 100 1 zero 6,3,1,1,1,1 9,3,1,1,1,1",
    "2 5 31 1 zero 4,2,1,1,1,0 5,3,2,1,0,2 6,3,1,2,2,1",
    "1 2 17 1 zero 5,3,1,2,2,2 6,1,1,1,0,0 7,3,1,3,3,3",
    "1 15 13 1 zero 3,2,1,1,0,0 4,3,1,1,1,1 5,1,2,1,0,0 3,3,1,1,1,1",
    "3 1 5 1 zero 2,1,1,1,0,0 12,7,2,1,3,3 15,7,2,1,3,3",
    "2 33 16 1 zero 5,3,1,1,1,1 1,1,1,1,0,0 6,1,1,1,0,0",
    "1 64 65 1 zero 5,3,1,1,1,1 5,3,1,1,1,1",
    "2 100 64 1 zero 3,1,1,1,0,0 7,3,2,1,1,1 7,3,2,1,1,1",
    // Padding all around and far beyond: some pixels see nothing but zeros.
    "1 3 5 1 zero 2,3,1,1,4,4 3,2,1,1,3,5",
    "1 4 9 1 zero 3,2,1,4,4,4",
    "2 7 3 1 zero 1,5,1,1,2,2 1,3,1,1,1,1 1,3,1,1,1,1",
    "1 2 3 1 zero 4,1,3,1,2,2 5,1,1,1,1,0",
    // 3x3 along two axes, which may be computed by tiles of 2x2 outputs.
    "1 1 1 1 zero 1,3,1,1,1,1 1,3,1,1,1,1",
    "1 3 5 1 zero 3,3,1,1,0,0 4,3,1,1,0,0",
    "2 17 33 1 zero 2,1,1,1,0,0 7,3,1,1,1,1 6,3,1,1,1,1",
    "1 7 70 1 zero 5,3,1,1,2,0 2,1,1,1,0,0 4,3,1,1,0,2",
    "2 20 9 1 zero 4,3,1,1,1,2 5,3,1,1,2,1 3,1,1,1,0,0",
    "2 35 130 1 zero 3,1,1,1,0,0 9,3,1,1,1,1 2,1,1,1,0,0 8,3,1,1,1,1",
    "1 300 65 1 zero 6,3,1,1,1,1 21,3,1,1,1,1",
    "1 2 3 1 zero 2,3,1,1,4,5 3,3,1,1,5,4",
    // Strides beyond the kernel.
    "2 9 20 1 zero 10,2,5,1,0,0 9,1,4,1,0,0",
    // Replicated padding.
    "1 3 16 1 replicate 4,3,1,1,1,1 5,3,1,1,1,1 6,3,1,1,1,1",
    "2 5 33 1 replicate 3,1,1,1,0,0 2,5,1,2,4,5 7,4,3,1,0,3",
    "1 1 1 1 replicate 1,3,1,1,2,2",
    "2 18 10 2 replicate 5,1,1,1,0,0 6,1,1,1,0,0",
    // Groups.
    "1 6 10 2 zero 5,3,1,1,1,1 6,3,1,1,1,1",
    "2 12 9 3 zero 4,1,1,1,0,0 5,1,1,1,0,0",
    "1 64 128 2 zero 3,3,1,1,1,1 7,1,1,1,0,0",
    "1 20 5 5 zero 9,4,2,1,1,2",
    "2 8 130 2 replicate 9,3,1,1,1,1",
    // One input channel per group; then one output channel as well (depthwise).
    "1 5 15 5 zero 6,3,1,1,1,1 5,3,2,1,1,1",
    "1 1 1 1 zero 8,3,1,1,1,1 8,3,1,1,1,1",
    "2 3 3 3 zero 4,3,1,1,1,1 7,3,1,1,1,1 5,3,1,1,1,1",
    "1 16 16 16 zero 4,3,2,1,1,1 9,3,2,1,1,1 9,3,2,1,1,1",
    "1 33 33 33 zero 5,3,1,2,2,2 7,5,1,1,2,2",
    "3 100 100 100 replicate 5,3,1,1,1,1 6,3,2,1,1,0",
    "1 64 64 64 zero 13,1,1,1,0,0",
    // Input channels around the steps that are written out.
    "1 7 33 1 zero 13,1,1,1,0,0",
    "1 8 33 1 zero 5,3,1,1,1,1 6,1,1,1,0,0",
    "2 9 33 1 zero 7,3,1,1,1,1 5,1,1,1,0,0",
    // Channel counts around the vectors' and panels' widths.
    "1 1 2 1 zero 3,1,1,1,0,0 7,3,1,1,1,1",
    "1 2 8 1 zero 3,1,1,1,0,0 7,3,1,1,1,1",
    "1 13 9 1 zero 3,1,1,1,0,0 7,3,1,1,1,1",
    "1 15 31 1 zero 3,1,1,1,0,0 7,3,1,1,1,1",
    "1 16 32 1 zero 3,1,1,1,0,0 7,3,1,1,1,1",
    "1 17 47 1 zero 3,1,1,1,0,0 7,3,1,1,1,1",
    "1 31 48 1 zero 3,1,1,1,0,0 7,3,1,1,1,1",
    "1 33 63 1 zero 3,1,1,1,0,0 7,3,1,1,1,1",
    "1 64 127 1 zero 3,1,1,1,0,0 7,3,1,1,1,1",
    "1 100 129 1 zero 3,1,1,1,0,0 7,3,1,1,1,1",
};

// Every pixel count of a tile, with kernels that make many classes or none.
inline std::vector<std::string> PixelCounts() {
  std::vector<std::string> cases;
  for (int pixels = 1; pixels <= 26; ++pixels) {
    for (const char* outputs : {"20", "70"}) {
      std::ostringstream one, three;
      one << "1 11 " << outputs << " 1 zero " << pixels << ",1,1,1,0,0";
      three << "1 11 " << outputs << " 1 zero " << pixels
            << ",3,1,1,1,1 2,1,1,1,0,0";
      cases.push_back(one.str());
      cases.push_back(three.str());
    }
  }
  return cases;
}

// Throws Error for a text that is no case.
inline p3d::ConvShape Parse(const std::string& text) {
  p3d::ConvShape shape;
  std::istringstream words(text);
  std::string mode, axis_text;
  words >> shape.num >> shape.channels >> shape.num_output >> shape.group >>
      mode;
  shape.pad_mode =
      mode == "replicate" ? p3d::PadMode::kReplicate : p3d::PadMode::kZero;
  while (words >> axis_text) {
    p3d::ConvAxis axis;
    std::istringstream numbers(axis_text);
    char comma;
    numbers >> axis.in >> comma >> axis.kernel >> comma >> axis.stride >>
        comma >> axis.dilation >> comma >> axis.pad_begin >> comma >>
        axis.pad_end;
    p3d::Check(!numbers.fail() && (mode == "zero" || mode == "replicate"),
               "Cannot read the case '", text, "'.");
    shape.axes.push_back(axis);
  }
  return shape;
}

// Integers from -limit to limit, times `unit`.
inline void Fill(float* data, int64_t count, int limit, float unit,
                 uint32_t seed) {
  std::minstd_rand random(1701 + seed);
  for (int64_t i = 0; i < count; ++i) {
    data[i] = unit * (static_cast<int>(random() >> 8) % (limit + 1) *
                      (random() >> 8 & 1 ? 1 : -1));
  }
}

// What a program is to test: [--quick] [--isa NAME] ["case"...]
struct Selection {
  Selection(int argc, char** argv)
      : quick(HasFlag(argc, argv, "--quick")), isas(p3d::SupportedIsas()) {
    for (int i = 1; i < argc; ++i) {
      const std::string word = argv[i];
      if (word == "--isa" && i + 1 < argc) {
        isas = {p3d::ParseIsa(argv[++i])};
      } else if (word != "--quick") {
        cases.push_back(word);
      }
    }
  }
  bool quick;
  std::vector<p3d::Isa> isas;
  std::vector<std::string> cases;
};

}  // namespace testing

#endif  // P3D_TESTS_KERNELS_CONV_CASES_HPP_
