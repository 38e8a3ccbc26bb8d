// What groups of four warps multiply together. PTX ISA, "Asynchronous Warpgroup
// Level Matrix Instructions".

#include <cstring>

#include "kernels/narrow.hpp"
#include "table.hpp"

namespace ptx {
namespace {

using p3d::detail::FloatOf;
using p3d::detail::FromFp16;

constexpr int kDepth = 16;  // of k

// A matrix in shared memory as its descriptor tells, swizzled by 128 bytes:
// "Matrix Descriptor Format", "Canonical Layouts".
class Matrix {
 public:
  Matrix(uint64_t descriptor, bool across)
      : start_((descriptor & 0x3fff) << 4),
        leading_((descriptor >> 16 & 0x3fff) << 4),
        stride_((descriptor >> 32 & 0x3fff) << 4),
        swizzle_(static_cast<int>(descriptor >> 62)),
        base_(static_cast<int>(descriptor >> 49 & 7)),
        across_(across) {}

  bool understood() const { return swizzle_ == 1 && base_ == 0; }

  // Where the 16 bytes lie that begin with that row's (column's) value k; or,
  // of a matrix whose lines go across, value k of that row and the next ones.
  uint64_t Address(int row, int k) const {
    const uint64_t address =
        across_ ? start_ + row / 64 * leading_ + row % 64 * 2 +
                      k / 8 * stride_ + k % 8 * 128
                : start_ + row / 8 * stride_ + row % 8 * 128 + k * 2;
    return address ^ (address >> 7 & 7) << 4;
  }
  bool across() const { return across_; }

 private:
  const uint64_t start_, leading_, stride_;
  const int swizzle_, base_;
  const bool across_;
};

template <float (*Value)(uint16_t)>
void Read(const Matrix& matrix, int first, int rows, Warp* warp,
          float (*to)[kDepth]) {
  constexpr int kPiece = 8;
  for (int outer = 0; outer < (matrix.across() ? kDepth : rows); ++outer) {
    for (int inner = 0; inner < (matrix.across() ? rows : kDepth);
         inner += kPiece) {
      const int row = matrix.across() ? inner : outer,
                k = matrix.across() ? outer : inner;
      uint16_t piece[kPiece];
      std::memcpy(piece,
                  warp->SharedForProducts(matrix.Address(first + row, k)),
                  sizeof(piece));
      for (int i = 0; i < kPiece; ++i) {
        to[row + (matrix.across() ? i : 0)][k + (matrix.across() ? 0 : i)] =
            Value(piece[i]);
      }
    }
  }
}

float Bf16Value(uint16_t bits) {
  return FloatOf(static_cast<uint32_t>(bits) << 16);
}

// Operands: a, b, whether sums are added to, the sign of a and b, whether their
// lines go across.
int Constant(const Instruction& instruction, Warp* warp, int operand) {
  return static_cast<int>(
      warp->Value(instruction.at[operand], instruction.width[operand], 0));
}

template <int columns, float (*Value)(uint16_t)>
void Multiply(const Product& product, Warp* warp, bool looks) {
  const Instruction& instruction = *product.instruction;
  const Matrix a(product.a, Constant(instruction, warp, 5)),
      b(product.b, Constant(instruction, warp, 6));
  if (!a.understood() || !b.understood())
    warp->Fail(0, "has a matrix that is not swizzled by 128 bytes");
  float left[16][kDepth], right[columns][kDepth];
  Read<Value>(a, warp->index() % 4 * 16, 16, warp, left);
  Read<Value>(b, 0, columns, warp, right);
  if (looks) return;
  for (size_t i = 0; i < instruction.sums.size(); ++i) {
    float* const sums = warp->At<float>(instruction.sums[i]);
    for (int lane = 0; lane < kLanes; ++lane) {
      const float* const row = left[lane / 4 + i / 2 % 2 * 8];
      const float* const column = right[i / 4 * 8 + lane % 4 * 2 + i % 2];
      double sum = sums[lane];
      for (int k = 0; k < kDepth; ++k) sum += double{row[k]} * column[k];
      sums[lane] = static_cast<float>(sum);
    }
  }
}

template <int columns, float (*Value)(uint16_t)>
void Begin(const Instruction& instruction, Warp* warp, uint32_t) {
  const auto matrix = [&](int operand) {
    const uint64_t first = warp->Value(instruction.at[operand], 8, 0);
    for (int lane = 1; lane < kLanes; ++lane) {
      if (warp->Value(instruction.at[operand], 8, lane) != first)
        warp->Fail(lane, "multiplies another matrix than its warp");
    }
    return first;
  };
  if (instruction.sums.size() != columns / 2 ||
      Constant(instruction, warp, 2) != 1 ||
      Constant(instruction, warp, 3) != 1 ||
      Constant(instruction, warp, 4) != 1)
    warp->Fail(0, "multiplies in a way that is not understood");
  warp->MultiplyLater(
      {Multiply<columns, Value>, &instruction, matrix(0), matrix(1)});
}

void BeginProducts(const Instruction&, Warp* warp, uint32_t) {
  warp->BeginProducts();
}
void EndProducts(const Instruction&, Warp* warp, uint32_t) {
  warp->EndProducts();
}
void AwaitProducts(const Instruction& instruction, Warp* warp, uint32_t) {
  warp->FinishProducts(static_cast<int>(warp->Value(instruction.at[0], 4, 0)));
}
void ShowToProducts(const Instruction&, Warp* warp, uint32_t mask) {
  warp->ShowToProducts(mask);
}

// d, whether the source is a lane, the value, the source's lane, bounds that
// are those of a whole warp, and all lanes.
void Shuffle(const Instruction& instruction, Warp* warp, uint32_t) {
  uint32_t values[kLanes];
  std::memcpy(values, warp->At<uint32_t>(instruction.at[2]), sizeof(values));
  for (int lane = 0; lane < kLanes; ++lane) {
    const uint32_t from = warp->At<uint32_t>(instruction.at[3])[lane] % kLanes;
    if (warp->At<uint32_t>(instruction.at[4])[lane] != 31 ||
        warp->At<uint32_t>(instruction.at[5])[lane] != ~0u)
      warp->Fail(lane, "shuffles in a way that is not understood");
    warp->At<uint32_t>(instruction.at[0])[lane] = values[from];
    warp->At<uint8_t>(instruction.at[1])[lane] = 1;
  }
}

}  // namespace

void AddGroups(Table* table) {
  const std::vector<int> operands = {8, 8, 2, 2, 2, 2, 2};
  const std::string multiply = "wgmma.mma_async.sync.aligned.";
  const auto add = [&](const std::string& name, Handler run) {
    table->Add(multiply + name, {run, operands, Flow::kTogether});
  };
  add("m64n64k16.f32.bf16.bf16", Begin<64, Bf16Value>);
  add("m64n128k16.f32.bf16.bf16", Begin<128, Bf16Value>);
  add("m64n64k16.f32.f16.f16", Begin<64, FromFp16>);
  add("m64n128k16.f32.f16.f16", Begin<128, FromFp16>);
  table->Add("wgmma.fence.sync.aligned", {BeginProducts, {}, Flow::kTogether});
  table->Add("wgmma.commit_group.sync.aligned",
             {EndProducts, {}, Flow::kTogether});
  table->Add("wgmma.wait_group.sync.aligned",
             {AwaitProducts, {4}, Flow::kTogether});
  table->Add("fence.proxy.async.shared::cta", {ShowToProducts, {}});
  table->Add("shfl.sync.idx.b32",
             {Shuffle, {4, 1, 4, 4, 4, 4}, Flow::kTogether});
}

}  // namespace ptx
