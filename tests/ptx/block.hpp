#ifndef P3D_TESTS_PTX_BLOCK_HPP_
#define P3D_TESTS_PTX_BLOCK_HPP_

// Runs the threads of a block, warp by warp from barrier to barrier, and throws
// Error, with thread and instruction, for what is undefined on a GPU or ends
// the kernel there:
//
//   - global addresses outside of what is allocated, shared ones outside of
//     what the block has, addresses that are no multiple of what is read there;
//   - shared memory that is read before anyone wrote it;
//   - two threads at the same word of shared memory, one of them writing,
//     without a barrier between them, also within a warp;
//   - bytes of global memory that another thread of the launch wrote last, if
//     it is of another block or there is no barrier between the two. What one
//     reads and another writes later is seen where the order is the other one;
//   - what cp.async copies and is read before it was waited for, or while it is
//     on its way; copies happen as late as they may;
//   - products of a warp group that begin without a fence, are of different
//     matrices for its warps, or read what was not shown to them: what they
//     read changes as late, and they are made as late, as may be;
//   - global memory in a kernel that overlaps with earlier ones, and its end,
//     before they were waited for;
//   - lanes of a warp that do not come together where all are needed, or have
//     ended there; threads that wait at different barriers.
//
// Where lanes of a warp branch apart, those that are behind in the text go on
// first. Warps take turns by number, or from the last one on if
// $P3D_SIMULATED_ORDER is "backwards". Not seen are registers that are read
// before they are written.

#include <cstdint>
#include <cstring>
#include <deque>
#include <string>
#include <tuple>
#include <vector>

#include "profile.hpp"
#include "program.hpp"

namespace ptx {

// A word of global memory: who wrote it last.
struct Writer {
  uint32_t launch, block, barriers;  // launches are counted from 1
  uint16_t thread, bytes;            // bytes: which of the four, as bits
};

struct Allocation {
  uint64_t begin = 1, end = 0;
  Writer* writers = nullptr;  // of its words
};

// What is allocated of global memory.
class Memory {
 public:
  virtual ~Memory() = default;
  // Whether an allocation has this address: it becomes *found.
  virtual bool Holds(uint64_t address, Allocation* found) = 0;
};

struct Dim {
  uint32_t x, y, z;
};

struct Launch {
  const Kernel* kernel;
  Dim grid, block;
  std::vector<char> parameters;
  Memory* memory;
  int shared_bytes = 0;   // beside those that the kernel declares
  bool overlaps = false;  // begins before what was launched earlier has ended
  uint32_t number = 1;    // among all that run
};

class Block;
class Warp;

// sums += a * b, of matrices that descriptors tell about. Reads them, and
// multiplies unless it only `looks` at them.
struct Product {
  void (*run)(const Product& product, Warp* warp, bool looks);
  const Instruction* instruction;
  uint64_t a, b;
};

class Warp {
 public:
  Warp(const Launch& launch, Block* block, int index, int threads);

  // With the block that is run next.
  void Begin();
  // Until it waits for other warps or all its threads are through.
  void Run();
  bool ended() const { return live_ == 0; }
  // Where it waits, and its line; passes that barrier.
  const Instruction& barrier() const {
    return launch_.kernel->code[pc_[first_]];
  }
  int barrier_line() const { return SourceOf(barrier()).line; }
  void Pass();

  // The values of a place, a lane's each.
  template <typename T>
  T* At(int place) {
    return reinterpret_cast<T*>(&file_[place]);
  }
  uint64_t Value(int place, int width, int lane) {
    return width == 8   ? At<uint64_t>(place)[lane]
           : width == 4 ? At<uint32_t>(place)[lane]
           : width == 2 ? At<uint16_t>(place)[lane]
                        : At<uint8_t>(place)[lane];
  }
  void Set(int place, int width, int lane, uint64_t value) {
    std::memcpy(&file_[place + width * lane], &value, width);
  }

  // The address in an operand of an instruction; in that which names one.
  uint64_t Address(const Instruction& instruction, int operand, int lane) {
    const int width = instruction.width[operand];
    const uint64_t address =
        Value(instruction.at[operand], width, lane) + instruction.offset;
    return width == 4 ? static_cast<uint32_t>(address) : address;
  }
  uint64_t Address(const Instruction& instruction, int lane) {
    return Address(instruction, instruction.base, lane);
  }

  const char* parameters() const { return launch_.parameters.data(); }
  // Memory at an address, checked for `bytes`, a power of two, that a lane
  // reads or writes.
  char* Global(uint64_t address, int bytes, int lane, bool writes);
  char* Shared(uint64_t address, int bytes, int lane, bool writes);

