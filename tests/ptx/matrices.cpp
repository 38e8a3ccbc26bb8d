// Matrices that a warp holds together. PTX ISA, "ldmatrix" and "Matrix
// Fragments for mma.m16n8k8", "... mma.m16n8k16".

#include <cstring>

#include "kernels/narrow.hpp"
#include "table.hpp"

namespace ptx {
namespace {

using p3d::detail::FloatOf;

// The lane that gets value number `column` of a matrix's row.
template <bool transposed>
int Receiver(int row, int column) {
  return transposed ? column * 4 + row / 2 : row * 4 + column / 2;
}

template <bool transposed>
void LoadMatrices(const Instruction& instruction, Warp* warp, uint32_t) {
  warp->CountShared(instruction, instruction.base, ~0u, 16);
  uint16_t rows[kLanes][8];
  for (int lane = 0; lane < kLanes; ++lane) {
    const uint64_t address = warp->Address(instruction, lane);
    std::memcpy(rows[lane], warp->Shared(address, 16, lane, false), 16);
    // What counts for races is who gets the values.
    for (int column = 0; column < 8; ++column) {
      warp->Shared(address + column / 2 * 4, 4,
                   Receiver<transposed>(lane % 8, column), false);
    }
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

}  // namespace

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

}  // namespace ptx
