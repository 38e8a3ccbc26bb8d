#include <algorithm>
#include <cfenv>
#include <cmath>
#include <limits>
#include <type_traits>

#include "kernels/narrow.hpp"
#include "table.hpp"

namespace ptx {
namespace {

using p3d::detail::BitsOf;
using p3d::detail::FloatOf;

// Rounded as the mode says while this lives.
class Rounding {
 public:
  explicit Rounding(int mode) : old_(std::fegetround()) {
    std::fesetround(mode);
  }
  ~Rounding() { std::fesetround(old_); }

 private:
  const int old_;
};

template <int mode>
float AddRounded(float a, float b) {
  const Rounding rounding(mode);
  volatile float x = a, y = b;
  return x + y;
}

template <int mode>
float FmaRounded(float a, float b, float c) {
  const Rounding rounding(mode);
  volatile float x = a, y = b, z = c;
  return std::fma(x, y, z);
}

// To an integer, and what does not fit to the nearest that does. NaN to 0 where
// both have 32 bits, else to the least.
template <typename Integer, typename Float>
Integer Saturated(Float value) {
  if (std::isnan(value)) {
    return sizeof(Integer) == 4 && sizeof(Float) == 4
               ? 0
               : std::numeric_limits<Integer>::min();
  }
  const Float least = static_cast<Float>(std::numeric_limits<Integer>::min());
  if (value <= least) return std::numeric_limits<Integer>::min();
  if (value >= -least) return std::numeric_limits<Integer>::max();
  return static_cast<Integer>(value);
}

// To 11 binary digits, of two as near to the larger one.
uint32_t RoundedToTf32(float value) {
  const uint32_t bits = BitsOf(value);
  return std::isfinite(value) ? (bits + 0x1000) & ~0x1fffu : bits;
}

float Flushed(float value) {
  return std::fabs(value) < std::numeric_limits<float>::min()
             ? std::copysign(0.f, value)
             : value;
}

template <typename T>
void AddComparisons(const std::string& type, Table* table) {
  const auto add = [&](const std::string& name, auto f) {
    table->Add("setp." + name + "." + type, Each<uint8_t, T, T>::Of(f));
  };
  add("eq", [](T a, T b) { return a == b; });
  add("lt", [](T a, T b) { return a < b; });
  add("le", [](T a, T b) { return a <= b; });
  add("gt", [](T a, T b) { return a > b; });
  add("ge", [](T a, T b) { return a >= b; });
  if (std::is_integral<T>::value) {
    add("ne", [](T a, T b) { return a != b; });
    return;
  }
  add("ne", [](T a, T b) { return a < b || a > b; });
  add("equ", [](T a, T b) { return !(a < b || a > b); });
  add("neu", [](T a, T b) { return !(a == b); });
  add("ltu", [](T a, T b) { return !(a >= b); });
  add("leu", [](T a, T b) { return !(a > b); });
  add("gtu", [](T a, T b) { return !(a <= b); });
  add("geu", [](T a, T b) { return !(a < b); });
  add("num", [](T a, T b) { return a == a && b == b; });
  add("nan", [](T a, T b) { return a != a || b != b; });
}

// What all types have.
template <typename T>
void AddMoves(const std::string& type, Table* table) {
  table->Add("mov." + type, Each<T, T>::Of([](T a) { return a; }));
  table->Add("selp." + type,
             Each<T, T, T, uint8_t>::Of(
                 [](T a, T b, uint8_t p) { return p ? a : b; }));
}

template <typename T>
T InsertBits(T from, T into, uint32_t at, uint32_t count) {
  at &= 255;
  count &= 255;
  if (at >= 8 * sizeof(T) || count == 0) return into;
  const T mask = (count >= 8 * sizeof(T) ? ~T{0} : (T{1} << count) - 1) << at;
  return (into & ~mask) | ((from << at) & mask);
}

template <typename T>
void AddBits(const std::string& bits, Table* table) {
  constexpr uint32_t kBits = 8 * sizeof(T);
  using Signed = std::make_signed_t<T>;
  const std::string type = "b" + bits;
  AddMoves<T>(type, table);
  table->Add("and." + type, Each<T, T, T>::Of([](T a, T b) { return a & b; }));
  table->Add("or." + type, Each<T, T, T>::Of([](T a, T b) { return a | b; }));
  table->Add("xor." + type, Each<T, T, T>::Of([](T a, T b) { return a ^ b; }));
  table->Add("not." + type, Each<T, T>::Of([](T a) { return ~a; }));
  table->Add("setp.eq." + type,
             Each<uint8_t, T, T>::Of([](T a, T b) { return a == b; }));
  table->Add("setp.ne." + type,
             Each<uint8_t, T, T>::Of([](T a, T b) { return a != b; }));
  const auto left = [](T a, uint32_t n) {
    return n < kBits ? static_cast<T>(a << n) : T{0};
  };
  const auto right = [](T a, uint32_t n) {
    return n < kBits ? static_cast<T>(a >> n) : T{0};
  };
  table->Add("shl." + type, Each<T, T, uint32_t>::Of(left));
  table->Add("shr." + type, Each<T, T, uint32_t>::Of(right));
  table->Add("shr.u" + bits, Each<T, T, uint32_t>::Of(right));
  table->Add("shr.s" + bits,
             Each<Signed, Signed, uint32_t>::Of([](Signed a, uint32_t n) {
               return a >> std::min(n, kBits - 1);
             }));
  table->Add("bfi." + type, Each<T, T, T, uint32_t, uint32_t>::Of(
                                [](T a, T b, uint32_t at, uint32_t count) {
                                  return InsertBits(a, b, at, count);
                                }));
}

void AddPredicates(Table* table) {
  using P = uint8_t;
  table->Add("mov.pred", Each<P, P>::Of([](P a) { return a != 0; }));
  table->Add("and.pred", Each<P, P, P>::Of([](P a, P b) { return a & b; }));
  table->Add("or.pred", Each<P, P, P>::Of([](P a, P b) { return a | b; }));
  table->Add("xor.pred", Each<P, P, P>::Of([](P a, P b) { return a ^ b; }));
  table->Add("not.pred", Each<P, P>::Of([](P a) { return !a; }));
}

// T is signed for .s. By 0 it divides as GPUs do: all ones.
template <typename T>
void AddIntegers(const std::string& type, Table* table) {
  using U = std::make_unsigned_t<T>;
  const auto add = [&](const std::string& name, const Operation& operation) {
    table->Add(name + "." + type, operation);
  };
  AddMoves<T>(type, table);
  AddComparisons<T>(type, table);
  add("add", Each<U, U, U>::Of([](U a, U b) { return a + b; }));
  add("sub", Each<U, U, U>::Of([](U a, U b) { return a - b; }));
  add("neg", Each<U, U>::Of([](U a) { return U{0} - a; }));
  add("mul.lo",
      Each<U, U, U>::Of([](U a, U b) { return uint64_t{a} * uint64_t{b}; }));
  add("mad.lo", Each<U, U, U, U>::Of([](U a, U b, U c) {
        return uint64_t{a} * uint64_t{b} + c;
      }));
  add("mul.hi", Each<T, T, T>::Of([](T a, T b) {
        using Wide = std::conditional_t<std::is_signed<T>::value, __int128,
                                        unsigned __int128>;
        return Wide{a} * b >> 8 * sizeof(T);
      }));
  add("div", Each<T, T, T>::Of([](T a, T b) {
        if (b == 0) return static_cast<T>(~T{0});
        const bool negates = std::is_signed<T>::value && b == T(-1);
        return negates ? static_cast<T>(U{0} - static_cast<U>(a))
                       : static_cast<T>(a / b);
      }));
  add("rem", Each<T, T, T>::Of([](T a, T b) {
        if (b == 0) return a;
        const bool whole = std::is_signed<T>::value && b == T(-1);
        return whole ? T{0} : static_cast<T>(a % b);
      }));
  add("min", Each<T, T, T>::Of([](T a, T b) { return std::min(a, b); }));
  add("max", Each<T, T, T>::Of([](T a, T b) { return std::max(a, b); }));
}

// Of a number and NaN the number; -0 is less than +0.
template <typename T>
T Least(T a, T b) {
  if (a == b) return std::signbit(a) ? a : b;
  return std::fmin(a, b);
}

// Of two values side by side.
template <typename Value>
struct LargerTwo {
  uint32_t operator()(uint32_t a, uint32_t b) const {
    uint32_t larger = 0;
    for (int shift : {0, 16}) {
      Value first, second;
      first.bits = static_cast<uint16_t>(a >> shift);
      second.bits = static_cast<uint16_t>(b >> shift);
      const Value value = -Least<float>(-first, -second);
      larger |= static_cast<uint32_t>(value.bits) << shift;
    }
    return larger;
  }
};

template <typename T, typename Wide>
void AddWide(const std::string& type, Table* table) {
  table->Add("mul.wide." + type,
             Each<Wide, T, T>::Of([](T a, T b) { return Wide{a} * b; }));
  table->Add("mad.wide." + type,
             Each<Wide, T, T, Wide>::Of(
                 [](T a, T b, Wide c) { return Wide{a} * b + c; }));
}

template <typename T>
void AddFloats(const std::string& type, Table* table) {
  AddMoves<T>(type, table);
  AddComparisons<T>(type, table);
  const auto add = [&](const std::string& name, const Operation& operation) {
    table->Add(name + "." + type, operation);
    table->Add(name + ".rn." + type, operation);
  };
  add("add", Each<T, T, T>::Of([](T a, T b) { return a + b; }));
  add("sub", Each<T, T, T>::Of([](T a, T b) { return a - b; }));
  add("mul", Each<T, T, T>::Of([](T a, T b) { return a * b; }));
  add("div", Each<T, T, T>::Of([](T a, T b) { return a / b; }));
  add("rcp", Each<T, T>::Of([](T a) { return 1 / a; }));
  add("sqrt", Each<T, T>::Of([](T a) { return std::sqrt(a); }));
  add("fma",
      Each<T, T, T, T>::Of([](T a, T b, T c) { return std::fma(a, b, c); }));
  add("neg", Each<T, T>::Of([](T a) { return -a; }));
  add("abs", Each<T, T>::Of([](T a) { return std::fabs(a); }));
  add("min", Each<T, T, T>::Of([](T a, T b) { return Least(a, b); }));
  add("max", Each<T, T, T>::Of([](T a, T b) { return -Least(-a, -b); }));
  // The sign is that of the first operand.
  add("copysign",
      Each<T, T, T>::Of([](T a, T b) { return std::copysign(b, a); }));
  const auto round = [&](const std::string& name, const Operation& operation) {
    table->Add("cvt." + name + "." + type + "." + type, operation);
  };
  round("rni", Each<T, T>::Of([](T a) { return std::nearbyint(a); }));
  round("rzi", Each<T, T>::Of([](T a) { return std::trunc(a); }));
  round("rmi", Each<T, T>::Of([](T a) { return std::floor(a); }));
  round("rpi", Each<T, T>::Of([](T a) { return std::ceil(a); }));
  round("sat",
        Each<T, T>::Of([](T a) { return a > 0 ? std::fmin(a, T{1}) : T{0}; }));
  const auto to = [&](const std::string& name, const Operation& operation) {
    table->Add("cvt.rzi." + name + "." + type, operation);
  };
  to("s32", Each<int32_t, T>::Of([](T a) { return Saturated<int32_t>(a); }));
  to("s64", Each<int64_t, T>::Of([](T a) { return Saturated<int64_t>(a); }));
  const auto from = [&](const std::string& name, const Operation& operation) {
    table->Add("cvt.rn." + type + "." + name, operation);
  };
  from("u16", Each<T, uint16_t>::Of([](uint16_t a) { return a; }));
  from("s32", Each<T, int32_t>::Of([](int32_t a) { return a; }));
  from("u32", Each<T, uint32_t>::Of([](uint32_t a) { return a; }));
  from("s64", Each<T, int64_t>::Of([](int64_t a) { return a; }));
  from("u64", Each<T, uint64_t>::Of([](uint64_t a) { return a; }));
}

template <typename D, typename S>
void AddConversion(const std::string& name, Table* table) {
  table->Add("cvt." + name, Each<D, S>::Of([](S a) { return a; }));
}

void AddConversions(Table* table) {
  AddConversion<uint16_t, uint32_t>("u16.u32", table);
  AddConversion<uint16_t, uint64_t>("u16.u64", table);
  AddConversion<uint32_t, uint16_t>("u32.u16", table);
  AddConversion<int32_t, int16_t>("s32.s16", table);
  AddConversion<uint32_t, uint64_t>("u32.u64", table);
  AddConversion<uint64_t, uint16_t>("u64.u16", table);
  AddConversion<uint64_t, uint32_t>("u64.u32", table);
  AddConversion<int64_t, int32_t>("s64.s32", table);
  // Of the low half of a register.
  table->Add("cvt.s64.s32", Each<int64_t, int64_t>::Of([](int64_t a) {
               return static_cast<int32_t>(a);
             }));
  AddConversion<double, float>("f64.f32", table);
  AddConversion<float, double>("rn.f32.f64", table);
  table->Add("cvt.f32.f16", Each<float, uint16_t>::Of([](uint16_t a) {
               return p3d::detail::FromFp16(a);
             }));
  table->Add("cvt.rn.f16.f32", Each<uint16_t, float>::Of([](float a) {
               return p3d::detail::ToFp16(a);
             }));
  table->Add("cvt.rn.bf16.f32", Each<uint16_t, float>::Of([](float a) {
               return p3d::detail::ToBf16(a);
             }));
  // Two, the first one into the upper half.
  table->Add("cvt.rn.f16x2.f32",
             Each<uint32_t, float, float>::Of([](float a, float b) {
               return uint32_t{p3d::detail::ToFp16(a)} << 16 |
                      p3d::detail::ToFp16(b);
             }));
  table->Add("cvt.rn.bf16x2.f32",
             Each<uint32_t, float, float>::Of([](float a, float b) {
               return uint32_t{p3d::detail::ToBf16(a)} << 16 |
                      p3d::detail::ToBf16(b);
             }));
  table->Add("max.NaN.f32", Each<float, float, float>::Of([](float a, float b) {
               return std::isnan(a) || std::isnan(b) ? FloatOf(0x7fffffff)
                                                     : -Least(-a, -b);
             }));
  table->Add("max.f16x2",
             Each<uint32_t, uint32_t, uint32_t>::Of(LargerTwo<p3d::Fp16>()));
  table->Add("max.bf16x2",
             Each<uint32_t, uint32_t, uint32_t>::Of(LargerTwo<p3d::Bf16>()));
  table->Add("cvt.rna.tf32.f32", Each<uint32_t, float>::Of(
                                     [](float a) { return RoundedToTf32(a); }));
}

// On a GPU they are off by some units of the last digit.
void AddApproximations(Table* table) {
  using F = float;
  const auto flushed = [&](const std::string& name, const Operation& as_is,
                           const Operation& flushed) {
    table->Add(name + ".approx.f32", as_is);
    table->Add(name + ".approx.ftz.f32", flushed);
  };
  flushed("ex2", Each<F, F>::Of([](F a) { return std::exp2(a); }),
          Each<F, F>::Of([](F a) { return Flushed(std::exp2(Flushed(a))); }));
  flushed("lg2", Each<F, F>::Of([](F a) { return std::log2(a); }),
          Each<F, F>::Of([](F a) { return std::log2(Flushed(a)); }));
  flushed("rcp", Each<F, F>::Of([](F a) { return 1 / a; }),
          Each<F, F>::Of([](F a) { return Flushed(1 / Flushed(a)); }));
  table->Add("rcp.approx.ftz.f64",
             Each<double, double>::Of([](double a) { return 1 / a; }));
  table->Add("add.rz.f32", Each<F, F, F>::Of([](F a, F b) {
               return AddRounded<FE_TOWARDZERO>(a, b);
             }));
  table->Add("fma.rm.f32", Each<F, F, F, F>::Of([](F a, F b, F c) {
               return FmaRounded<FE_DOWNWARD>(a, b, c);
             }));
}

// "mov.b64 {%r1, %r2}, %rd3;", the low half first, and back.
template <typename Whole, typename Half>
void AddHalves(const std::string& type, Table* table) {
  constexpr int kBits = 8 * sizeof(Half);
  table->Add("mov." + type, Each<Whole, Half, Half>::Of([](Half a, Half b) {
               return static_cast<Whole>(static_cast<Whole>(b) << kBits | a);
             }));
  const auto part = [](const Instruction& instruction, Warp* warp,
                       uint32_t mask) {
    const Whole* from = warp->At<Whole>(instruction.at[2]);
    Half* low = warp->At<Half>(instruction.at[0]);
    Half* high = warp->At<Half>(instruction.at[1]);
    ForLanes(mask, [&](int lane) {
      low[lane] = static_cast<Half>(from[lane]);
      high[lane] = static_cast<Half>(from[lane] >> kBits);
    });
  };
  table->Add("mov." + type,
             {part, {sizeof(Half), sizeof(Half), sizeof(Whole)}});
}

}  // namespace

void AddArithmetic(Table* table) {
  AddBits<uint16_t>("16", table);
  AddBits<uint32_t>("32", table);
  AddBits<uint64_t>("64", table);
  AddPredicates(table);
  AddIntegers<uint16_t>("u16", table);
  AddIntegers<int16_t>("s16", table);
  AddIntegers<uint32_t>("u32", table);
  AddIntegers<int32_t>("s32", table);
  AddIntegers<uint64_t>("u64", table);
  AddIntegers<int64_t>("s64", table);
  AddWide<uint16_t, uint32_t>("u16", table);
  AddWide<int16_t, int32_t>("s16", table);
  AddWide<uint32_t, uint64_t>("u32", table);
  AddWide<int32_t, int64_t>("s32", table);
  AddFloats<float>("f32", table);
  AddFloats<double>("f64", table);
  AddConversions(table);
  AddApproximations(table);
  AddHalves<uint64_t, uint32_t>("b64", table);
  AddHalves<uint32_t, uint16_t>("b32", table);
  // All of global memory's addresses are those of the generic space.
  table->Add("cvta.to.global.u64",
             Each<uint64_t, uint64_t>::Of([](uint64_t a) { return a; }));
}

}  // namespace ptx
