// Instructions that read and write memory.

#include <cstring>

#include "table.hpp"

namespace ptx {
namespace {

// Values of type T, as many as there are operands beside the address.

enum class Space { kGlobal, kShared };

// A register may be wider than the value that it gets.
template <typename T>
void Give(const Instruction& instruction, Warp* warp, int lane,
          const T* values) {
  for (int i = 0; i < instruction.operands - 1; ++i) {
    if (instruction.width[i] == sizeof(T)) {
      warp->At<T>(instruction.at[i])[lane] = values[i];
    } else {
      warp->Set(instruction.at[i], instruction.width[i], lane,
                static_cast<int64_t>(values[i]));
    }
  }
}

template <Space space>
void Count(const Instruction& instruction, Warp* warp, uint32_t mask, int bytes,
           bool writes) {
  if (space == Space::kGlobal) {
    warp->CountGlobal(instruction, instruction.base, mask, bytes, writes);
  } else {
    warp->CountShared(instruction, instruction.base, mask, bytes);
  }
}

template <Space space, typename T>
void Load(const Instruction& instruction, Warp* warp, uint32_t mask) {
  const int bytes = (instruction.operands - 1) * sizeof(T);
  Count<space>(instruction, warp, mask, bytes, false);
  ForLanes(mask, [&](int lane) {
    const uint64_t address = warp->Address(instruction, lane);
    const char* const from = space == Space::kGlobal
                                 ? warp->Global(address, bytes, lane, false)
                                 : warp->Shared(address, bytes, lane, false);
    Give(instruction, warp, lane, reinterpret_cast<const T*>(from));
  });
}

template <typename T>
void LoadParameters(const Instruction& instruction, Warp* warp, uint32_t mask) {
  T values[4];
  uint64_t address = ~uint64_t{0};  // of the values: mostly that of all lanes
  ForLanes(mask, [&](int lane) {
    const uint64_t own = warp->Address(instruction, lane);
    if (own != address) {
      address = own;
      std::memcpy(values, warp->parameters() + address,
                  (instruction.operands - 1) * sizeof(T));
    }
    Give(instruction, warp, lane, values);
  });
}

template <Space space, typename T>
void Store(const Instruction& instruction, Warp* warp, uint32_t mask) {
  const int count = instruction.operands - 1;
  const int bytes = count * sizeof(T);
  Count<space>(instruction, warp, mask, bytes, true);
  ForLanes(mask, [&](int lane) {
    T values[4];
    for (int i = 0; i < count; ++i) {
      values[i] =
          instruction.width[i + 1] == sizeof(T)
              ? warp->At<T>(instruction.at[i + 1])[lane]
              : static_cast<T>(warp->Value(instruction.at[i + 1],
                                           instruction.width[i + 1], lane));
    }
    const uint64_t address = warp->Address(instruction, lane);
    char* const to = space == Space::kGlobal
                         ? warp->Global(address, bytes, lane, true)
                         : warp->Shared(address, bytes, lane, true);
    std::memcpy(to, values, bytes);
  });
}

template <typename T>
Handler AccessOf(const std::string& name) {
  const auto begins = [&](const char* text) {
    return name.compare(0, std::strlen(text), text) == 0;
  };
  if (begins("ld.global")) return Load<Space::kGlobal, T>;
  if (begins("ld.shared")) return Load<Space::kShared, T>;
  if (begins("ld.param")) return LoadParameters<T>;
  if (begins("st.global")) return Store<Space::kGlobal, T>;
  if (begins("st.shared")) return Store<Space::kShared, T>;
  return nullptr;
}

// "cp.async... [to], [from], 16, bytes;"
void CopyLater(const Instruction& instruction, Warp* warp, uint32_t mask) {
  const int size = static_cast<int>(warp->Value(instruction.at[2], 4, 0));
  uint32_t reads = 0;
  ForLanes(mask, [&](int lane) {
    reads |= (warp->Value(instruction.at[3], 4, lane) > 0) << lane;
  });
  warp->CountShared(instruction, 0, mask, size);
  warp->CountGlobal(instruction, 1, reads, size, false);
  ForLanes(mask, [&](int lane) {
    const auto value = [&](int i) {
      return warp->Value(instruction.at[i], instruction.width[i], lane);
    };
    if (static_cast<int>(value(3)) > size)
      warp->Fail(lane, "reads more than it copies");
    warp->CopyLater(value(0), value(1), size, static_cast<int>(value(3)), lane);
  });
}

void EndBatch(const Instruction&, Warp* warp, uint32_t mask) {
  ForLanes(mask, [&](int lane) { warp->EndBatch(lane); });
}

void AwaitBatches(const Instruction& instruction, Warp* warp, uint32_t mask) {
  ForLanes(mask, [&](int lane) {
    warp->FinishBatches(
        static_cast<int>(warp->Value(instruction.at[0], 4, lane)), lane);
  });
}

}  // namespace

Handler Access(const std::string& name, const Instruction& instruction) {
  const std::string type = name.substr(name.rfind('.') + 1);
  const size_t vector = name.find(".v");
  const int count = vector == std::string::npos ? 1 : name[vector + 2] - '0';
  if (instruction.operands != count + 1 || count > 4) return nullptr;
  if (type == "u8" || type == "b8") return AccessOf<uint8_t>(name);
  if (type == "s8") return AccessOf<int8_t>(name);
  if (type == "u16" || type == "b16") return AccessOf<uint16_t>(name);
  if (type == "s16") return AccessOf<int16_t>(name);
  if (type == "u32" || type == "b32") return AccessOf<uint32_t>(name);
  if (type == "s32") return AccessOf<int32_t>(name);
  if (type == "f32") return AccessOf<uint32_t>(name);
  if (type == "u64" || type == "b64" || type == "s64" || type == "f64")
    return AccessOf<uint64_t>(name);
  return nullptr;
}

void AddCopies(Table* table) {
  table->Add("cp.async.cg.shared.global", {CopyLater, {4, 8, 4, 4}});
  table->Add("cp.async.commit_group", {EndBatch, {}});
  table->Add("cp.async.wait_group", {AwaitBatches, {4}});
}

}  // namespace ptx
