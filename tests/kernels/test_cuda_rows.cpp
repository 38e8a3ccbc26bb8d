// The kernels of gather_rows.cu, embed.cu and reduction.cu against those of the
// .cpp beside each; see device.hpp for what this tests where.
//
//   test_cuda_rows ["rows width"]

#include <cstdint>
#include <sstream>
#include <string>
#include <vector>

#include "device.hpp"
#include "kernels/affine_cuda.hpp"
#include "kernels/embed.hpp"
#include "kernels/embed_cuda.hpp"
#include "kernels/gather_rows.hpp"
#include "kernels/gather_rows_cuda.hpp"
#include "kernels/reduction.hpp"
#include "kernels/reduction_cuda.hpp"
#include "near.hpp"
#include "testing.hpp"

namespace {

using p3d::RealOf;
using p3d::Reduction;
using p3d::RowIndex;
using testing::Device;
using testing::Expect;
using testing::ExpectNear;
using testing::ExpectSame;
using testing::Gaussian;
using testing::Real;

const char* const kCases[] = {"1 1",  "1 5",   "3 7",  "17 24", "2 900",
                              "70 1", "300 3", "5 48", "1 9000"};

// Places of `rows` rows: some more than once, some not at all.
template <typename Dtype>
std::vector<Dtype> Places(int64_t rows, int64_t count) {
  std::vector<Dtype> places;
  for (int64_t j = 0; j < count; ++j)
    places.push_back(static_cast<Dtype>(j * j % 7 % rows + 0.25));
  return places;
}

template <typename Value>
void TestGather(const std::string& where, int64_t rows, int64_t width) {
  using Dtype = RealOf<Value>;
  const int64_t count = 2 * rows + 3;
  const auto places = Places<Dtype>(rows, count);
  const std::vector<int64_t> index(places.begin(), places.end());
  const auto x = Gaussian<Value>(1, rows * width);
  const auto dy = Gaussian<Value>(2, count * width);
  std::vector<Dtype> want(count * width), gradient(rows * width);
  const Device<Dtype> d_places(places);
  const Device<Value> d_x(x), d_dy(dy), y(count * width), dx(rows * width);
  const Device<int64_t> scratch(rows + count);
  const RowIndex<Dtype> on_device = {d_places.get(), rows};
  p3d::GatherRows(index, width, Real(x).data(), want.data());
  p3d::cuda::GatherRows(nullptr, on_device, count, width, d_x.get(), y.get());
  ExpectSame(y.values(), want, where + "GatherRows");

  p3d::GatherRowsBackward(index, rows, width, Real(dy).data(), gradient.data());
  p3d::cuda::GatherRowsBackward(nullptr, on_device, count, width, d_dy.get(),
                                scratch.get(), dx.get());
  ExpectSame(dx.values(), gradient, where + "GatherRowsBackward");
}

template <typename Value>
void TestTile(const std::string& where, int64_t rows, int64_t width) {
  using Dtype = RealOf<Value>;
  for (int64_t tiles : {1, 2, 5}) {
    const std::string tiled = where + std::to_string(tiles) + " tiles, ";
    const auto x = Gaussian<Value>(1, rows * width);
    const auto dy = Gaussian<Value>(2, rows * tiles * width);
    std::vector<Dtype> want(dy.size()), gradient(x.size());
    const Device<Value> d_x(x), d_dy(dy), y(dy.size()), dx(x.size());
    p3d::TileRows(rows, tiles, width, Real(x).data(), want.data());
    p3d::cuda::TileRows(nullptr, rows, tiles, width, d_x.get(), y.get());
    ExpectSame(y.values(), want, tiled + "TileRows");

    p3d::TileRowsBackward(rows, tiles, width, Real(dy).data(), gradient.data());
    p3d::cuda::TileRowsBackward(nullptr, rows, tiles, width, d_dy.get(),
                                dx.get());
    ExpectSame(dx.values(), gradient, tiled + "TileRowsBackward");
  }
}

template <typename Value>
void TestEmbed(const std::string& where, int64_t rows, int64_t width) {
  using Dtype = RealOf<Value>;
  const int64_t count = 11;
  const auto places = Places<Dtype>(rows, count);
  const auto table = Gaussian<Dtype>(1, rows * width);
  const auto bias = Gaussian<Dtype>(2, width);
  const auto dy = Gaussian<Value>(3, count * width);
  std::vector<Dtype> want(count * width), gradient = table;
  const Device<Dtype> d_places(places), d_table(table), d_bias(bias);
  const Device<Value> d_dy(dy), y(count * width);
  const Device<int64_t> scratch(rows + count);
  const auto index = p3d::EmbedIndex<Dtype>(d_places.get(), rows);
  for (bool biased : {false, true}) {
    p3d::Embed(count, rows, width, places.data(), table.data(),
               biased ? bias.data() : nullptr, want.data());
    p3d::cuda::Embed(nullptr, index, count, width, d_table.get(),
                     biased ? d_bias.get() : nullptr, y.get());
    ExpectSame(y.values(), want, where + "Embed");
  }
  p3d::EmbedBackward(count, rows, width, places.data(), Real(dy).data(),
                     gradient.data());
  p3d::cuda::EmbedBackward(nullptr, index, count, width, d_dy.get(),
                           scratch.get(), d_table.get());
  ExpectSame(d_table.values(), gradient, where + "EmbedBackward");
}

template <typename Value>
void TestReduction(const std::string& where, int64_t rows, int64_t width) {
  using Dtype = RealOf<Value>;
  const Dtype factor = 0.375;
  const auto x = Gaussian<Value>(1, rows * width);
  const auto dy = Gaussian<Dtype>(2, rows);
  std::vector<Dtype> want(rows), gradient(x.size());
  const Device<Value> d_x(x), dx(x.size());
  const Device<Dtype> d_dy(dy), y(rows);
  const Device<double> scratch(p3d::cuda::SumsScratchSize({1, rows, width}));
  for (Reduction kind :
       {Reduction::kSum, Reduction::kAbsSum, Reduction::kSquareSum}) {
    const std::string what =
        where + "reduction " + std::to_string(static_cast<int>(kind));
    p3d::ReduceRows(kind, rows, width, Real(x).data(), factor, want.data());
    p3d::cuda::ReduceRows(nullptr, kind, rows, width, d_x.get(), factor,
                          scratch.get(), y.get());
    ExpectNear(y.values(), want, what);

    p3d::ReduceRowsBackward(kind, rows, width, Real(x).data(), factor,
                            dy.data(), gradient.data());
    p3d::cuda::ReduceRowsBackward(nullptr, kind, rows, width, d_x.get(), factor,
                                  d_dy.get(), dx.get());
    ExpectSame(dx.values(), gradient, what + ", backward");
  }
}

// Of which there is the first: what the host would throw for.
void TestWrongRows() {
  const auto found = [](const std::vector<float>& values, bool cut_first) {
    const Device<float> places(values);
    const Device<p3d::cuda::WrongRow> wrong(1);
    p3d::cuda::CheckRows<float>(nullptr, {places.get(), 5, cut_first},
                                static_cast<int64_t>(values.size()),
                                wrong.get());
    return wrong.values()[0];
  };
  std::vector<float> values(1000, 4.5f);
  Expect(found(values, false).place == -1, "test_cuda_rows: all rows exist");
  Expect(found({}, false).place == -1, "test_cuda_rows: no index");
  values[999] = -1;
  values[300] = 5;
  Expect(found(values, false).place == 300 && found(values, false).value == 5,
         "test_cuda_rows: the first row that does not exist");
  values[3] = NAN;
  Expect(found(values, true).place == 3, "test_cuda_rows: NaN is no row");
  Expect(found({-0.5f}, false).place == 0, "test_cuda_rows: -0.5 is no row");
  Expect(found({-0.5f}, true).place == -1, "test_cuda_rows: -0.5 is cut off");

  const Device<float> places({1, 9, 0}), x({1, 2}), y(3), dx(2);
  const Device<int64_t> scratch(2 + 3);
  const RowIndex<float> index = {places.get(), 2};
  p3d::cuda::GatherRows(nullptr, index, 3, 1, x.get(), y.get());
  Expect(y.values()[0] == 2 && std::isnan(y.values()[1]) && y.values()[2] == 1,
         "test_cuda_rows: a row that does not exist is NaN");
  y.Set({3, 4, 5});
  p3d::cuda::GatherRowsBackward(nullptr, index, 3, 1, y.get(), scratch.get(),
                                dx.get());
  Expect(dx.values() == std::vector<float>({5, 3}),
         "test_cuda_rows: a row that does not exist has no gradient");
}

template <typename Value>
void TestType(const std::string& text) {
  int64_t rows = 0, width = 0;
  std::istringstream(text) >> rows >> width;
  const std::string where = "test_cuda_rows \"" + text + "\", from value " +
                            std::to_string(testing::FirstValue()) +
                            " on, values of " +
                            std::to_string(8 * sizeof(Value)) + " bits: ";
  TestGather<Value>(where, rows, width);
  TestTile<Value>(where, rows, width);
  TestEmbed<Value>(where, rows, width);
  TestReduction<Value>(where, rows, width);
}

}  // namespace

int main(int argc, char** argv) {
  testing::RunCases(argc, argv, kCases,
                    {TestType<float>, TestType<double>, TestType<p3d::Bf16>,
                     TestType<p3d::Fp16>},
                    {0, 1});
  TestWrongRows();
  return testing::Finish();
}
