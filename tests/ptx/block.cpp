#include "block.hpp"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace ptx {
namespace {

std::string Hex(uint64_t value) {
  char text[32];
  std::snprintf(text, sizeof(text), "0x%llx",
                static_cast<unsigned long long>(value));
  return text;
}

uint32_t SpecialValue(const std::string& name, const Dim& thread,
                      const Dim& block, const Dim& threads, const Dim& blocks) {
  const struct {
    const char* name;
    const Dim& of;
  } kDims[] = {{"%tid.", thread},
               {"%ctaid.", block},
               {"%ntid.", threads},
               {"%nctaid.", blocks}};
  for (const auto& dim : kDims) {
    if (name.compare(0, name.size() - 1, dim.name) != 0) continue;
    return name.back() == 'x'   ? dim.of.x
           : name.back() == 'y' ? dim.of.y
                                : dim.of.z;
  }
  throw Error("unknown register " + name);
}

}  // namespace

Warp::Warp(const Launch& launch, Block* block, int index, int threads)
    : launch_(launch),
      block_(block),
      index_(index),
      lanes_(threads >= kLanes ? ~0u : (1u << threads) - 1),
      file_(launch.kernel->file_bytes) {
  for (const Constant& constant : launch.kernel->constants) {
    for (int lane = 0; lane < kLanes; ++lane)
      Set(constant.place, constant.width, lane, constant.value);
  }
}

void Warp::Begin() {
  live_ = lanes_;
  waiting_ = 0;
  awaited_ = launch_.overlaps ? 0 : ~0u;
  std::fill(std::begin(pc_), std::end(pc_), 0);
  copies_.assign(kLanes, std::deque<std::vector<Copy>>(1));
  products_.assign(1, {});
  product_count_ = 0;
  may_multiply_ = false;
  for (const Special& special : launch_.kernel->specials) {
    for (int lane = 0; lane < kLanes; ++lane) {
      const uint32_t thread = ThreadOf(lane);
      const Dim& shape = launch_.block;
      const Dim place{thread % shape.x, thread / shape.x % shape.y,
                      thread / shape.x / shape.y};
      Set(special.place, 4, lane,
          SpecialValue(special.name, place, block_->index_, shape,
                       launch_.grid));
    }
  }
}

void Warp::Run() {
  while (live_) {
    uint32_t mask = Next();
    if (!mask) {
      // All wait: for what the whole warp, or the whole block, does together.
      for (int lane = 0; lane < kLanes; ++lane) {
        if (live_ >> lane & 1 && pc_[lane] != pc_[first_]) {
          running_ = &launch_.kernel->code[pc_[lane]];
          Fail(lane,
               "waits for lanes of its warp that wait elsewhere, at line " +
                   std::to_string(barrier_line()));
        }
      }
      const Instruction& instruction = barrier();
      if (instruction.flow == Flow::kBarrier) return;
      running_ = &instruction;
      if (live_ != ~0u) Fail(first_, "misses lanes of its warp");
      instruction.run(instruction, this, live_);
      Pass();
      continue;
    }
    RunFrom(pc_[__builtin_ctz(mask)], mask);
  }
}

void Warp::Pass() {
  Count(barrier(), live_);
  for (int lane = 0; lane < kLanes; ++lane) ++pc_[lane];
  waiting_ = 0;
}

// The lanes that go on first: those that are furthest behind of those that do
// not wait.
uint32_t Warp::Next() {
  const uint32_t ready = live_ & ~waiting_;
  if (live_) first_ = __builtin_ctz(live_);
  int least = 0;
  uint32_t mask = 0;
  for (uint32_t rest = ready; rest; rest &= rest - 1) {
    const int lane = __builtin_ctz(rest);
    if (!mask || pc_[lane] < least) {
      least = pc_[lane];
      mask = 0;
    }
    if (pc_[lane] == least) mask |= 1u << lane;
  }
  return mask;
}

