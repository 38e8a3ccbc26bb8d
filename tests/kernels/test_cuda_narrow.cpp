// The elementwise kernels for values of 16 bits against those for float: of the
// same values, they give what the kernel for float gives, rounded, to the bit.
// See device.hpp for what this tests where.
//
//   test_cuda_narrow ["num channels pixels"]

#include <algorithm>
#include <cstdint>
#include <memory>
#include <sstream>
#include <string>
#include <type_traits>
#include <vector>

#include "device.hpp"
#include "kernels/affine_cuda.hpp"
#include "kernels/bn_cuda.hpp"
#include "kernels/copy_rows_cuda.hpp"
#include "kernels/eltwise_cuda.hpp"
#include "kernels/epilogue_backward_cuda.hpp"
#include "kernels/narrow_cuda.hpp"
#include "kernels/order_cuda.hpp"
#include "kernels/pointwise_cuda.hpp"
#include "kernels/random.hpp"
#include "kernels/random_cuda.hpp"
#include "testing.hpp"

namespace {

namespace gpu = p3d::cuda;
using p3d::Geometry;
using p3d::Order;
using testing::Device;
using testing::Expect;

const char* const kCases[] = {"1 1 1",   "3 1 5",    "2 3 4",
                              "1 5 70",  "2 16 24",  "1 1 7001",
                              "3 8 900", "1 6400 2", "2 136 200"};

template <typename T>
using Values = std::vector<T>;

template <typename To, typename From>
Values<To> As(const Values<From>& values) {
  return Values<To>(values.begin(), values.end());
}

// Values of 16 bits.
template <typename Value>
Values<Value> Gaussian(uint64_t seed, int64_t count) {
  Values<float> values(count);
  p3d::FillGaussian(seed, 0, 1, count, values.data());
  return As<Value>(values);
}

// What run(T(), arrays) makes of the arrays, whose values are of the kind T.
template <typename T, typename Value, typename Run>
Values<Values<T>> Made(const Values<Values<Value>>& arrays, const Run& run) {
  std::vector<std::unique_ptr<Device<T>>> owners;
  Values<T*> pointers;
  for (const Values<Value>& values : arrays) {
    owners.emplace_back(new Device<T>(As<T>(values)));
    pointers.push_back(owners.back()->get());
  }
  run(T(), pointers);
  Values<Values<T>> made;
  for (const auto& owner : owners) made.push_back(owner->values());
  return made;
}

template <typename Value>
struct Rounding {
  std::string where;
  Values<Values<Value>> arrays;

  template <typename Run>
  void Expect(const std::string& what, const Run& run) const {
    const auto got = Made<Value>(arrays, run);
    const auto exact = Made<float>(arrays, run);
    for (size_t a = 0; a < got.size(); ++a) {
      int64_t wrong = 0;
      for (size_t i = 0; i < got[a].size(); ++i) {
        wrong += got[a][i].bits != Value(exact[a][i]).bits;
      }
      ::Expect(wrong == 0, where + what + ": " + std::to_string(wrong) +
                               " values of array " + std::to_string(a));
    }
  }
};

template <typename Value>
void TestPointwise(const Rounding<Value>& test, int64_t count) {
#define P3D_MAP(Name, ...)                                                \
  test.Expect(#Name, [&](auto kind, const auto& a) {                      \
    gpu::Name<decltype(kind)>(nullptr, a[0], count, ##__VA_ARGS__, a[1]); \
  })
  P3D_MAP(Abs);
  P3D_MAP(Bnll);
  P3D_MAP(Clip, -0.5f, 0.5f);
  P3D_MAP(Elu, 0.5f);
  P3D_MAP(Exp, 0.5f, 2.f);
  P3D_MAP(Log, 2.f, 9.f, 3.f);
  P3D_MAP(Power, 2.f, 0.5f, 1.f);
  P3D_MAP(Relu, 0.f);
  P3D_MAP(Relu, 0.25f);
  P3D_MAP(Sigmoid);
  P3D_MAP(Swish, 2.f);
  P3D_MAP(Tanh);
  P3D_MAP(Threshold, 0.25f);
#undef P3D_MAP
#define P3D_SLOPE(Name, ...)                                             \
  test.Expect(#Name, [&](auto kind, const auto& a) {                     \
    gpu::Name<decltype(kind)>(nullptr, a[0], a[1], count, ##__VA_ARGS__, \
                              a[1]);                                     \
  })
  P3D_SLOPE(AbsBackward);
  P3D_SLOPE(BnllBackward);
  P3D_SLOPE(ClipBackward, -0.5f, 0.5f);
  P3D_SLOPE(ExpBackward, 0.5f);
  P3D_SLOPE(LogBackward, 2.f, 9.f, 3.f);
  P3D_SLOPE(PowerBackward, 2.f, 0.5f, 1.f);
  P3D_SLOPE(ReluBackward, 0.25f);
  P3D_SLOPE(SigmoidBackward);
  P3D_SLOPE(SwishBackward, 2.f);
  P3D_SLOPE(TanhBackward);
#undef P3D_SLOPE
  test.Expect("EluBackward", [&](auto kind, const auto& a) {
    gpu::EluBackward<decltype(kind)>(nullptr, a[0], a[1], a[2], count, 0.5f,
                                     a[2]);
  });
  test.Expect("KeepRandomly", [&](auto kind, const auto& a) {
    gpu::KeepRandomly<decltype(kind)>(nullptr, 1701, 0.75, 4 / 3.0, count, a[0],
                                      a[0]);
  });
}

