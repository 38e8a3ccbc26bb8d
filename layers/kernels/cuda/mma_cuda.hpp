#ifndef P3D_KERNELS_MMA_CUDA_HPP_
#define P3D_KERNELS_MMA_CUDA_HPP_

// Products of small matrices by the 32 lanes of a warp together, on a GPU's
// tensor cores: sums += a * b, where a has 16 rows, b has 8 columns and both
// are 32 bytes of values deep. Operands are of a kind of narrow.hpp, sums are
// floats.
//
// Each lane holds a share of every matrix, and which one is as the PTX ISA
// says, "Matrix Fragments for mma.m16n8k16 with floating point type" and
// "... mma.m16n8k8" (of .tf32; of .f16 the same as half of m16n8k16). With
// group = lane / 4 and t = lane % 4, and a register being two values of 16 bits
// or one of 32:
//
//   a.r[i]   row group + i % 2 * 8, register t + i / 2 * 4 of its eight
//   b.r[i]   column group, register t + i * 4 of its eight
//   c.v[i]   row group + i / 2 * 8, column 2 * t + i % 2
//
// On the host a lane's sums are made of what the other lanes loaded, so that a
// value in the wrong lane shows as it would on a GPU.

#include <cstdint>
#include <cstring>

#include "kernels/cuda/host_device.hpp"
#include "kernels/narrow.hpp"

namespace p3d {
namespace cuda {

struct FragmentA {
  uint32_t r[4];
};
struct FragmentB {
  uint32_t r[2];
};
struct FragmentC {
  float v[4];
};

// Each of four matrices of 8 rows of 16 bytes is dealt out to the lanes: lane l
// gets register l % 4 of row l / 4 of matrix i as r[i]. Or, `transposed`, for
// values of 16 bits: those in rows 2 * (l % 4) and one more of column l / 4.
// row(l) is where row l % 8 of matrix l / 8 lies in shared memory. PTX ISA,
// "ldmatrix" with .x4.
template <bool transposed, typename Row>
P3D_HOST_DEVICE void LoadMatrices(int lane, const Row& row, uint32_t* r) {
#ifdef __CUDA_ARCH__
  const auto at = static_cast<uint32_t>(__cvta_generic_to_shared(row(lane)));
  if (transposed) {
    asm volatile(
        "ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0,%1,%2,%3}, [%4];"
        : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
        : "r"(at)
        : "memory");
  } else {
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0,%1,%2,%3}, [%4];"
                 : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
                 : "r"(at)
                 : "memory");
  }
#else
  for (int i = 0; i < 4; ++i) {
    for (int half = 0; half < 2; ++half) {
      const int from = transposed ? lane % 4 * 2 + half : lane / 4;
      const int column = transposed ? lane / 4 : lane % 4 * 2 + half;
      memcpy(reinterpret_cast<char*>(&r[i]) + 2 * half,
             reinterpret_cast<const char*>(row(8 * i + from)) + 2 * column, 2);
    }
  }
#endif
}

// The instruction for a kind of values, for GPUs from kLeastArch on (ten times
// their compute capability; for others it is not compiled, for without
// optimization, as of nvcc -G, what never runs is compiled too); what its
// operands become first; and value number `index` of a register.
template <typename Value>
struct MmaOf;

template <>
struct MmaOf<Bf16> {
  static constexpr int kLeastArch = 80;
  static P3D_HOST_DEVICE uint32_t Operand(uint32_t bits) { return bits; }
  static float ValueOf(uint32_t bits, int index) {
    Bf16 value;
    value.bits = static_cast<uint16_t>(bits >> 16 * index);
    return value;
  }
#ifdef __CUDACC__
  static __device__ void Add(const FragmentA& a, const FragmentB& b,
                             FragmentC* c) {
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 800
    asm("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 "
        "{%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
        : "+f"(c->v[0]), "+f"(c->v[1]), "+f"(c->v[2]), "+f"(c->v[3])
        : "r"(a.r[0]), "r"(a.r[1]), "r"(a.r[2]), "r"(a.r[3]), "r"(b.r[0]),
          "r"(b.r[1]));
#endif
  }
#endif
};