// Until they branch apart, wait, return or may meet others.
void Warp::RunFrom(int pc, uint32_t mask) {
  const std::vector<Instruction>& code = launch_.kernel->code;
  int others = static_cast<int>(code.size());  // the next place of one
  for (uint32_t rest = live_ & ~waiting_ & ~mask; rest; rest &= rest - 1)
    others = std::min(others, pc_[__builtin_ctz(rest)]);
  uint32_t apart = 0;  // those that branch away
  int target = 0;
  while (pc < others && !apart) {
    const Instruction& instruction = code[pc];
    running_ = &instruction;
    if (instruction.flow == Flow::kTogether ||
        instruction.flow == Flow::kBarrier) {
      waiting_ |= mask;
      break;
    }
    const uint32_t doing = Guarded(instruction, mask);
    Count(instruction, doing);
    if (instruction.flow == Flow::kReturn) {
      CheckAwaited(doing, "ends");
      live_ &= ~doing;
      mask &= ~doing;
      if (!mask) return;
    } else if (instruction.flow == Flow::kBranch) {
      if (doing == mask) {
        pc = instruction.target;
        continue;
      }
      apart = doing;
      target = instruction.target;
    } else if (doing) {
      instruction.run(instruction, this, doing);
    }
    ++pc;
  }
  if (pc >= static_cast<int>(code.size()))
    throw Error(Demangled(launch_.kernel->name) + " ends without ret");
  for (uint32_t rest = mask; rest; rest &= rest - 1) {
    const int lane = __builtin_ctz(rest);
    pc_[lane] = apart >> lane & 1 ? target : pc;
  }
}

uint32_t Warp::Guarded(const Instruction& instruction, uint32_t mask) {
  if (instruction.guard < 0) return mask;
  const uint8_t* predicate = At<uint8_t>(instruction.guard);
  uint32_t set = 0;
  for (int first = 0; first < kLanes; first += 8) {
    uint64_t eight;  // each 0 or 1: the product's last byte has a bit of each
    std::memcpy(&eight, predicate + first, sizeof(eight));
    set |= static_cast<uint32_t>(eight * 0x0102040810204080 >> 56) << first;
  }
  return mask & (instruction.unless ? ~set : set);
}

char* Warp::Global(uint64_t address, int bytes, int lane, bool writes) {
  CheckAwaited(1u << lane, "touches global memory");
  const uint64_t size = static_cast<uint64_t>(bytes);
  const auto fail = [&](const std::string& what) {
    Fail(lane, (writes ? "writes " : "reads ") + std::to_string(bytes) +
                   " bytes of global memory" + what);
  };
  if (address < met_.begin || address > met_.end || met_.end - address < size) {
    if (!launch_.memory->Holds(address, &met_)) {
      met_ = Allocation();
      fail(" at " + Hex(address) + ", where nothing is allocated");
    }
    if (met_.end - address < size)
      fail(", " + std::to_string(size - (met_.end - address)) +
           " of them behind the end of an allocation of " +
           std::to_string(met_.end - met_.begin));
  }
  if (address & (size - 1))
    fail(" at an address that is no multiple of that: " + Hex(address));
  MeetOthers(address, size, lane, writes);
  return reinterpret_cast<char*>(address);
}

void Warp::MeetOthers(uint64_t address, uint64_t size, int lane, bool writes) {
  const auto thread = static_cast<uint16_t>(ThreadOf(lane));
  const auto bytes =
      static_cast<uint16_t>(size < 4 ? ((1u << size) - 1) << address % 4 : 15);
  const uint64_t first = (address - met_.begin) / 4;
  for (uint64_t i = first; i < first + (size + 3) / 4; ++i) {
    Writer& writer = met_.writers[i];
    if (writer.launch == launch_.number && writer.bytes & bytes) {
      const bool of_others = writer.block != block_->number_;
      if (of_others ||
          (writer.thread != thread && writer.barriers == block_->barriers_))
        Fail(lane,
             (writes ? "writes" : "reads") +
                 std::string(" what was written by thread ") +
                 std::to_string(writer.thread) + " of block " +
                 std::to_string(writer.block) +
                 (of_others ? ", which may run later" : " without a barrier"));
    }
    if (writes)
      writer = {launch_.number, block_->number_, block_->barriers_, thread,
                bytes};
  }
}

