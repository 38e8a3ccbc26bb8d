// The kernels of crop.cu against those of crop.cpp; see device.hpp for what
// this tests where.
//
//   test_cuda_crop ["in offset size in offset size ..."]

#include <cstdint>
#include <cstring>
#include <sstream>
#include <string>
#include <vector>

#include "device.hpp"
#include "kernels/crop.hpp"
#include "kernels/crop_cuda.hpp"
#include "testing.hpp"

namespace {

using p3d::CropAxis;
using testing::Device;
using testing::Expect;

// Blobs in both orders; axes that are not cut, of one value, of none.
const char* const kCases[] = {"1 0 1",
                              "7 2 3",
                              "300 0 300",
                              "2 0 2 3 0 3 5 1 3 7 4 2",
                              "2 0 2 5 1 3 7 4 2 3 0 3",
                              "3 0 3 2 0 2 4 1 2 9 0 5 6 3 3",
                              "2 1 1 3 1 2 1 0 1 5 2 2 1 0 1 4 0 3",
                              "2 0 2 3 0 0 5 1 3",
                              "0 0 0 3 1 2",
                              "2 0 1 3 0 2 3 1 2 3 1 1 3 0 2 257 100 129"};

std::vector<CropAxis> Parse(const std::string& text) {
  std::istringstream stream(text);
  std::vector<CropAxis> axes;
  CropAxis axis;
  while (stream >> axis.in >> axis.offset >> axis.size) axes.push_back(axis);
  return axes;
}

template <typename Value>
std::vector<Value> Numbers(int64_t count) {
  std::vector<Value> values;
  for (int64_t i = 0; i < count; ++i)
    values.push_back(static_cast<float>(i % 251 - 125));
  return values;
}

template <typename Value>
bool Same(const std::vector<Value>& a, const std::vector<Value>& b) {
  return a.size() == b.size() &&
         (a.empty() ||
          std::memcmp(a.data(), b.data(), a.size() * sizeof(Value)) == 0);
}

template <typename Value>
void TestType(const std::string& text) {
  using Wide = p3d::RealOf<Value>;
  const std::vector<CropAxis> axes = Parse(text);
  const std::string where = "test_cuda_crop \"" + text + "\", values of " +
                            std::to_string(8 * sizeof(Value)) + " bits: ";
  int64_t size = 1, whole = 1;
  for (const CropAxis& axis : axes) {
    size *= axis.size;
    whole *= axis.in;
  }
  const Device<Value> from(Numbers<Value>(whole)), block(size), back(whole);
  std::vector<Wide> want(size), filled(whole);
  p3d::Crop(axes, Numbers<Wide>(whole).data(), want.data());
  p3d::cuda::Crop(nullptr, axes, from.get(), block.get());
  Expect(Same(block.values(), std::vector<Value>(want.begin(), want.end())),
         where + "Crop");

  p3d::Uncrop(axes, want.data(), filled.data());
  p3d::cuda::Uncrop(nullptr, axes, block.get(), back.get());
  Expect(Same(back.values(), std::vector<Value>(filled.begin(), filled.end())),
         where + "Uncrop");
}

// That it says nothing else is for the host's kernels to show.
void TestMerged() {
  const auto text = [](const std::string& axes) {
    std::string merged;
    for (const CropAxis& axis : p3d::Merged(Parse(axes))) {
      merged += std::to_string(axis.in) + " " + std::to_string(axis.offset) +
                " " + std::to_string(axis.size) + "; ";
    }
    return merged;
  };
  Expect(text("2 0 2 3 0 3 5 1 3 7 0 7") == "6 0 6; 35 7 21; ",
         "test_cuda_crop: what is not cut is part of the axis around it");
  Expect(text("1 0 1 1 0 1 5 1 3") == "5 1 3; ",
         "test_cuda_crop: axes of one value are part of the next one");
  Expect(text("") == "1 0 1; ", "test_cuda_crop: a number is one value");
}

}  // namespace

int main(int argc, char** argv) {
  testing::RunCases(argc, argv, kCases,
                    {TestType<float>, TestType<double>, TestType<p3d::Bf16>,
                     TestType<p3d::Fp16>});
  TestMerged();
  testing::ExpectError(
      [] {
        const std::vector<CropAxis> axes(7, CropAxis{3, 1, 1});
        p3d::cuda::Crop<float>(nullptr, axes, nullptr, nullptr);
      },
      "up to 6 axes, not 7", "test_cuda_crop: 7 axes");
  return testing::Finish();
}