template <>
struct MmaOf<Fp16> {
  static constexpr int kLeastArch = 75;
  static P3D_HOST_DEVICE uint32_t Operand(uint32_t bits) { return bits; }
  static float ValueOf(uint32_t bits, int index) {
    Fp16 value;
    value.bits = static_cast<uint16_t>(bits >> 16 * index);
    return value;
  }
#ifdef __CUDACC__
  static __device__ void Add(const FragmentA& a, const FragmentB& b,
                             FragmentC* c) {
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ < 800
    for (int i = 0; i < 2; ++i) {
      asm("mma.sync.aligned.m16n8k8.row.col.f32.f16.f16.f32 "
          "{%0,%1,%2,%3}, {%4,%5}, {%6}, {%0,%1,%2,%3};"
          : "+f"(c->v[0]), "+f"(c->v[1]), "+f"(c->v[2]), "+f"(c->v[3])
          : "r"(a.r[2 * i]), "r"(a.r[2 * i + 1]), "r"(b.r[i]));
    }
#else
    asm("mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 "
        "{%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
        : "+f"(c->v[0]), "+f"(c->v[1]), "+f"(c->v[2]), "+f"(c->v[3])
        : "r"(a.r[0]), "r"(a.r[1]), "r"(a.r[2]), "r"(a.r[3]), "r"(b.r[0]),
          "r"(b.r[1]));
#endif
  }
#endif
};

template <>
struct MmaOf<Tf32> {
  static constexpr int kLeastArch = 80;
  // To the nearest of 11 binary digits, of two as near to the larger one.
  static P3D_HOST_DEVICE uint32_t Operand(uint32_t bits) {
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 800
    uint32_t rounded;
    asm("cvt.rna.tf32.f32 %0, %1;"
        : "=r"(rounded)
        : "f"(__uint_as_float(bits)));
    return rounded;
#else
    const bool finite = (bits & 0x7f800000) != 0x7f800000;
    return finite ? (bits + 0x1000) & ~0x1fffu : bits;
#endif
  }
  static float ValueOf(uint32_t bits, int) {
    return p3d::detail::FloatOf(bits);
  }
#ifdef __CUDACC__
  static __device__ void Add(const FragmentA& a, const FragmentB& b,
                             FragmentC* c) {
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 800
    asm("mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32 "
        "{%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
        : "+f"(c->v[0]), "+f"(c->v[1]), "+f"(c->v[2]), "+f"(c->v[3])
        : "r"(a.r[0]), "r"(a.r[1]), "r"(a.r[2]), "r"(a.r[3]), "r"(b.r[0]),
          "r"(b.r[1]));
#endif
  }
#endif
};

// The lane's sums += its share of a * b. a(l) and b(l) are the fragments of
// lane l, of which a GPU asks for the lane's own alone.
template <typename Value, typename A, typename B>
P3D_HOST_DEVICE void AddProduct(int lane, const A& a, const B& b,
                                FragmentC* c) {
#ifdef __CUDA_ARCH__
  MmaOf<Value>::Add(a(lane), b(lane), c);
#else
  constexpr int kInRegister = 4 / sizeof(Value);
  for (int i = 0; i < 4; ++i) {
    const int row = lane / 4 + i / 2 * 8, column = lane % 4 * 2 + i % 2;
    for (int reg = 0; reg < 8; ++reg) {
      const uint32_t left = a(row % 8 * 4 + reg % 4).r[row / 8 + reg / 4 * 2];
      const uint32_t right = b(column * 4 + reg % 4).r[reg / 4];
      for (int j = 0; j < kInRegister; ++j) {
        c->v[i] +=
            MmaOf<Value>::ValueOf(left, j) * MmaOf<Value>::ValueOf(right, j);
      }
    }
  }
#endif
}

}  // namespace cuda
}  // namespace p3d

#endif  // P3D_KERNELS_MMA_CUDA_HPP_