char* Warp::Shared(uint64_t address, int bytes, int lane, bool writes) {
  const auto fail = [&](const std::string& what) {
    Fail(lane, (writes ? "writes " : "reads ") + std::to_string(bytes) +
                   " bytes of shared memory at " + std::to_string(address) +
                   what);
  };
  if (address + bytes > block_->shared_.size() || address + bytes < address)
    fail(", the block has " + std::to_string(block_->shared_.size()));
  if (address & (bytes - 1)) fail(", which is no multiple of that");
  if (bytes < 4) fail(": single words alone are understood");
  const auto thread = static_cast<int16_t>(ThreadOf(lane));
  const uint32_t now = block_->barriers_;
  for (uint64_t i = address / 4; i < (address + bytes) / 4; ++i) {
    Block::Word& word = block_->words_[i];
    if (word.copied) fail(", where cp.async is not waited for");
    if (word.written == now && word.writer != thread)
      fail(", written by thread " + std::to_string(word.writer) +
           " without a barrier");
    if (writes) {
      if (word.read == now && word.reader != thread)
        fail(", read by " +
             (word.reader < 0 ? "other threads"
                              : "thread " + std::to_string(word.reader)) +
             " without a barrier");
      word.written = now;
      word.writer = thread;
      word.shown = block_->shows_;
    } else {
      if (!word.written) fail(", which nobody has written");
      word.reader = word.read == now && word.reader != thread
                        ? static_cast<int16_t>(Block::kSeveral)
                        : thread;
      word.read = now;
    }
  }
  return &block_->shared_[address];
}

void Warp::Count(const Instruction& instruction, uint32_t mask) {
  if (!block_->profiling_) return;
  ++block_->counts_.instructions;
  ++block_->counts_.runs[&instruction - launch_.kernel->code.data()];
  block_->counts_.lanes += __builtin_popcount(mask);
  // Those that have no memory's address, of what a whole warp does: of 16 rows
  // and 8 columns each, for which it has four sums.
  block_->counts_.products +=
      instruction.flow == Flow::kTogether && instruction.operands > 10;
  block_->counts_.products += instruction.sums.size() / 4;
}

void Warp::CountGlobal(const Instruction& instruction, int operand,
                       uint32_t mask, int bytes, bool writes) {
  if (!block_->profiling_) return;
  uint64_t addresses[kLanes];
  for (int lane = 0; lane < kLanes; ++lane)
    addresses[lane] = Address(instruction, operand, lane);
  block_->counts_.Global(addresses, mask, bytes, writes);
}

void Warp::CountShared(const Instruction& instruction, int operand,
                       uint32_t mask, int bytes) {
  if (!block_->profiling_) return;
  uint64_t addresses[kLanes];
  for (int lane = 0; lane < kLanes; ++lane)
    addresses[lane] = Address(instruction, operand, lane);
  block_->counts_.Shared(addresses, mask, bytes);
}

void Warp::CopyLater(uint64_t to, uint64_t from, int size, int bytes,
                     int lane) {
  if (bytes > 0) Global(from, size, lane, false);
  Shared(to, size, lane, true);
  for (uint64_t i = to / 4; i < (to + size) / 4; ++i)
    block_->words_[i].copied = true;
  copies_[lane].back().push_back({to, from, size, bytes});
}

void Warp::FinishBatches(int count, int lane) {
  std::deque<std::vector<Copy>>& batches = copies_[lane];
  // The last one is still open.
  while (static_cast<int>(batches.size()) > count + 1) {
    for (const Copy& copy : batches.front()) {
      for (uint64_t i = copy.to / 4; i < (copy.to + copy.size) / 4; ++i)
        block_->words_[i].copied = false;
      char* const to = Shared(copy.to, copy.size, lane, true);
      std::memset(to, 0, copy.size);
      if (copy.bytes > 0)
        std::memcpy(to, Global(copy.from, copy.size, lane, false), copy.bytes);
    }
    batches.pop_front();
  }
}

void Warp::LetNextBegin(uint32_t mask) {
  CheckAwaited(mask, "lets the next kernel begin");
}

void Warp::CheckAwaited(uint32_t mask, const char* does) const {
  const uint32_t early = mask & ~awaited_;
  if (!early) return;
  Fail(__builtin_ctz(early),
       does + std::string(" before it has waited for earlier kernels"));
}

void Warp::MultiplyLater(const Product& product) {
  if (!may_multiply_) Fail(0, "has no wgmma.fence in front of its products");
  if (index_ / 4 * 4 + 4 > static_cast<int>(block_->warps_.size()))
    Fail(0, "is of a group of less than four warps");
  auto& group = block_->products_[index_ / 4];
  if (product_count_ == group.size())
    group.emplace_back(product.instruction, product.a, product.b);
  if (group[product_count_] !=
      std::make_tuple(product.instruction, product.a, product.b))
    Fail(0, "multiplies other matrices than its group");
  ++product_count_;
  product.run(product, this, true);
  products_.back().push_back(product);
}

