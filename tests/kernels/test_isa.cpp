// Which instruction set is chosen.

#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <string>
#include <vector>

#include "kernels/cpu/isa.hpp"
#include "kernels/error.hpp"
#include "testing.hpp"

namespace {

using p3d::Isa;
using testing::Expect;
using testing::ExpectError;

const Isa kAll[] = {Isa::kGeneric, Isa::kAvx2, Isa::kAvx512, Isa::kAmx};

bool IsSupported(Isa isa) {
  const std::vector<Isa>& supported = p3d::SupportedIsas();
  return std::count(supported.begin(), supported.end(), isa) > 0;
}

// What ActiveIsa says in a process started with P3D_ISA=value; -1 for an Error.
int ActiveWith(const char* value) {
  const pid_t child = fork();
  if (child == 0) {
    setenv("P3D_ISA", value, 1);
    try {
      _exit(static_cast<int>(p3d::ActiveIsa()));
    } catch (const p3d::Error&) {
      _exit(99);
    }
  }
  int status = 0;
  waitpid(child, &status, 0);
  return WIFEXITED(status) && WEXITSTATUS(status) != 99 ? WEXITSTATUS(status)
                                                        : -1;
}

}  // namespace

int main() {
  unsetenv("P3D_ISA");
  Expect(ActiveWith("") == static_cast<int>(p3d::SupportedIsas().back()),
         "the best set is the default");
  Expect(ActiveWith("sse9") == -1, "P3D_ISA=sse9");
  for (Isa isa : kAll) {
    const std::string name = p3d::IsaName(isa);
    Expect(p3d::ParseIsa(name) == isa, "ParseIsa undoes IsaName: " + name);
    const int expected = IsSupported(isa) ? static_cast<int>(isa) : -1;
    Expect(ActiveWith(name.c_str()) == expected, "P3D_ISA=" + name);
  }
  // From here on this process has chosen.
  for (Isa isa : kAll) {
    const std::string name = p3d::IsaName(isa);
    if (IsSupported(isa)) {
      p3d::SetActiveIsa(isa);
      Expect(p3d::ActiveIsa() == isa, "SetActiveIsa: " + name);
    } else {
      ExpectError([&] { p3d::SetActiveIsa(isa); }, "cannot run",
                  "SetActiveIsa: " + name);
    }
  }
  Expect(p3d::SupportedIsas().front() == Isa::kGeneric, "generic always runs");
  Expect(
      std::is_sorted(p3d::SupportedIsas().begin(), p3d::SupportedIsas().end()),
      "slowest first");
  ExpectError([] { p3d::ParseIsa("AVX2"); }, "valid names are",
              "ParseIsa AVX2");
  ExpectError([] { p3d::IsaName(static_cast<Isa>(7)); }, "no instruction set",
              "IsaName of 7");
  return testing::Finish();
}