template <typename Value>
void TestEltwise(const Rounding<Value>& test, int64_t count) {
  test.Expect("EltwiseSum", [&](auto kind, const auto& a) {
    gpu::EltwiseSum<decltype(kind)>(nullptr, {a[0], a[1], a[2]},
                                    {1.f, -0.5f, 3.f}, count, a[1]);
  });
  test.Expect("EltwiseProd", [&](auto kind, const auto& a) {
    gpu::EltwiseProd<decltype(kind)>(nullptr, {a[0], a[1], a[2]}, count, a[1]);
  });
  test.Expect("EltwiseMax", [&](auto kind, const auto& a) {
    gpu::EltwiseMax<decltype(kind)>(nullptr, {a[0], a[1], a[2]}, count, a[1]);
  });
  test.Expect("EltwiseMaxBackward", [&](auto kind, const auto& a) {
    gpu::EltwiseMaxBackward<decltype(kind)>(nullptr, {a[0], a[1]}, 1, a[2],
                                            count, a[2]);
  });
}

// With coefficients per channel.
template <typename Value>
void TestChannels(const Rounding<Value>& test, const Geometry& g, Order order) {
  const auto shape = p3d::Broadcast::Channels(g, order);
  const auto floats = [&](uint64_t seed) {
    return As<float>(Gaussian<Value>(seed, g.channels));
  };
  const Device<float> center(floats(7)), scale(floats(8)), shift(floats(9));
  test.Expect("ScaleShift", [&](auto kind, const auto& a) {
    gpu::ScaleShift<decltype(kind)>(nullptr, shape, center.get(), scale.get(),
                                    shift.get(), a[0], a[1]);
  });
  test.Expect("ScaleShift by a scale", [&](auto kind, const auto& a) {
    gpu::ScaleShift<decltype(kind)>(nullptr, shape, nullptr, scale.get(),
                                    nullptr, a[0], a[0]);
  });
  test.Expect("Prelu", [&](auto kind, const auto& a) {
    gpu::Prelu<decltype(kind)>(nullptr, g, order, a[0], scale.get(), a[1]);
  });
  test.Expect("PreluBackward", [&](auto kind, const auto& a) {
    gpu::PreluBackward<decltype(kind)>(nullptr, g, order, a[0], scale.get(),
                                       a[1], nullptr, nullptr, a[1]);
  });

  const Device<double> scratch(gpu::BnScratchSize(g, order)), mean(g.channels),
      variance(g.channels), deviation(Values<double>(g.channels, 0.75));
  test.Expect("BN", [&](auto kind, const auto& a) {
    using T = decltype(kind);
    gpu::ChannelStatistics<T>(nullptr, g, order, a[0], scratch.get(),
                              mean.get(), variance.get());
    gpu::Normalize<T>(nullptr, g, order, mean.get(), deviation.get(),
                      scale.get(), shift.get(), a[0], scratch.get(), a[2]);
    gpu::NormalizeBackward<T>(nullptr, g, order, mean.get(), deviation.get(),
                              scale.get(), a[0], a[1], scratch.get(), nullptr,
                              nullptr, a[0]);
    gpu::NormalizeBackwardFrozen<T>(nullptr, g, order, deviation.get(),
                                    scale.get(), a[1], scratch.get(), a[1]);
  });

  Values<Values<float>> sums;
  test.Expect("sums over channels", [&](auto kind, const auto& a) {
    using T = decltype(kind);
    const Device<float> made(Values<float>(5 * g.channels, 0));
    float* const to = made.get();
    gpu::ScaleShiftGradients<T>(nullptr, shape, a[0], a[1], scratch.get(), to,
                                to + g.channels);
    gpu::PreluBackward<T>(nullptr, g, order, a[0], scale.get(), a[1],
                          scratch.get(), to + 2 * g.channels, a[2]);
    gpu::NormalizeBackward<T>(
        nullptr, g, order, mean.get(), deviation.get(), scale.get(), a[0], a[1],
        scratch.get(), to + 3 * g.channels, to + 4 * g.channels, nullptr);
    sums.push_back(made.values());
  });
  Expect(sums[0] == sums[1], test.where + "sums over channels");
}