void Warp::CheckProducts() const {
  const size_t count = block_->products_[index_ / 4].size();
  if (product_count_ == count) return;
  throw Error("warp " + std::to_string(index_) + " of " +
              Demangled(launch_.kernel->name) + " has begun " +
              std::to_string(product_count_) + " products, its group " +
              std::to_string(count));
}

void Warp::FinishProducts(int count) {
  // The last batch is still open.
  while (static_cast<int>(products_.size()) > count + 1) {
    for (const Product& product : products_.front())
      product.run(product, this, false);
    products_.pop_front();
  }
  may_multiply_ = false;
}

const char* Warp::SharedForProducts(uint64_t address) {
  const char* const data = Shared(address, 16, 0, false);
  for (uint64_t i = address / 4; i < address / 4 + 4; ++i) {
    const Block::Word& word = block_->words_[i];
    if (block_->shown_[word.writer] <= word.shown)
      Fail(0, "multiplies what thread " + std::to_string(word.writer) +
                  " wrote to " + std::to_string(address) +
                  " without fence.proxy.async behind it");
  }
  return data;
}

void Warp::ShowToProducts(uint32_t mask) {
  ++block_->shows_;
  for (; mask; mask &= mask - 1)
    block_->shown_[index_ * kLanes + __builtin_ctz(mask)] = block_->shows_;
}

void Warp::Fail(int lane, const std::string& what) const {
  const Source& source = SourceOf(*running_);
  throw Error("thread " + std::to_string(ThreadOf(lane)) + " of block " +
              std::to_string(block_->index_.x) + " " + what + "; line " +
              std::to_string(source.line) + " of " +
              Demangled(launch_.kernel->name) + ": " + source.text);
}

Block::Block(const Launch& launch)
    : launch_(launch),
      shared_(std::max(launch.kernel->shared_bytes,
                       launch.kernel->extern_shared + launch.shared_bytes)),
      words_((shared_.size() + 3) / 4) {
  counts_.runs.resize(launch.kernel->code.size());
  const int threads =
      static_cast<int>(launch.block.x * launch.block.y * launch.block.z);
  for (int first = 0; first < threads; first += kLanes)
    warps_.emplace_back(launch, this, first / kLanes, threads - first);
  shown_.resize(warps_.size() * kLanes);
  products_.resize(warps_.size() / 4 + 1);
}

bool Block::Backwards() {
  static const char* const order = std::getenv("P3D_SIMULATED_ORDER");
  return order && std::strcmp(order, "backwards") == 0;
}

void Block::Run(int64_t index) {
  const Dim& grid = launch_.grid;
  index_ = {static_cast<uint32_t>(index % grid.x),
            static_cast<uint32_t>(index / grid.x % grid.y),
            static_cast<uint32_t>(index / grid.x / grid.y)};
  number_ = static_cast<uint32_t>(index);
  barriers_ = 1;
  std::fill(words_.begin(), words_.end(), Word());
  std::memset(shared_.data(), 0xff, shared_.size());
  shows_ = 0;
  std::fill(shown_.begin(), shown_.end(), 0);
  for (auto& group : products_) group.clear();
  for (Warp& warp : warps_) warp.Begin();
  ++counts_.blocks;
  for (;; ++barriers_) {
    const Warp* waits = nullptr;
    for (size_t i = 0; i < warps_.size(); ++i) {
      Warp& warp = warps_[Backwards() ? warps_.size() - 1 - i : i];
      warp.Run();
      if (warp.ended()) continue;
      if (!waits) waits = &warp;
      if (&warp.barrier() != &waits->barrier()) {
        throw Error("warps of a block of " + Demangled(launch_.kernel->name) +
                    " wait at different barriers, at lines " +
                    std::to_string(waits->barrier_line()) + " and " +
                    std::to_string(warp.barrier_line()));
      }
    }
    for (Warp& warp : warps_) warp.CheckProducts();
    if (!waits) return;
    for (Warp& warp : warps_) {
      if (!warp.ended()) warp.Pass();
    }
  }
}

}  // namespace ptx
