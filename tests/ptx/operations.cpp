#include "operations.hpp"

#include <algorithm>
#include <cfenv>
#include <cmath>
#include <cstring>
#include <functional>
#include <limits>
#include <map>
#include <tuple>
#include <type_traits>
#include <utility>

#include "block.hpp"
#include "kernels/narrow.hpp"

namespace ptx {
namespace {

struct Operation {
  Handler run;
  std::vector<int> widths;  // of its operands, in bytes
  Flow flow = Flow::kNext;
};

// Of one name there may be several, for operands of several widths.
class Table {
 public:
  void Add(const std::string& name, const Operation& operation) {
    operations_.emplace(name, operation);
  }
  void AddRounded(const std::string& name, const std::string& type,
                  const Operation& operation) {
    Add(name + "." + type, operation);
    Add(name + ".rn." + type, operation);
  }
  const Operation* Find(const std::string& name,
                        const std::vector<int>& widths) const {
    const auto named = operations_.equal_range(name);
    for (auto found = named.first; found != named.second; ++found) {
      if (found->second.widths == widths) return &found->second;
    }
    return nullptr;
  }

 private:
  std::multimap<std::string, Operation> operations_;
};

template <typename Body>
void ForLanes(uint32_t mask, const Body& body) {
  if (mask == ~0u) {
    for (int lane = 0; lane < kLanes; ++lane) body(lane);
  } else {
    for (; mask; mask &= mask - 1) body(__builtin_ctz(mask));
  }
}

// D d = f(S...) for every lane.
template <typename D, typename... S>
struct Each {
  template <typename F, size_t... i>
  static void Run(const Instruction& instruction, Warp* warp, uint32_t mask,
                  std::index_sequence<i...>) {
    const std::tuple<const S*...> sources(
        warp->At<S>(instruction.at[i + 1])...);
    D* const to = warp->At<D>(instruction.at[0]);
    ForLanes(mask, [&](int lane) {
      to[lane] = static_cast<D>(F()(std::get<i>(sources)[lane]...));
    });
  }

