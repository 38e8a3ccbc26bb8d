#ifndef P3D_KERNELS_ISA_HPP_
#define P3D_KERNELS_ISA_HPP_

#include <string>
#include <vector>

namespace p3d {

// Instruction sets that kernels are written for, slowest first. kGeneric is
// plain C++ for whatever the compiler's baseline is (SSE2, NEON, ...). kAmx are
// the matrix registers of bfloat16 values beside AVX-512 and its bfloat16.
enum class Isa { kGeneric = 0, kAvx2 = 1, kAvx512 = 2, kAmx = 3 };

// "generic", "avx2", "avx512" or "amx".
const char* IsaName(Isa isa);

// The inverse of IsaName; throws Error that lists the valid names.
Isa ParseIsa(const std::string& name);

// The sets this machine and its operating system can run, slowest first.
const std::vector<Isa>& SupportedIsas();

// The set to use: the one that the environment variable P3D_ISA names (read
// once; throws Error where the machine cannot run it), else the best supported.
Isa ActiveIsa();

// Replaces the choice of ActiveIsa for this process from now on (tests and
// benchmarks run every set in turn). Throws Error where unsupported.
void SetActiveIsa(Isa isa);

}  // namespace p3d

#endif  // P3D_KERNELS_ISA_HPP_
