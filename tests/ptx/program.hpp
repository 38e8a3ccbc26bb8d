#ifndef P3D_TESTS_PTX_PROGRAM_HPP_
#define P3D_TESTS_PTX_PROGRAM_HPP_

// Kernels in PTX, the text that nvcc makes of CUDA sources, as lists of
// instructions that block.hpp runs on the host. See "Parallel Thread Execution
// ISA" by NVIDIA, here called the PTX ISA.
//
// Understood is what nvcc makes of layers/kernels: no calls but of .func
// without recursion, which are inlined; no local memory, no atomics, no
// textures. Anything else is an error when the kernel is first launched.

#include <array>
#include <cstdint>
#include <stdexcept>
#include <string>
#include <vector>

namespace ptx {

constexpr int kLanes = 32;
constexpr int kMaxOperands = 14;  // of mma

class Error : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

class Warp;
struct Instruction;

// Runs an instruction for the lanes in `mask`.
using Handler = void (*)(const Instruction& instruction, Warp* warp,
                         uint32_t mask);

enum class Flow : uint8_t {
  kNext,
  kBranch,
  kReturn,
  kTogether,  // by all lanes of the warp at once
  kBarrier,   // by all threads of the block at once
};

// A register is a place in the file of its warp: kLanes values of its type side
// by side. Constants and special registers (%tid.x) have places as well, so
// that operands of all kinds are read in the same way.
struct Instruction {
  Handler run = nullptr;
  // Of what reads or writes memory: the address is that in operand `base` and
  // `offset`.
  int64_t offset = 0;
  int guard = -1;   // the predicate's place, -1: always
  int target = -1;  // of a branch, an index of an instruction
  Flow flow = Flow::kNext;
  bool unless = false;  // "@!%p"
  uint8_t base = 0;
  uint8_t operands = 0;
  std::array<uint8_t, kMaxOperands> width{};  // bytes of a lane's value, and
  std::array<int, kMaxOperands> at{};         // where operands lie
  std::vector<int> sums;  // of wgmma: where those lie that stand in front
};

// What an instruction was made of.
struct Source {
  int line;
  std::string text;
};

struct Constant {
  int place, width;
  uint64_t value;
};

struct Parameter {
  std::string name;
  int offset, size;  // bytes
};

struct Special {
  std::string name;  // "%ctaid.x"
  int place;
};

struct Kernel {
  std::string name;
  std::vector<Parameter> parameters;
  int parameter_bytes = 0;
  int shared_bytes = 0;
  int extern_shared = -1;  // where what a launch adds to them begins, -1: none
  int file_bytes = 0;      // of a warp's registers
  int max_threads = 1024;  // of a block, as __launch_bounds__ says
  std::vector<Constant> constants;
  std::vector<Special> specials;
  std::vector<Instruction> code;
  std::vector<Source> sources;  // of each
};

// The kernel of that (mangled) name in a module. Throws Error for a kernel that
// is not there or an instruction that is not understood.
Kernel ParseKernel(const std::string& module, const std::string& name);

// A kernel's name as in its source.
std::string Demangled(const std::string& name);

}  // namespace ptx

#endif  // P3D_TESTS_PTX_PROGRAM_HPP_