  // For the profile: a request of the lanes in `mask`, at the addresses in an
  // operand of the instruction.
  void CountGlobal(const Instruction& instruction, int operand, uint32_t mask,
                   int bytes, bool writes);
  void CountShared(const Instruction& instruction, int operand, uint32_t mask,
                   int bytes);

  // cp.async of `bytes` from global memory, zeros behind them up to `size`.
  void CopyLater(uint64_t to, uint64_t from, int size, int bytes, int lane);
  void EndBatch(int lane) { copies_[lane].emplace_back(); }
  // Finishes all batches but the last `count`.
  void FinishBatches(int count, int lane);

  // griddepcontrol: waits for earlier kernels; lets the next one begin.
  void AwaitEarlier(uint32_t mask) { awaited_ |= mask; }
  void LetNextBegin(uint32_t mask);

  // wgmma: its fence; a product, which is made when it is waited for; batches.
  void BeginProducts() { may_multiply_ = true; }
  void MultiplyLater(const Product& product);
  void EndProducts() { products_.emplace_back(); }
  // Throws where its group has begun others.
  void CheckProducts() const;
  void FinishProducts(int count);
  // Of what is shown to products, 16 bytes that one reads.
  const char* SharedForProducts(uint64_t address);
  void ShowToProducts(uint32_t mask);
  int index() const { return index_; }

  // Throws Error about the instruction that runs.
  [[noreturn]] void Fail(int lane, const std::string& what) const;

 private:
  struct Copy {
    uint64_t to, from;
    int size, bytes;
  };

  void Count(const Instruction& instruction, uint32_t mask);
  void CheckAwaited(uint32_t mask, const char* does) const;
  // Others that wrote there, and what this thread writes for others to see.
  void MeetOthers(uint64_t address, uint64_t size, int lane, bool writes);
  uint32_t Next();
  void RunFrom(int pc, uint32_t mask);
  const Source& SourceOf(const Instruction& instruction) const {
    return launch_.kernel->sources[&instruction - launch_.kernel->code.data()];
  }
  uint32_t ThreadOf(int lane) const { return index_ * kLanes + lane; }
  uint32_t Guarded(const Instruction& instruction, uint32_t mask);

  const Launch& launch_;
  Block* const block_;
  const int index_;
  const uint32_t lanes_;  // those that are threads
  uint32_t live_ = 0;     // of them, those that have not returned
  uint32_t waiting_ = 0;  // for others, at an instruction of all
  uint32_t awaited_ = 0;  // those behind which earlier kernels have ended
  int first_ = 0;         // lane of those that are live
  int pc_[kLanes] = {};
  const Instruction* running_ = nullptr;
  std::vector<char> file_;
  std::vector<std::deque<std::vector<Copy>>> copies_;  // by lanes, in batches
  std::deque<std::vector<Product>> products_;          // in batches
  size_t product_count_ = 0;
  bool may_multiply_ = false;
  Allocation met_;  // the last one
};

class Block {
 public:
  explicit Block(const Launch& launch);

  // Runs block number `index`, counted along x first.
  void Run(int64_t index);
  // Whether the last warps, and blocks, are to be the first.
  static bool Backwards();
  // Of all that were run, if Profiling().
  const Counts& counts() const { return counts_; }

 private:
  friend class Warp;

  // A word of shared memory: who was there since which barrier.
  struct Word {
    uint32_t written = 0, read = 0;  // behind so many barriers, 0: never
    int16_t writer = 0, reader = 0;  // threads; kSeveral
    bool copied = false;             // on its way
    uint32_t shown = 0;              // so many times when it was written
  };
  static constexpr int kSeveral = -1;

  const Launch& launch_;
  Dim index_{};
  uint32_t number_ = 0;
  uint32_t barriers_ = 1;
  std::vector<char> shared_;
  std::vector<Word> words_;
  std::vector<Warp> warps_;
  // How often anybody showed what he wrote to products, and when each thread
  // did so last.
  uint32_t shows_ = 0;
  std::vector<uint32_t> shown_;
  // By groups, what all warps of one have begun to multiply.
  std::vector<std::vector<std::tuple<const Instruction*, uint64_t, uint64_t>>>
      products_;
  const bool profiling_ = Profiling();
  Counts counts_;
};

}  // namespace ptx

#endif  // P3D_TESTS_PTX_BLOCK_HPP_
