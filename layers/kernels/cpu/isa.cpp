#include "kernels/cpu/isa.hpp"

#include <atomic>
#include <cstdlib>

#include "kernels/error.hpp"

#if defined(__x86_64__) && defined(__linux__)
#include <cpuid.h>
#include <sys/syscall.h>
#include <unistd.h>
#endif

namespace p3d {
namespace {

const Isa kAllIsas[] = {Isa::kGeneric, Isa::kAvx2, Isa::kAvx512, Isa::kAmx};

#if defined(__x86_64__) && defined(__linux__)
// Bits of cpuid's leaf 7, which older compilers' __builtin_cpu_supports have no
// names for: AMX-BF16, AMX-TILE, and AVX512_BF16 in subleaf 1. Linux lets a
// process have the matrix registers when it asks, but not where it does not
// save them or a stack for signals has no room for them; from then on there can
// be no such stack.
bool HasAmx() {
  unsigned a = 0, b = 0, c = 0, d = 0;
  if (!__get_cpuid_count(7, 0, &a, &b, &c, &d)) return false;
  if (!(d >> 22 & 1) || !(d >> 24 & 1)) return false;
  if (!__get_cpuid_count(7, 1, &a, &b, &c, &d) || !(a >> 5 & 1)) return false;
  const long kAskForPermission = 0x1023, kTileData = 18;
  return syscall(SYS_arch_prctl, kAskForPermission, kTileData) == 0;
}
#else
bool HasAmx() { return false; }
#endif

// The compiler's run-time library asks cpuid, and xgetbv for whether the
// operating system saves the wide registers.
bool IsSupported(Isa isa) {
#if defined(__x86_64__) || defined(__i386__)
  __builtin_cpu_init();
  const bool avx2 =
      __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
  if (isa == Isa::kAvx2) return avx2;
  const bool avx512 = avx2 && __builtin_cpu_supports("avx512f") &&
                      __builtin_cpu_supports("avx512vl") &&
                      __builtin_cpu_supports("avx512bw") &&
                      __builtin_cpu_supports("avx512dq");
  if (isa == Isa::kAvx512) return avx512;
  if (isa == Isa::kAmx) return avx512 && HasAmx();
#endif
  return isa == Isa::kGeneric;
}

std::string Names(const std::vector<Isa>& isas) {
  std::string names;
  for (Isa isa : isas) {
    if (!names.empty()) names += ", ";
    names += IsaName(isa);
  }
  return names;
}

// Asks for this set alone: whoever wants another one does not get matrix
// registers, which need larger stacks for signals.
void CheckSupported(Isa isa, const char* source) {
  if (IsSupported(isa)) return;
  const char* const hint =
      isa == Isa::kAmx ? " (nor where signals have an alternate stack of a few "
                         "kilobytes)"
                       : "";
  Fail(source, " asks for the instruction set '", IsaName(isa),
       "', which this machine cannot run", hint,
       "; it can run: ", Names(SupportedIsas()), ".");
}

Isa Parse(const std::string& name, const char* source) {
  for (Isa isa : kAllIsas) {
    if (name == IsaName(isa)) return isa;
  }
  Fail(source, "Unknown instruction set '", name,
       "'; valid names are: generic, avx2, avx512, amx.");
}

Isa InitialIsa() {
  const char* name = std::getenv("P3D_ISA");
  if (name == nullptr || *name == '\0') return SupportedIsas().back();
  const Isa isa = Parse(name, "The environment variable P3D_ISA: ");
  CheckSupported(isa, "The environment variable P3D_ISA");
  return isa;
}

// A function, so that an error of InitialIsa reaches the caller who asks first
// (and every later one) instead of ending the process at load time.
std::atomic<Isa>& CurrentIsa() {
  static std::atomic<Isa> current(InitialIsa());
  return current;
}

}  // namespace

const char* IsaName(Isa isa) {
  switch (isa) {
    case Isa::kGeneric:
      return "generic";
    case Isa::kAvx2:
      return "avx2";
    case Isa::kAvx512:
      return "avx512";
    case Isa::kAmx:
      return "amx";
  }
  Fail("There is no instruction set number ", static_cast<int>(isa), ".");
}

Isa ParseIsa(const std::string& name) { return Parse(name, ""); }

const std::vector<Isa>& SupportedIsas() {
  static const std::vector<Isa> supported = [] {
    std::vector<Isa> found;
    for (Isa isa : kAllIsas) {
      if (IsSupported(isa)) found.push_back(isa);
    }
    return found;
  }();
  return supported;
}

Isa ActiveIsa() { return CurrentIsa().load(); }

void SetActiveIsa(Isa isa) {
  CheckSupported(isa, "The caller");
  CurrentIsa().store(isa);
}

}  // namespace p3d
