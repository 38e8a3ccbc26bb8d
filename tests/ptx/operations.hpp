#ifndef P3D_TESTS_PTX_OPERATIONS_HPP_
#define P3D_TESTS_PTX_OPERATIONS_HPP_

// What the instructions of PTX do. Rounding is that of the PTX ISA, but for
// those that it calls approximate.

#include <string>

#include "program.hpp"

namespace ptx {

// Sets how an instruction is run and flows, from its name ("ld.global.v4.f32")
// and its operands. Throws Error for one that is not known or whose operands
// have other widths than its types.
void Choose(const std::string& name, Instruction* instruction);

}  // namespace ptx

#endif  // P3D_TESTS_PTX_OPERATIONS_HPP_