// Of which the channels are outputs.
template <typename Value>
void TestScaleWeights(const Rounding<Value>& test, const Geometry& g) {
  const int64_t terms = g.num * g.pixels;
  Values<float> values(g.channels);
  p3d::FillGaussian(8, 0, 1, g.channels, values.data());
  const Device<float> scale(values), shift(values);
  test.Expect("ScaleWeights", [&](auto kind, const auto& a) {
    gpu::ScaleWeights<decltype(kind)>(nullptr, g.channels, terms, scale.get(),
                                      shift.get(), a[0], a[1], a[2]);
  });
  test.Expect("ScaleWeights alone", [&](auto kind, const auto& a) {
    gpu::ScaleWeights<decltype(kind)>(nullptr, g.channels, terms, scale.get(),
                                      nullptr, a[0], a[0], nullptr);
  });
  const Values<Values<float>> made =
      Made<float>(test.arrays, [&](float, const auto& a) {
        gpu::ScaleWeights<float>(nullptr, g.channels, terms, scale.get(),
                                 shift.get(), a[0], a[1], a[2]);
      });
  Values<float> scaled = made[0], shifted = As<float>(test.arrays[2]);
  for (int64_t i = 0; i < g.count(); ++i) scaled[i] *= values[i / terms];
  std::copy(values.begin(), values.end(), shifted.begin());
  Expect(made[1] == scaled && made[2] == shifted,
         test.where + "ScaleWeights of floats");
}

// Half of the channels, into the other half.
template <typename Value>
void TestCopyRows(const Rounding<Value>& test, const Geometry& g) {
  const int64_t half = g.channels / 2;
  test.Expect("CopyRows", [&](auto kind, const auto& a) {
    using T = decltype(kind);
    gpu::CopyRows<T>(nullptr, g.num * g.pixels, g.channels - half,
                     p3d::Rows<const T>{a[0], g.channels},
                     p3d::Rows<T>{a[1] + half, g.channels});
  });
}

template <typename Value>
void TestEpilogueBackward(const Rounding<Value>& test, const Geometry& g) {
  const Device<float> scale(As<float>(Gaussian<Value>(7, g.channels)));
  for (bool add : {false, true}) {
    test.Expect("EpilogueBackward", [&](auto kind, const auto& a) {
      using T = decltype(kind);
      p3d::Epilogue<T> epilogue;
      epilogue.scale = scale.get();
      epilogue.outer_relu = true;
      epilogue.residual = a[0];
      epilogue.alpha = 0.75f;
      epilogue.beta = -0.5f;
      gpu::EpilogueBackward<T>(nullptr, epilogue, g.num * g.pixels, g.channels,
                               a[0], a[1], a[2], add);
    });
  }
}

template <typename Value>
void TestConversions(const std::string& where, int64_t count) {
  const Values<Value> values = Gaussian<Value>(1, count);
  const Device<Value> from(values), back(count);
  const Device<float> wide(count);
  gpu::Widen(nullptr, from.get(), count, wide.get());
  Expect(wide.values() == As<float>(values), where + "Widen");
  gpu::Narrow(nullptr, wide.get(), count, back.get());
  Expect(As<float>(back.values()) == As<float>(values), where + "Narrow");
}

// Of floats with more digits, which are rounded on the way.
template <typename Value>
void TestToChannelsLast(const std::string& where, const Geometry& g) {
  Values<float> values(g.count()), last(g.count());
  p3d::FillGaussian(1, 0, 1, g.count(), values.data());
  p3d::ToChannelsLast(g, values.data(), last.data());
  const Device<float> from(values);
  const Device<Value> to(g.count());
  gpu::ToChannelsLast(nullptr, g, from.get(), to.get());
  Expect(As<float>(to.values()) == As<float>(As<Value>(last)),
         where + "ToChannelsLast");
}

template <typename Value>
void TestType(const std::string& text) {
  Geometry g;
  std::istringstream(text) >> g.num >> g.channels >> g.pixels;
  Rounding<Value> test;
  test.where = "test_cuda_narrow \"" + text + "\", from value " +
               std::to_string(testing::FirstValue()) + " on, " +
               (std::is_same<Value, p3d::Bf16>::value ? "bf16: " : "fp16: ");
  for (uint64_t seed : {1, 2, 3}) {
    test.arrays.push_back(Gaussian<Value>(seed, g.count()));
  }
  TestPointwise(test, g.count());
  TestEltwise(test, g.count());
  TestChannels(test, g, Order::kCaffe);
  TestChannels(test, g, Order::kChannelsLast);
  TestScaleWeights(test, g);
  TestCopyRows(test, g);
  TestEpilogueBackward(test, g);
  TestConversions<Value>(test.where, g.count());
  TestToChannelsLast<Value>(test.where, g);
}

}  // namespace

int main(int argc, char** argv) {
  testing::RunCases(argc, argv, kCases,
                    {TestType<p3d::Bf16>, TestType<p3d::Fp16>}, {0, 1});
  return testing::Finish();
}
