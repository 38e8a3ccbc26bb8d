#include "operations.hpp"

#include <vector>

#include "table.hpp"

namespace ptx {
namespace {

void AwaitEarlier(const Instruction&, Warp* warp, uint32_t mask) {
  warp->AwaitEarlier(mask);
}
void LetNextBegin(const Instruction&, Warp* warp, uint32_t mask) {
  warp->LetNextBegin(mask);
}

Table MakeTable() {
  Table table;
  AddArithmetic(&table);
  AddMatrices(&table);
  AddGroups(&table);
  AddCopies(&table);
  table.Add("ret", {nullptr, {}, Flow::kReturn});
  table.Add("bar.sync", {nullptr, {4}, Flow::kBarrier});
  table.Add("griddepcontrol.wait", {AwaitEarlier, {}});
  table.Add("griddepcontrol.launch_dependents", {LetNextBegin, {}});
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