  template <typename F>
  static Operation Of(F) {
    return {[](const Instruction& instruction, Warp* warp, uint32_t mask) {
              Run<F>(instruction, warp, mask,
                     std::make_index_sequence<sizeof...(S)>());
            },
            {sizeof(D), sizeof(S)...}};
  }
};

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

// To an integer, and what does not fit to the nearest that does, NaN to 0.
template <typename Integer, typename Float>
Integer Saturated(Float value) {
  if (std::isnan(value)) return 0;
  const Float least = static_cast<Float>(std::numeric_limits<Integer>::min());
  if (value <= least) return std::numeric_limits<Integer>::min();
  if (value >= -least) return std::numeric_limits<Integer>::max();
  return static_cast<Integer>(value);
}

float FloatOf(uint32_t bits) {
  float value;
  std::memcpy(&value, &bits, 4);
  return value;
}

uint32_t BitsOf(float value) {
  uint32_t bits;
  std::memcpy(&bits, &value, 4);
  return bits;
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
  table->Add("mov.pred", Each<P, P>::Of([](P a) { return a; }));
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
        return static_cast<__int128>(a) * b >> 8 * sizeof(T);
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
    table->AddRounded(name, type, operation);
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
  // Of a number and NaN the number.
  add("min", Each<T, T, T>::Of([](T a, T b) { return std::fmin(a, b); }));
  add("max", Each<T, T, T>::Of([](T a, T b) { return std::fmax(a, b); }));
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

// Memory. Values of type T, as many as there are operands beside the address.

enum class Space { kGlobal, kShared };

// A register may be wider than the value that it gets.
template <typename T>
void Give(const Instruction& instruction, Warp* warp, int lane,
          const T* values) {
  for (int i = 0; i < instruction.operands - 1; ++i) {
    if (instruction.width[i] == sizeof(T)) {
      warp->At<T>(instruction.at[i])[lane] = values[i];
    } else {
      warp->Set(instruction.at[i], instruction.width[i], lane,
                static_cast<int64_t>(values[i]));
    }
  }
}

template <Space space>
void Count(const Instruction& instruction, Warp* warp, uint32_t mask, int bytes,
           bool writes) {
  if (space == Space::kGlobal) {
    warp->CountGlobal(instruction, instruction.base, mask, bytes, writes);
  } else {
    warp->CountShared(instruction, instruction.base, mask, bytes);
  }
}

template <Space space, typename T>
void Load(const Instruction& instruction, Warp* warp, uint32_t mask) {
  const int bytes = (instruction.operands - 1) * sizeof(T);
  Count<space>(instruction, warp, mask, bytes, false);
  ForLanes(mask, [&](int lane) {
    const uint64_t address = warp->Address(instruction, lane);
    const char* const from = space == Space::kGlobal
                                 ? warp->Global(address, bytes, lane, false)
                                 : warp->Shared(address, bytes, lane, false);
    Give(instruction, warp, lane, reinterpret_cast<const T*>(from));
  });
}

template <typename T>
void LoadParameters(const Instruction& instruction, Warp* warp, uint32_t mask) {
  T values[4];
  uint64_t address = ~uint64_t{0};  // of the values: mostly that of all lanes
  ForLanes(mask, [&](int lane) {
    if (warp->Address(instruction, lane) != address) {
      address = warp->Address(instruction, lane);
      std::memcpy(values, warp->parameters() + address,
                  (instruction.operands - 1) * sizeof(T));
    }
    Give(instruction, warp, lane, values);
  });
}

template <Space space, typename T>
void Store(const Instruction& instruction, Warp* warp, uint32_t mask) {
  const int count = instruction.operands - 1;
  const int bytes = count * sizeof(T);
  Count<space>(instruction, warp, mask, bytes, true);
  ForLanes(mask, [&](int lane) {
    T values[4];
    for (int i = 0; i < count; ++i) {
      values[i] =
          instruction.width[i + 1] == sizeof(T)
              ? warp->At<T>(instruction.at[i + 1])[lane]
              : static_cast<T>(warp->Value(instruction.at[i + 1],
                                           instruction.width[i + 1], lane));
    }
    const uint64_t address = warp->Address(instruction, lane);
    char* const to = space == Space::kGlobal
                         ? warp->Global(address, bytes, lane, true)
                         : warp->Shared(address, bytes, lane, true);
    std::memcpy(to, values, bytes);
  });
}

template <typename T>
Handler AccessOf(const std::string& name) {
  const auto begins = [&](const char* text) {
    return name.compare(0, std::strlen(text), text) == 0;
  };
  if (begins("ld.global")) return Load<Space::kGlobal, T>;
  if (begins("ld.shared")) return Load<Space::kShared, T>;
  if (begins("ld.param")) return LoadParameters<T>;
  if (begins("st.global")) return Store<Space::kGlobal, T>;
  if (begins("st.shared")) return Store<Space::kShared, T>;
  return nullptr;
}

// "ld.global.v4.f32": null for what is none.
Handler Access(const std::string& name, const Instruction& instruction) {
  const std::string type = name.substr(name.rfind('.') + 1);
  const size_t vector = name.find(".v");
  const int count = vector == std::string::npos ? 1 : name[vector + 2] - '0';
  if (instruction.operands != count + 1 || count > 4) return nullptr;
  if (type == "u8" || type == "b8") return AccessOf<uint8_t>(name);
  if (type == "s8") return AccessOf<int8_t>(name);
  if (type == "u16" || type == "b16") return AccessOf<uint16_t>(name);
  if (type == "s16") return AccessOf<int16_t>(name);
  if (type == "u32" || type == "b32") return AccessOf<uint32_t>(name);
  if (type == "s32") return AccessOf<int32_t>(name);
  if (type == "f32") return AccessOf<uint32_t>(name);
  if (type == "u64" || type == "b64" || type == "s64" || type == "f64")
    return AccessOf<uint64_t>(name);
  return nullptr;
}

// Matrices of the warp. PTX ISA, "ldmatrix" and "Matrix Fragments for
// mma.m16n8k8", "... mma.m16n8k16".

template <bool transposed>
void LoadMatrices(const Instruction& instruction, Warp* warp, uint32_t) {
  warp->CountShared(instruction, instruction.base, ~0u, 16);
  uint16_t rows[kLanes][8];
  for (int lane = 0; lane < kLanes; ++lane) {
    const uint64_t address = warp->Address(instruction, lane);
    std::memcpy(rows[lane], warp->Shared(address, 16, lane, false), 16);
  }
  for (int matrix = 0; matrix < 4; ++matrix) {
    uint32_t* const to = warp->At<uint32_t>(instruction.at[matrix]);
    const auto* const from = &rows[8 * matrix];
    for (int lane = 0; lane < kLanes; ++lane) {
      const int group = lane / 4, pair = lane % 4 * 2;
      const uint32_t low = transposed ? from[pair][group] : from[group][pair];
      const uint32_t high =
          transposed ? from[pair + 1][group] : from[group][pair + 1];
      to[lane] = low | high << 16;
    }
  }
}

// Gives operands 0 to 3, d, the values of c, the last four, and a * b. `Value`
// reads value number i of a register; a register of a and b holds `packed`.
template <int k, int packed, float (*Value)(uint32_t, int)>
void Multiply(const Instruction& instruction, Warp* warp, uint32_t) {
  constexpr int kOfA = 16 * k / kLanes / packed, kOfB = 8 * k / kLanes / packed;
  double a[16][k], b[k][8];
  for (int lane = 0; lane < kLanes; ++lane) {
    const int group = lane / 4, t = lane % 4;
    for (int i = 0; i < kOfA * packed; ++i) {
      // Rows first, then the next half of k.
      const int reg = i / packed, part = i % packed;
      const int row = group + reg % 2 * 8;
      const int column = t * packed + part + reg / 2 * 4 * packed;
      a[row][column] =
          Value(warp->At<uint32_t>(instruction.at[4 + reg])[lane], part);
    }
    for (int i = 0; i < kOfB * packed; ++i) {
      const int reg = i / packed, part = i % packed;
      b[t * packed + part + reg * 4 * packed][group] =
          Value(warp->At<uint32_t>(instruction.at[4 + kOfA + reg])[lane], part);
    }
  }
  for (int i = 0; i < 4; ++i) {
    const float* const c = warp->At<float>(instruction.at[4 + kOfA + kOfB + i]);
    float* const d = warp->At<float>(instruction.at[i]);
    for (int lane = 0; lane < kLanes; ++lane) {
      const int row = lane / 4 + i / 2 * 8, column = lane % 4 * 2 + i % 2;
      double sum = c[lane];
      for (int j = 0; j < k; ++j) sum += a[row][j] * b[j][column];
      d[lane] = static_cast<float>(sum);
    }
  }
}

float Bf16Value(uint32_t bits, int i) {
  return FloatOf((i == 0 ? bits << 16 : bits) & 0xffff0000u);
}
float Fp16Value(uint32_t bits, int i) {
  return p3d::detail::FromFp16(static_cast<uint16_t>(bits >> 16 * i));
}
// What is behind a value's 11 digits does not count.
float Tf32Value(uint32_t bits, int) { return FloatOf(bits & ~0x1fffu); }

void AddMatrices(Table* table) {
  const std::string load = "ldmatrix.sync.aligned.m8n8.x4.";
  table->Add(load + "shared.b16",
             {LoadMatrices<false>, {4, 4, 4, 4, 4}, Flow::kTogether});
  table->Add(load + "trans.shared.b16",
             {LoadMatrices<true>, {4, 4, 4, 4, 4}, Flow::kTogether});
  const std::string multiply = "mma.sync.aligned.";
  const std::vector<int> many(14, 4), few(11, 4);
  table->Add(multiply + "m16n8k16.row.col.f32.bf16.bf16.f32",
             {Multiply<16, 2, Bf16Value>, many, Flow::kTogether});
  table->Add(multiply + "m16n8k16.row.col.f32.f16.f16.f32",
             {Multiply<16, 2, Fp16Value>, many, Flow::kTogether});
  table->Add(multiply + "m16n8k8.row.col.f32.tf32.tf32.f32",
             {Multiply<8, 1, Tf32Value>, many, Flow::kTogether});
  table->Add(multiply + "m16n8k8.row.col.f32.f16.f16.f32",
             {Multiply<8, 2, Fp16Value>, few, Flow::kTogether});
}

// "cp.async... [to], [from], 16, bytes;"
void CopyLater(const Instruction& instruction, Warp* warp, uint32_t mask) {
  const int size = static_cast<int>(warp->Value(instruction.at[2], 4, 0));
  uint32_t reads = 0;
  ForLanes(mask, [&](int lane) {
    reads |= (warp->Value(instruction.at[3], 4, lane) > 0) << lane;
  });
  warp->CountShared(instruction, 0, mask, size);
  warp->CountGlobal(instruction, 1, reads, size, false);
  ForLanes(mask, [&](int lane) {
    const auto value = [&](int i) {
      return warp->Value(instruction.at[i], instruction.width[i], lane);
    };
    warp->CopyLater(value(0), value(1), size, static_cast<int>(value(3)), lane);
  });
}

void EndBatch(const Instruction&, Warp* warp, uint32_t mask) {
  ForLanes(mask, [&](int lane) { warp->EndBatch(lane); });
}

void AwaitBatches(const Instruction& instruction, Warp* warp, uint32_t mask) {
  ForLanes(mask, [&](int lane) {
    warp->FinishBatches(
        static_cast<int>(warp->Value(instruction.at[0], 4, lane)), lane);
  });
}

void AddCopies(Table* table) {
  table->Add("cp.async.cg.shared.global", {CopyLater, {4, 8, 4, 4}});
  table->Add("cp.async.commit_group", {EndBatch, {}});
  table->Add("cp.async.wait_group", {AwaitBatches, {4}});
}

Table MakeTable() {
  Table table;
  AddBits<uint16_t>("16", &table);
  AddBits<uint32_t>("32", &table);
  AddBits<uint64_t>("64", &table);
  AddPredicates(&table);
  AddIntegers<uint16_t>("u16", &table);
  AddIntegers<int16_t>("s16", &table);
  AddIntegers<uint32_t>("u32", &table);
  AddIntegers<int32_t>("s32", &table);
  AddIntegers<uint64_t>("u64", &table);
  AddIntegers<int64_t>("s64", &table);
  AddWide<uint16_t, uint32_t>("u16", &table);
  AddWide<int16_t, int32_t>("s16", &table);
  AddWide<uint32_t, uint64_t>("u32", &table);
  AddWide<int32_t, int64_t>("s32", &table);
  AddFloats<float>("f32", &table);
  AddFloats<double>("f64", &table);
  AddConversions(&table);
  AddApproximations(&table);
  AddHalves<uint64_t, uint32_t>("b64", &table);
  AddHalves<uint32_t, uint16_t>("b32", &table);
  AddMatrices(&table);
  AddCopies(&table);
  table.Add("ret", {nullptr, {}, Flow::kReturn});
  table.Add("bar.sync", {nullptr, {4}, Flow::kBarrier});
  // All of global memory's addresses are those of the generic space.
  table.Add("cvta.to.global.u64",
            Each<uint64_t, uint64_t>::Of([](uint64_t a) { return a; }));
  return table;
}

}  // namespace

void Choose(const std::string& name, Instruction* instruction) {
  static const Table* const table = new Table(MakeTable());
  instruction->run = Access(name, *instruction);
  if (instruction->run) return;
  const std::vector<int> widths(
      instruction->width.begin(),
      instruction->width.begin() + instruction->operands);
  const Operation* operation = table->Find(name, widths);
  if (!operation) {
    std::string sizes;
    for (int width : widths) sizes += std::to_string(width) + " ";
    throw Error("not understood with operands of " + sizes + "bytes");
  }
  instruction->run = operation->run;
  instruction->flow = operation->flow;
}

}  // namespace ptx
