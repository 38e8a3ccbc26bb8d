#ifndef P3D_TESTS_PTX_TABLE_HPP_
#define P3D_TESTS_PTX_TABLE_HPP_

// What each kind of instruction does, by its name, and how to say that for
// those that do the same for every lane.

#include <cstdint>
#include <map>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "block.hpp"

namespace ptx {

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

// Integers, bits, floats and what makes one of another.
void AddArithmetic(Table* table);
// cp.async.
void AddCopies(Table* table);
// ldmatrix and mma.
void AddMatrices(Table* table);
// wgmma, and what stands around it.
void AddGroups(Table* table);

// What runs "ld.global.v4.f32" and its like; null for what is none.
Handler Access(const std::string& name, const Instruction& instruction);

}  // namespace ptx

#endif  // P3D_TESTS_PTX_TABLE_HPP_
